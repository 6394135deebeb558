"""Which category claims which stems: every program, class and name has one owner, a shared patch has a judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

from slakh_hier.hierarchy.labels import DRUM_PROGRAM, label_key, programs_text, word_key
from slakh_hier.hierarchy.model import Rule
from slakh_hier.hierarchy.report import Report
from slakh_hier.hierarchy.schema import check_labels, check_patch, check_programs, check_word
from slakh_hier.safe_yaml import Path


class Claims:
    """Reads the rules of a file one by one, and reports where two of them meet.

    Tolerant: what does not have its shape was reported before, and is left out.
    """

    def __init__(self, report: Report):
        self.report = report
        self.programs: dict[int, tuple[str, Path]] = {}
        self.words: dict[tuple[str, Any], tuple[str, Path]] = {}
        self.patches: dict[str, dict[str, Path]] = defaultdict(dict)
        self.rules: dict[str, Rule] = {}

    def read(self, owner: str, path: Path, raw: Any) -> Rule:
        """The rule at ``path``, which belongs to the category ``owner``."""
        raw = raw if isinstance(raw, dict) else {}
        if not raw or raw == {"drums": False}:
            self.report.value(path, f"the rule of {owner} is empty: give programs or patches, or remove it")
        programs = self._programs(owner, path, raw.get("programs"))
        if raw.get("drums") is True and DRUM_PROGRAM not in programs:
            self._claim_programs(owner, (*path, "drums"), [DRUM_PROGRAM])
            programs.add(DRUM_PROGRAM)
        rule = Rule(
            labels=self._words(owner, path, "labels", raw),
            drums=DRUM_PROGRAM in programs,
            patches=self._patches(owner, path, raw.get("patches")),
            programs=frozenset(programs - {DRUM_PROGRAM}),
            midi_program_names=self._words(owner, path, "midi_program_name", raw),
            inst_classes=self._words(owner, path, "inst_class", raw),
        )
        self.rules[owner] = rule
        return rule

    def check_shared_patches(self, overridden: Collection[str]) -> None:
        """Report patches that several categories have although no program decides between them."""
        for patch, owners in self.patches.items():
            if patch in overridden or len(owners) < 2:
                continue
            judged: dict[int, str] = {}
            first, blind = next(iter(owners)), ""
            for owner, path in owners.items():
                programs = self.rules[owner].all_programs
                both = [program for program in programs if judged.setdefault(program, owner) != owner]
                blind = blind or ("" if programs else owner)
                if blind and owner != first:
                    self._undecided(patch, path, owners, first, f"{blind} has no programs")
                elif both:
                    self._undecided(
                        patch, path, owners, judged[both[0]], f"both claim {_programs_text(both)}"
                    )

    def _undecided(self, patch: str, path: Path, owners: dict[str, Path], other: str, why: str) -> None:
        line = self.report.line(owners[other])
        self.report.value(
            path, f"the patch {patch} belongs to {other} too ({line}), and the program cannot decide: {why}"
        )

    def _programs(self, owner: str, path: Path, raw: Any) -> set[int]:
        mine: set[int] = set()
        for item, span in self._valid((*path, "programs"), raw, check_programs):
            if twice := mine.intersection(span):
                self.report.value(item, f"{_programs_text(twice)} appears twice in {owner}")
            self._claim_programs(owner, item, [program for program in span if program not in mine])
            mine.update(span)
        return mine

    def _claim_programs(self, owner: str, path: Path, span: Collection[int]) -> None:
        taken: dict[str, list[int]] = defaultdict(list)
        for program in span:
            other, _ = self.programs.setdefault(program, (owner, path))
            if other != owner:
                taken[other].append(program)
        for other, programs in taken.items():
            line = self.report.line(self.programs[programs[0]][1])
            self.report.value(
                path,
                f"{_programs_text(programs)} cannot belong to {owner}: {other} claims it already ({line})",
            )

    def _patches(self, owner: str, path: Path, raw: Any) -> tuple[str, ...]:
        mine = []
        for item, patch in self._valid((*path, "patches"), raw, check_patch):
            owners = self.patches[patch.casefold()]
            if owner in owners:
                self.report.value(item, f"the patch {patch} appears twice in {owner}")
            else:
                owners[owner] = item
                mine.append(patch)
        return tuple(mine)

    def _words(self, owner: str, path: Path, kind: str, raw: dict[Any, Any]) -> tuple[str, ...]:
        mine = []
        check, key = (check_labels, label_key) if kind == "labels" else (check_word, word_key)
        for item, word in self._valid((*path, kind), raw.get(kind), check):
            other, place = self.words.setdefault((kind, key(word)), (owner, item))
            if place == item:
                mine.append(word)
            elif other == owner:
                self.report.value(item, f"the {kind} {word!r} appears twice in {owner}")
            else:
                line = self.report.line(place)
                self.report.value(
                    item, f"the {kind} {word!r} cannot belong to {owner}: {other} claims it already ({line})"
                )
        return tuple(mine)

    def _valid(self, path: Path, raw: Any, check: Callable[[Any], Any]) -> Iterator[tuple[Path, Any]]:
        """The items of a list that pass a check of the schema and were not reported, with their paths."""
        for index, value in enumerate(raw if isinstance(raw, list) else ()):
            item = (*path, index)
            if (isinstance(value, str) or check is check_programs) and not self.report.settled(item):
                try:
                    yield item, check(value)
                except ValueError:
                    continue


def _programs_text(programs: Collection[int]) -> str:
    """``the program 5``, ``the programs 24-27, 31`` or ``drums``."""
    if set(programs) == {DRUM_PROGRAM}:
        return "drums (program 128)"
    return f"the program{'s' if len(programs) > 1 else ''} {programs_text(programs)}"
