"""What each song of a set will be: style, key, tempo, chords and players, before a note is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from slakh_hier.synth.compose.styles import STYLES, Role, Style
from slakh_hier.synth.compose.theory import Key
from slakh_hier.synth.instruments import category_of


@dataclass(frozen=True)
class Player:
    """A role of a style with the instrument and the pattern chosen for it."""

    role: Role
    program: int
    variant: str


@dataclass(frozen=True)
class SongPlan:
    """A song to be composed; ``tempo`` in beats a minute, ``progressions`` by kind of section."""

    name: str
    style: Style
    key: Key
    tempo: int
    progressions: dict[str, str]
    players: tuple[Player, ...]


def plan_songs(count: int, seed: int) -> list[SongPlan]:
    """Plans for ``count`` songs.

    Styles come in turn, each round in another order. Where a role leaves a choice, the category that the songs
    before have used least is taken, so that a set of some twenty songs has all 34. A plan depends on the seed and the songs
    before it, not on how many follow.
    """
    used: Counter[str | None] = Counter()
    order: list[Style] = []
    plans = []
    for number in range(1, count + 1):
        random = Random(f"{seed}/song/{number}")
        if not order:
            order = Random(f"{seed}/styles/{number}").sample(STYLES, len(STYLES))
        style = order.pop()
        scale, verse, chorus, bridge = random.choice(style.progressions)
        players = [_engage(role, used, random) for role in style.roles]
        players += [_engage(role, used, random) for role in _colours(style, used, random)]
        players += [Player(Role("Effects", "pad", (program,)), program, "") for program in style.extras]
        used.update(category_of(player.program) for player in players)
        plans.append(
            SongPlan(
                f"composed/{number:05d} {style.name}.mid",
                style,
                Key(random.randrange(12), scale),
                random.randint(*style.tempo),
                {"verse": verse, "chorus": chorus, "bridge": bridge},
                tuple(players),
            )
        )
    return plans


def _engage(role: Role, used: Counter[str | None], random: Random) -> Player:
    programs = random.sample(role.programs, len(role.programs))
    return Player(
        role, min(programs, key=lambda program: used[category_of(program)]), random.choice(role.variants)
    )


def _colours(style: Style, used: Counter[str | None], random: Random) -> list[Role]:
    """The optional roles that bring the least used categories, in the style's order."""
    shuffled = random.sample(style.optional, len(style.optional))
    chosen = sorted(shuffled, key=lambda role: min(used[category_of(program)] for program in role.programs))
    return [role for role in style.optional if role in chosen[: style.colours]]
