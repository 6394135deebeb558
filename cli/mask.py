"""``slakh-hier mask``: masks of a finished shard set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import Option, command
from slakh_hier.cli.common import print_table, say
from slakh_hier.cli.options import format_option

if TYPE_CHECKING:
    from slakh_hier.shards.mask import MaskMode

MINOR = ("where", "seed", "mode")
"""Columns of the table of masks that a narrow terminal does without."""

mask_option = partial(click.option, cls=Option, group="Masks")


@command()
@click.argument("shards", type=click.Path())
@mask_option(
    "--add",
    metavar="KIND-PERCENT",
    shell_complete=completion.new_masks,
    help="Add a mask: leaf-90 withholds level 1 and finer, all-90 every node.",
)
@mask_option("--remove", metavar="NAME", shell_complete=completion.masks, help="Remove a mask: leaf-90.")
@mask_option("--list", "list_", is_flag=True, help="List the masks (what happens without any option).")
@mask_option(
    "--mode",
    type=click.Choice(["exact", "bernoulli"]),
    default="exact",
    help="With --add: exactly that share of the training clips, or each clip by its own draw.",
)
@mask_option("--seed", type=int, default=588, help="With --add: ranks the clips; another seed, other clips.")
@format_option
def mask(
    shards: str,
    add: str | None,
    remove: str | None,
    list_: bool,
    mode: MaskMode,
    seed: int,
    output_format: str,
) -> None:
    """Add, remove or list the masks of the finished set SHARDS.

    A mask says for which training clips the ground truth is withheld. It lies beside the shards, which stay as
    they are. Masks of one seed are nested: what 50 % withholds, 90 % withholds too.
    """
    from slakh_hier.shards.mask import Mask
    from slakh_hier.shards.mask_files import add_mask, list_masks, remove_mask

    if sum((add is not None, remove is not None, list_)) > 1:
        raise click.UsageError("--add, --remove and --list exclude each other")
    if add is not None:
        asked = Mask.parse(add, mode=mode, seed=seed)
        count = add_mask(shards, asked)
        say(f"{asked.name}: the ground truth of {count:,} training clips is withheld")
    elif remove is not None:
        say(f"{remove_mask(shards, remove)}: removed")
    else:
        print_table([one.as_row() for one in list_masks(shards)], output_format, secondary=MINOR)
