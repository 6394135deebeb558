"""What an interrupt breaks is not a fault."""

from __future__ import annotations

import sys

import pytest

from slakh_hier.models.fitting import interrupts_first


def interrupted() -> None:
    """As Lightning answers Ctrl-C, and then fails while it clears up."""
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)
    finally:
        raise RuntimeError("while clearing up")


def test_what_an_interrupt_ends_in_is_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_first():
        interrupted()
    with pytest.raises(SystemExit), interrupts_first():
        sys.exit(1)
