"""Commands in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slakh_hier.cli.main import main


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str, str]]:
    """command("scan", ...) -> exit code, stdout, stderr."""

    def invoke(*arguments: object) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return invoke
