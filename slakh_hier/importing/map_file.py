"""Reading map files: strict, with every problem of a file in one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.hierarchy import DRUM_PROGRAM, word_key
from slakh_hier.hierarchy.report import Report, check_traps, shown
from slakh_hier.hierarchy.schema import check_patch
from slakh_hier.importing.stem_map import Instrument, Pattern, StemMap, file_key
from slakh_hier.paths import StrPath
from slakh_hier.safe_yaml import Path as Place
from slakh_hier.safe_yaml import read_bytes, read_marked

SCHEMA_VERSION = 1
_TOP = ("schema", "instruments", "ignore", "mix", "songs")
_RULE = ("files", "drums", "program", "patch", "midi_program_name", "inst_class")
_MAX_NAME = 100


def load_map(path: StrPath) -> StemMap:
    """The map in a file.

    Raises
    ------
    InputError
        The file cannot be read.
    ConfigError
        It has problems: all of them, each with line and column.
    """
    try:
        data = read_bytes(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: the map cannot be read: {reason}. --new-map writes one to start from"
        ) from error
    return _parse(data, str(path))


def parse_map(text: str, file: str) -> StemMap:
    """The map that a YAML text describes; ``file`` is its name for messages.

    Raises
    ------
    ConfigError
        With every problem.
    """
    return _parse(text.encode("utf-8", "surrogatepass"), file)


def _parse(data: bytes, file: str) -> StemMap:
    raw, places, problems = read_marked(data, file)
    if problems and raw is None:
        raise ConfigError(problems)
    report = Report(file, places, problems)
    check_traps(report)
    report.next_stage()
    found = _Reader(report).read(raw, data.decode(errors="replace"))
    if report.problems:
        raise ConfigError(report.problems)
    return found


class _Reader:
    """Reads what has its shape and reports the rest, so that one run tells everything."""

    def __init__(self, report: Report):
        self.report = report
        self.patterns: dict[str, Place] = {}

    def read(self, raw: Any, text: str) -> StemMap:
        top = self._keys((), raw, _TOP, f"a map has keys ({', '.join(_TOP)})")
        if top.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION or isinstance(top.get("schema"), bool):
            self.report.value(
                ("schema",),
                f"this is a map of version {top['schema']!r}, and this slakh-hier reads version 1",
            )
        for key in ("schema", "instruments"):
            if isinstance(raw, dict) and key not in raw:
                self.report.value((), f"the key '{key}' is missing")
        instruments = self._instruments(top["instruments"]) if "instruments" in top else ()
        return StemMap(
            file=self.report.file,
            text=text,
            instruments=instruments,
            ignore=self._patterns(("ignore",), top["ignore"]) if "ignore" in top else (),
            mix=self._patterns(("mix",), top["mix"]) if "mix" in top else (),
            songs=self._songs(top["songs"]) if "songs" in top else (),
        )

    def _instruments(self, raw: Any) -> tuple[Instrument, ...]:
        if not isinstance(raw, dict) or not raw:
            self.report.value(
                ("instruments",),
                f"instruments must be names with their files (bass: {{files: [bass]}}), not {shown(raw, self._raw('instruments'))}",
            )
            return ()
        names: dict[str, Place] = {}
        instruments = []
        for name, rule in raw.items():
            path: Place = ("instruments", name)
            if not isinstance(name, str) or not name.strip() or len(name) > _MAX_NAME:
                self.report.key(
                    path,
                    f"an instrument's name must be text of 1 to {_MAX_NAME} characters: put it in quotes",
                )
                name = str(name)
            other = names.setdefault(word_key(name) or "", path)
            if other != path:
                self.report.key(
                    path,
                    f"{name} differs from {other[-1]} ({self.report.line(other)}) only in case or spaces",
                )
            instruments.append(self._instrument(name, path, rule))
        return tuple(instruments)

    def _instrument(self, name: str, path: Place, raw: Any) -> Instrument:
        rule = self._keys(path, raw, _RULE, f"{name} needs its files: write {name}: {{files: [...]}}")
        if isinstance(raw, dict) and "files" not in raw:
            self.report.key(path, f"{name} has no files: add files: [...] with its patterns")
        return Instrument(
            name=name,
            files=self._patterns((*path, "files"), rule["files"]) if "files" in rule else (),
            program=self._program(path, rule),
            patch=self._patch((*path, "patch"), rule["patch"]) if "patch" in rule else None,
            midi_program_name=self._word(path, rule, "midi_program_name", name),
            inst_class=self._word(path, rule, "inst_class", name),
        )

    def _program(self, path: Place, rule: Mapping[Any, Any]) -> int | None:
        drums, program = rule.get("drums", False), rule.get("program")
        if not isinstance(drums, bool):
            self.report.value(
                (*path, "drums"), f"drums must be true or false, not {self._shown(path, 'drums', drums)}"
            )
            drums = False
        if "program" not in rule:
            return DRUM_PROGRAM if drums else None
        place = (*path, "program")
        if not isinstance(program, int) or isinstance(program, bool) or not 0 <= program <= DRUM_PROGRAM:
            self.report.value(
                place,
                f"program must be a number from 0 to 127 (128: drums), not {self._shown(path, 'program', program)}",
            )
            return None
        if drums and program != DRUM_PROGRAM:
            self.report.value(place, f"drums have no program {program}: remove it, or drums: true")
        return program

    def _patch(self, path: Place, raw: Any) -> str | None:
        if not isinstance(raw, str):
            self.report.value(path, f"patch must be text, not {shown(raw, self.report.place(path).raw)}")
            return None
        try:
            return check_patch(raw)
        except ValueError as error:
            self.report.value(path, str(error))
            return None

    def _word(self, path: Place, rule: Mapping[Any, Any], key: str, default: str) -> str:
        word = rule.get(key, default)
        if not isinstance(word, str) or not word.strip():
            self.report.value(
                (*path, key), f"{key} must be text, not {self._shown(path, key, word)}: put it in quotes"
            )
            return default
        return word

    def _patterns(self, path: Place, raw: Any) -> tuple[Pattern, ...]:
        found = []
        for place, text in self._texts(path, raw):
            if "\\" in text:
                self.report.value(place, f"{text!r} holds a backslash: folders are written with /")
            elif text.startswith("/") or ".." in text.split("/"):
                self.report.value(place, f"{text!r} leads out of the song's folder: patterns begin inside it")
            elif (other := self.patterns.setdefault(file_key(text), place)) != place:
                owner = other[1] if other[0] == "instruments" else other[0]
                self.report.value(
                    place,
                    f"the pattern {text!r} is there twice: {owner} has it already ({self.report.line(other)})",
                )
            else:
                found.append(Pattern(text, self.report.place(place).line))
        return tuple(found)

    def _songs(self, raw: Any) -> tuple[str, ...]:
        found = []
        for place, text in self._texts(("songs",), raw):
            if not all(part and part not in (".", "..") for part in text.split("/")) or "\\" in text:
                self.report.value(
                    place, f"{text!r} names no folders below the stems: write '*' for each level, as in '*/*'"
                )
            else:
                found.append(text)
        return tuple(found)

    def _texts(self, path: Place, raw: Any) -> list[tuple[Place, str]]:
        """The items of a list of texts with their places."""
        if not isinstance(raw, list) or not raw:
            value = self.report.place(path).raw
            advice = f": write [{raw!r}]" if isinstance(raw, str) else ""
            self.report.value(path, f"{path[-1]} must be a list of patterns, not {shown(raw, value)}{advice}")
            return []
        texts = []
        for index, item in enumerate(raw):
            place = (*path, index)
            if isinstance(item, str) and item.strip():
                texts.append((place, item))
            else:
                self.report.value(
                    place,
                    f"a pattern must be text, not {shown(item, self.report.place(place).raw)}: put it in quotes",
                )
        return texts

    def _keys(self, path: Place, raw: Any, known: Sequence[str], what: str) -> dict[Any, Any]:
        """A mapping's known keys; whatever else is there is reported."""
        if not isinstance(raw, dict):
            if not (raw is None and path == () and self.report.problems):
                self.report.value(path, f"{what}, not {shown(raw, self.report.place(path).raw)}")
            return {}
        for key in raw:
            if key not in known:
                near = self.report.nearest(str(key), known)
                advice = f"did you mean '{near}'?" if near else f"known here: {', '.join(known)}"
                self.report.key((*path, key), f"unknown key '{key}': {advice}")
        return {key: value for key, value in raw.items() if key in known}

    def _shown(self, path: Place, key: str, value: Any) -> str:
        return shown(value, self.report.place((*path, key)).raw)

    def _raw(self, key: str) -> str | None:
        return self.report.place((key,)).raw
