"""The shape of a tree file: pydantic models, from which the reader's checks and the editors' JSON Schema come."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    RootModel,
    Tag,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from slakh_hier.hierarchy.labels import DRUM_PROGRAM, base_name, label_key, patch_key
from slakh_hier.hierarchy.model import MIX, UNASSIGNED, Companion, Unassigned
from slakh_hier.wording import shortened

SCHEMA_VERSION = 1
MAX_LEVELS = 24
DEFAULT_SALIENCE_DB = -30.0
"""The paper's threshold, dBFS."""
RESERVED = frozenset({MIX, UNASSIGNED, "match"})

_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_NUMBER = "(0|[1-9][0-9]?|1[01][0-9]|12[0-8])"
_RANGE = re.compile(r"\s*([0-9]{1,3})\s*[-–—]\s*([0-9]{1,3})\s*")


def check_version(value: Any) -> int:
    """The version of the format. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"the version of the format is a number: write schema: {SCHEMA_VERSION}")
    if value != SCHEMA_VERSION:
        raise ValueError(
            f"this is a tree file of version {value}, and this slakh-hier reads version {SCHEMA_VERSION}: update "
            "slakh-hier"
        )
    return value


def check_name(name: str) -> str:
    """A tree's own name: it becomes a file name and a fixed-length string. Raises ValueError."""
    if re.fullmatch(_NAME, name):
        return name
    slug = name_from(name)
    advice = f": write {slug}" if slug else ""
    raise ValueError(f"{_shown(name)} is not a name (up to 64 letters a-z, digits, _ and -){advice}")


def check_node_name(name: str) -> str:
    """A name of a node or category. Raises ValueError."""
    if name.casefold() in RESERVED:
        raise ValueError(
            f"{name} is a reserved word (as are {', '.join(sorted(RESERVED))}): choose another name"
        )
    return check_name(name)


def check_patch(patch: str) -> str:
    """A patch's base name. Raises ValueError."""
    key = patch_key(patch)
    if key is None:
        raise ValueError(
            f"{_shown(patch)} stands for 'no patch' in Slakh's metadata: name a patch, or give programs"
        )
    if key != patch.casefold():
        raise ValueError(
            f"a patch is a file name without folders or spaces around it: write {base_name(patch)}"
        )
    return patch


def check_word(word: str) -> str:
    """A program's or class's name. Raises ValueError."""
    if not word.strip():
        raise ValueError("the text is empty")
    return word


def check_labels(labels: str) -> str:
    """A path of labels. Raises ValueError."""
    parts = [part.strip() for part in labels.split("/")]
    if not label_key(labels) or not all(parts):
        raise ValueError(
            f"{_shown(labels)} is not a path of labels: write them from coarse to fine with / between them, as in "
            "bass/bass_guitar"
        )
    return labels


def check_programs(value: Any) -> range:
    """The programs that an entry stands for: 26 or 24-31, from 0 to 127, and 128 for drums. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        first = last = value
    elif isinstance(value, str) and (found := _RANGE.fullmatch(value)):
        first, last = int(found[1]), int(found[2])
        written = f"{first}-{last}"
        if first > last:
            raise ValueError(f"the range {value} runs backwards: write {last}-{first}")
        if value != written:
            raise ValueError(f"a range is written with a hyphen, without spaces and leading zeros: {written}")
    else:
        number = value.strip().lstrip("0") or "0" if isinstance(value, str) else ""
        advice = f": write {number}" if number.isascii() and number.isdigit() else ""
        raise ValueError(
            f"{_shown(value)} is not a program (a number like 26, or a range like 24-31){advice}"
        )
    if not 0 <= first <= last <= DRUM_PROGRAM:
        raise ValueError(
            f"the program {value} is out of range: they go from 0 to 127, and 128 stands for drums"
        )
    return range(first, last + 1)


def name_from(words: str) -> str:
    """A valid name made of any words, in snake_case, without accents; empty if nothing is left of them."""
    plain = unicodedata.normalize("NFKD", words.lower()).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9-]+", "_", plain).strip("_-")[:64]


def node_kind(value: Any) -> str | None:
    """Which of the three forms a node's value has; None if it has none of them."""
    if isinstance(value, list):
        return "<categories>"
    if isinstance(value, dict):
        return "<match>" if "match" in value else "<nodes>"
    return None


_NAME_SCHEMA = {"type": "string", "pattern": f"^{_NAME}$"}
_NODE_NAME_SCHEMA = {**_NAME_SCHEMA, "not": {"enum": sorted(RESERVED)}}

TreeName = Annotated[str, AfterValidator(check_name), WithJsonSchema(_NAME_SCHEMA)]
NodeName = Annotated[str, AfterValidator(check_node_name), WithJsonSchema(_NODE_NAME_SCHEMA)]
Patch = Annotated[
    str,
    AfterValidator(check_patch),
    WithJsonSchema({"type": "string", "pattern": r"^[^/\\\s]([^/\\]*[^/\\\s])?$"}),
]
Word = Annotated[str, AfterValidator(check_word), WithJsonSchema({"type": "string", "pattern": r"\S"})]
LabelPath = Annotated[
    str,
    AfterValidator(check_labels),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[^/\s]([^/]*)(/\s*[^/\s][^/]*)*$"}),
]
Programs = Annotated[
    Any,
    PlainValidator(check_programs),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": DRUM_PROGRAM},
                {"type": "string", "pattern": f"^{_NUMBER}-{_NUMBER}$"},
            ]
        }
    ),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class RuleText(_Strict):
    """Which stems belong here. The first of the rules that knows a stem decides, in the order given here."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    labels: list[LabelPath] = Field(default_factory=list, min_length=1)
    """What data sets of recordings call their stems, from coarse to fine (bass/bass_guitar). Of several paths that a
    stem's labels begin with the longest decides."""
    drums: bool = False
    """Every stem marked as drums, whatever its program."""
    patches: list[Patch] = Field(default_factory=list, min_length=1)
    """Sampler patches (`plugin_name`), base names. Several categories may share a patch when their programs differ."""
    programs: list[Programs] = Field(default_factory=list, min_length=1)
    """MIDI programs from 0 to 127 (128: drums), as numbers or ranges like 24-31."""
    midi_program_name: list[Word] = Field(default_factory=list, min_length=1)
    """Names of programs, as in the metadata."""
    inst_class: list[Word] = Field(default_factory=list, min_length=1)
    """Classes, as in the metadata: Guitar, Strings (continued), ..."""


class MatchText(_Strict):
    """A finest node that holds its rule itself."""

    match: RuleText


class TreeText(
    RootModel[
        Annotated[
            Annotated[list[NodeName], Tag("<categories>")]
            | Annotated[MatchText, Tag("<match>")]
            | Annotated[dict[NodeName, "TreeText"], Tag("<nodes>"), Field(min_length=1)],
            Discriminator(node_kind),
        ]
    ]
):
    """A node: nodes below it, or (a finest node) a list of categories, or `match:` with a rule."""


class OverrideText(_Strict):
    """Where the stems of a patch belong, whatever their program."""

    node: NodeName
    """A finest node."""
    category: NodeName | None = None
    """A category of that node, or a new one for such stems; left out when the node has `match:`."""


class ClipsText(_Strict):
    """Which clips suit the tree: the defaults of `slakh-hier plan`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    companion: Companion = "family"
    """Which other node of a target's level must sound with it: one under the same top node (family), any, or none."""
    salience_db: float = Field(default=DEFAULT_SALIENCE_DB, ge=-200, le=0)
    """RMS (dBFS) above which a node counts as sounding."""
    salience_below_mix: float = Field(default_factory=float, ge=0, le=200)
    """How far (dB) below the mixture's RMS a node still counts as sounding; instead of salience_db."""


class HierarchyText(_Strict):
    """An instrument tree for slakh-hier."""

    schema_version: Annotated[Literal[1], BeforeValidator(check_version)] = Field(alias="schema")
    """Version of this format."""
    name: TreeName
    """Short name of the tree."""
    description: str = ""
    """When to take it, in a sentence."""
    levels: int = Field(ge=1, le=MAX_LEVELS)
    """Number of levels of the tree; every finest node lies that deep."""
    uneven: Literal["refuse", "repeat"] = "refuse"
    """Branches of fewer levels: refuse them, or repeat a node under its name with the level (voices-2)."""
    categories: dict[NodeName, RuleText] = Field(default_factory=dict)
    """Kinds of stems, to be listed in the finest nodes."""
    tree: dict[NodeName, TreeText] = Field(min_length=1)
    """The nodes, from the coarsest level down."""
    patch_overrides: dict[Patch, OverrideText] = Field(default_factory=dict)
    """Patches that belong elsewhere than their program says."""
    unassigned: Unassigned = "keep"
    """Stems without a category: keep them in the mix only, drop them, or take them as an error."""
    clips: ClipsText = Field(default_factory=ClipsText)
    """Which clips suit the tree."""


class RecipeText(_Strict):
    """A submix definition of slakh-utils."""

    mixing_key: Literal["program_num", "midi_program_name", "inst_class", "plugin_name"] = Field(
        alias="Mixing key"
    )
    recipes: dict[str, list[Any]] = Field(alias="Recipes", min_length=1)


class _Generator(GenerateJsonSchema):
    """Names that break the pattern are refused, where pydantic only leaves them unchecked."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of tree files, for editors."""
    schema = HierarchyText.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _shown(value: Any) -> str:
    """A value in a message, as YAML writes it and not too long."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    if value is None or isinstance(value, bool):
        return {None: "an empty entry", True: "true", False: "false"}[value]
    text = repr(value) if isinstance(value, str) else str(value)
    return shortened(text, 60)
