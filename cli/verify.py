"""``slakh-hier verify``: is a shard set whole?"""

from __future__ import annotations

import click

from slakh_hier.cli.command import command, running_option
from slakh_hier.cli.common import bars, note, print_table, say
from slakh_hier.cli.options import format_option, jobs_option
from slakh_hier.wording import counted


@command()
@click.argument("shards", type=click.Path())
@running_option(
    "--full/--quick",
    default=False,
    show_default="--quick",
    help="Read every byte (sha256, checksums, sums, levels), or only index, sizes, structure and tables.",
)
@format_option
@jobs_option
def verify(shards: str, full: bool, output_format: str, jobs: int) -> None:
    """Check the shard set SHARDS for damage and list all of it, with what to do.

    Nothing is changed. Exit code 1: something is wrong.
    """
    from dataclasses import asdict

    from slakh_hier.shards.verify import verify as verify_set

    findings = verify_set(shards, full=full, jobs=jobs, progress=bars())
    if output_format == "table":
        for finding in findings:
            say(f"{finding.file}: {finding.what}\n    {finding.advice}")
    else:
        print_table([asdict(finding) for finding in findings], output_format)
    if findings:
        note(f"{shards}: {counted(len(findings), 'finding')}")
        raise click.exceptions.Exit(1)
    checked = (
        "every byte was read" if full else "index, sizes, structure and tables; --full reads the audio too"
    )
    note(f"{shards}: no damage found ({checked})")
