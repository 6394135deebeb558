"""Wall and CPU seconds of ``slakh-hier --help``, over a Python that does nothing.

    python tests/benchmarks/startup.py [--rounds 7]

CSV on stdout; the last line is the wall time of --help over the 0.3 s that it may take.
"""

from __future__ import annotations

import subprocess
import sys

from harness import cpu_seconds, in_turns, read_options, report, wall_seconds


def main() -> None:
    options = read_options(__doc__, rounds=7)
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "--help": [sys.executable, "-c", "from slakh_hier.cli.main import main; main()", "--help"],
    }
    runs = {
        what: lambda command=command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for what, command in commands.items()
    }
    cpu = in_turns(runs, options.rounds, cpu_seconds)
    wall = in_turns(runs, options.rounds, wall_seconds)
    over_python = cpu["--help"] / cpu["python"]
    report(
        cpu, "cpu_seconds", wall["--help"] / 0.3, over_python=over_python, wall_seconds_of_help=wall["--help"]
    )


if __name__ == "__main__":
    main()
