"""One track's metadata.yaml: what it says, taken as hints and checked value by value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slakh_hier import safe_yaml
from slakh_hier.errors import MetadataError, Problem, TextError
from slakh_hier.hierarchy.labels import DRUM_PROGRAM, base_name
from slakh_hier.wording import escaped, shortened

STEM_ID = re.compile(r"S[0-9]{2,3}")
_SONG = re.compile(r"[0-9a-f]{32}")


class StemEntry(NamedTuple):
    """What the metadata say about one stem; control characters in its texts are escaped.

    ``patch`` is the base name of plugin_name, None where it is missing or the text None; ``program`` is 0 to
    127, drums 128. ``rendered``: there should be audio. ``warnings`` says which values were there but of no use. Of data sets
    of recordings: ``labels`` from coarse to fine with ``/`` between them, ``bleed`` where others are heard in the stem, and
    ``faults`` that are known.
    """

    patch: str | None
    program: int | None
    is_drum: bool
    midi_program_name: str | None
    inst_class: str | None
    rendered: bool = False
    warnings: str = ""
    labels: str | None = None
    bleed: bool = False
    faults: str = ""


@dataclass(frozen=True)
class TrackMetadata:
    """A track's metadata: the song's id (32 hex digits, or None), its stems by id, ids that are not usable, and who plays."""

    uuid: str | None
    stems: dict[str, StemEntry]
    unusable: list[str] = field(default_factory=list)
    artist: str | None = None


def read_metadata(data: bytes, file: str) -> TrackMetadata:
    """Read metadata.yaml from its bytes; ``file`` is its name for messages.

    Paths, gains and loudness are not read: they are wrong or missing in some releases, and the disk shows what is there.
    That audio was rendered is believed where it was not found, and only there.

    Raises
    ------
    MetadataError
        It is not YAML, or not shaped as metadata: every problem, with file:line:column.
    """
    try:
        content = safe_yaml.load(data, file)
    except TextError as error:
        raise MetadataError(error.problems) from error
    if not isinstance(content, dict):
        raise MetadataError(
            [Problem(file, 1, 1, f"expected keys such as UUID and stems, found {_kind(content)}")]
        )
    if "stems" not in content:
        raise MetadataError([Problem(file, 1, 1, "the key stems is missing: this is not a track's metadata")])
    stems = content["stems"]
    if not isinstance(stems, dict):
        line = _line_of(data, b"stems")
        raise MetadataError(
            [Problem(file, line, 1, f"stems must map ids (S00) to stems, not {_kind(stems)}")]
        )
    entries: dict[str, StemEntry] = {}
    unusable = []
    for stem, value in stems.items():
        if isinstance(stem, str) and STEM_ID.fullmatch(stem):
            entries[stem] = _entry(value)
        else:
            unusable.append(f"{_shown(stem)} is not a stem id (S00 to S999)")
    return TrackMetadata(_uuid(content.get("UUID")), entries, unusable, _text(content, "artist", []))


def _entry(value: Any) -> StemEntry:
    if not isinstance(value, dict):
        return StemEntry(
            None, None, False, None, None, warnings=f"its metadata are {_kind(value)}, not a mapping"
        )
    warnings: list[str] = []
    program = value.get("program_num")
    if isinstance(program, str) and re.fullmatch("[0-9]{1,3}", program):
        program = int(program)
    if program is not None and not (type(program) is int and 0 <= program <= DRUM_PROGRAM):
        warnings.append(f"program_num is {_shown(program)}, not a number from 0 to {DRUM_PROGRAM}")
        program = None
    is_drum = value.get("is_drum")
    if is_drum is not None and not isinstance(is_drum, bool):
        warnings.append(f"is_drum is {_shown(is_drum)}, not true or false")
        is_drum = None
    patch = _text(value, "plugin_name", warnings)
    return StemEntry(
        patch=base_name(patch or "") or None,
        program=program,
        is_drum=program == DRUM_PROGRAM if is_drum is None else is_drum,
        midi_program_name=_text(value, "midi_program_name", warnings),
        inst_class=_text(value, "inst_class", warnings),
        rendered=value.get("audio_rendered") is True,
        labels="/".join(_texts(value, "labels", warnings)) or None,
        bleed=value.get("has_bleed") is True,
        faults="; ".join(_texts(value, "faults", warnings)),
        warnings="; ".join(warnings),
    )


def _texts(value: dict[str, Any], key: str, warnings: list[str]) -> list[str]:
    texts = value.get(key)
    if texts is None:
        return []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        warnings.append(f"{key} is {_shown(texts)}, not a list of texts")
        return []
    return [escaped(text.strip()) for text in texts if text.strip()]


def _text(value: dict[str, Any], key: str, warnings: list[str]) -> str | None:
    text = value.get(key)
    if text is None or text == "None":
        return None
    if not isinstance(text, str):
        warnings.append(f"{key} is {_shown(text)}, not a text")
        return None
    return escaped(text.strip()) or None


def _uuid(value: Any) -> str | None:
    if type(value) is int:
        value = str(value)  # 32 digits without a letter
    if isinstance(value, str) and _SONG.fullmatch(value.lower()):
        return value.lower()
    return None


def _line_of(data: bytes, key: bytes) -> int:
    for number, line in enumerate(data.splitlines(), start=1):
        if line.startswith(key):
            return number
    return 1


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return {dict: "a mapping", list: "a list", str: "a text", bool: "true or false"}.get(
        type(value), _shown(value)
    )


def _shown(value: Any) -> str:
    return shortened(repr(value), 80)
