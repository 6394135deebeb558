"""FLAC files are whole, or there is an error."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.synth.flac import write_flac

SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 60_000)


def test_integers_come_back(tmp_path: Path):
    write_flac(tmp_path / "a.flac", iter([SAMPLES[:10], SAMPLES[10:]]), 44_100)
    found, rate = soundfile.read(tmp_path / "a.flac", dtype="int16")
    assert rate == 44_100
    np.testing.assert_array_equal(found, SAMPLES)


@pytest.mark.parametrize("missing", [1, 600, 5_000, 60_000])
def test_a_file_that_does_not_fit_is_an_error(tmp_path: Path, missing: int):
    write_flac(tmp_path / "whole.flac", [SAMPLES], 44_100)
    limit = (tmp_path / "whole.flac").stat().st_size - missing
    code = f"""
import numpy as np
from pathlib import Path
from slakh_hier.synth.flac import write_flac
try:
    write_flac(Path({str(tmp_path / "cut.flac")!r}), [np.random.default_rng(0).integers(-32768, 32768, 60_000)], 44_100)
except OSError as error:
    print("errno", error.errno)
"""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    # -B: a limit on the size of files would leave cut bytecode behind.
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], check=False, preexec_fn=limited, capture_output=True, text=True
    )
    assert done.stdout.split() == ["errno", str(errno.EFBIG)], done.stderr
