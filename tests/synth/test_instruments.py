"""Categories, programs and patches of stems."""

from __future__ import annotations

from random import Random

import pytest

from slakh_hier.hierarchy import StemLabel
from slakh_hier.synth.instruments import categories, category_of, draw_patch, programs_of, tree

WITHOUT = {38, 39, 55, 62, 63, *range(96, 128)}


def test_there_are_34_categories():
    assert len(categories()) == 34
    assert {category_of(program) for program in range(129) if program not in WITHOUT} == set(categories())
    assert {program for program in range(128) if category_of(program) is None} == WITHOUT


def test_a_patch_leads_back_to_the_category():
    for program in set(range(129)) - WITHOUT:
        for seed in range(20):
            patch = draw_patch(program, Random(seed))
            match = tree().match(StemLabel(patch=patch, program=program, is_drum=program == 128))
            assert match is not None
            if patch in tree().overrides:
                assert match.node == tree().overrides[patch].node
            else:
                assert match.category == category_of(program)


def test_all_patches_are_drawn():
    for category in categories():
        drawn = {
            draw_patch(program, Random(seed)) for program in programs_of(category) for seed in range(300)
        }
        assert drawn == set(tree().categories[category].rule.patches)


def test_only_a_harpsichord_is_called_one():
    assert draw_patch(6, Random(0)) == "harpsichord.nkm"
    assert "harpsichord.nkm" not in {draw_patch(0, Random(seed)) for seed in range(300)}


@pytest.mark.parametrize("program", sorted(WITHOUT)[:6])
def test_programs_without_a_category_have_no_patch(program):
    assert draw_patch(program, Random(0)) is None
