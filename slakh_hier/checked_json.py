"""JSON files of untrusted folders as checked models."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from slakh_hier.errors import InputError
from slakh_hier.plain_files import parse_json, read_plain

MAX_BYTES: Final = 64 << 20
Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, kind: type[Model], *, advice: str = "") -> Model:
    """A JSON object in a file, checked; the file may be a symbolic link.

    Parameters
    ----------
    advice
        What to do about a file that does not fit: ``". Run ..."``.

    Raises
    ------
    InputError
        The file cannot be read, or holds something else; the message names the place.
    """
    try:
        raw = parse_json(read_plain(path, MAX_BYTES, links=True))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: does not hold a JSON object{advice}")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}{advice}") from None


def first_problem(error: ValidationError) -> str:
    """Place and message of the first of a model's problems: ``tables.0.title: Field required``."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'as a whole'}: {first['msg']}"
