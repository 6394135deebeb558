"""Wall and CPU seconds of ``slakh-hier --help``, over a Python that does nothing.

    python tests/benchmarks/startup.py [--rounds 7]

CSV on stdout; the last line is --help over ``python -c pass``, in CPU seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from harness import cpu_seconds, in_turns, report, wall_seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
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
    report(cpu, "cpu_seconds", cpu["--help"] / cpu["python"], wall_seconds_of_help=wall["--help"])


if __name__ == "__main__":
    main()
