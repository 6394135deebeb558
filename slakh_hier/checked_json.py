"""JSON files of untrusted folders as checked models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from slakh_hier.errors import InputError, SlakhHierError
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
        data = read_plain(path, MAX_BYTES, links=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    raw = parse_object(data, path, advice=advice)
    with problems_of(path, advice=advice):
        return kind.model_validate(raw)


def parse_object(
    data: bytes, path: Path, *, advice: str = "", error: type[SlakhHierError] = InputError
) -> dict[str, Any]:
    """The JSON object that a file's bytes hold; raises ``error``."""
    try:
        raw = parse_json(data)
    except ValueError as fault:
        raise error(f"{path}: is not valid JSON: {fault}{advice}") from None
    if not isinstance(raw, dict):
        raise error(f"{path}: does not hold a JSON object{advice}")
    return raw


@contextmanager
def problems_of(path: Path, *, advice: str = "", error: type[SlakhHierError] = InputError) -> Iterator[None]:
    """Raise ``error`` in place of a model's complaints about a file, with the first of them: its place, and how many more."""
    try:
        yield
    except ValidationError as fault:
        raise error(f"{path}: {first_problem(fault)}{advice}") from None


def first_problem(error: ValidationError) -> str:
    """Place and message of the first of a model's problems: ``tables.0.title: Field required (and 2 more problems)``."""
    first = error.errors(include_url=False, include_input=False)[0]
    more = f" (and {error.error_count() - 1} more problems)" if error.error_count() > 1 else ""
    return f"{'.'.join(map(str, first['loc'])) or 'as a whole'}: {first['msg']}{more}"
