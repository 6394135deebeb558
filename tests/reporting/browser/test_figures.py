"""Figures and tables: points say what they are, nodes of trees play, tables are whole, all widths are used."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from slakh_hier.reporting.document import Player, Plot, Report, Section, Table
from slakh_hier.reporting.page import render_page
from slakh_hier.reporting.score_figures import Mark, draw_curves_of_rows, draw_intervals
from slakh_hier.reporting.tree_figures import TreeRow, draw_boxes, draw_counts

from .conftest import Page, Show, band_clip

EVIL = '"it\'s" <b>&amp;'
TIP = "document.querySelector('.tip:not([hidden])')?.textContent"


def point_at(page: Page, selector: str, place: int = 0, *, finger: bool = False) -> str:
    """The tooltip of a point of the drawing that is shown."""
    box = page.run(
        f"""(() => {{
          const found = [...document.querySelectorAll({selector!r})].filter(x => x.getClientRects().length)[{place}];
          found.scrollIntoView({{block: 'center'}});
          const {{ left, top, width, height }} = found.getBoundingClientRect();
          return [left + width / 2, top + height / 2];
        }})()"""
    )
    x, y = box
    if finger:
        page.driver.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
        )
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    else:
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    return str(page.wait(TIP))


@pytest.fixture(scope="module")
def figures_page() -> bytes:
    """Every figure with points, and the tree of the band beside its player."""
    one = pd.DataFrame({"epoch": [1], "train_loss": [0.5], "val_loss": [0.25]})
    two = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.5, 0.4], "val_loss": [0.25, 0.125]})
    rows = [
        TreeRow("mix", 0),
        TreeRow("guitars", 1),
        TreeRow("clean", 2),
        TreeRow("bass", 1),
        TreeRow("none", 1),
    ]
    counts = [(3, 0, 0), (3, 0, 0), (3, 0, 0), (2, 1, 0), (0, 0, 3)]
    marks = {"level 1": [Mark(EVIL, 3.0, (1.0, 5.0)), Mark("oracle", 9.0, hollow=True)]}
    boxes = {EVIL: {"guitars": [1.0, 2.0, 3.0, 30.0], "none": [1.0]}}
    plots = [
        Plot("tree", "The tree.", "a tree", partial(draw_counts, rows, counts, [0.1] * 5)),
        Plot("curves", "Curves.", "curves", partial(draw_curves_of_rows, {"one epoch": {"c": [one]}, "two": {"c": [two]}})),
        Plot("intervals", "Intervals.", "intervals", partial(draw_intervals, marks, "dB")),
        Plot("boxes", "Boxes.", "boxes", partial(draw_boxes, rows, boxes, "dB")),
    ]  # fmt: skip
    player = Player("all", [band_clip(n) for n in (2, 0)], (), ("target", "estimate"))
    return render_page(Report("figures", [Section("Clips", [player]), Section("Figures", plots)]))


def test_points_say_what_they_are(show: Show, figures_page: bytes) -> None:
    page = show(figures_page, 1440)
    texts = {
        "#f-intervals .broad [data-tips]": [f"{EVIL}, level 1: 3.00 [1.00, 5.00] dB", "oracle, level 1: 9.00 dB"],
        "#f-boxes .broad [data-tips]": ["guitars: median 2.5 dB, middle half 1.8 to 9.8 dB, 4 clips", "guitars: 30.0 dB"],
        "#f-tree .broad [data-tips]": ["mix: sounding in 3 clips", "guitars: sounding in 3 clips"],
        "#f-curves .broad [data-tips] use": ["epoch 1: training loss 0.5", "epoch 1: validation loss 0.25"],
    }  # fmt: skip
    for selector, expected in texts.items():
        for place, text in enumerate(expected):
            assert point_at(page, selector, place) == text
    page.look(390, "light")
    assert (
        point_at(page, "#f-boxes .narrow [data-tips]", finger=True) == texts["#f-boxes .broad [data-tips]"][0]
    )
    assert page.complaints() == []


def test_a_node_of_the_tree_plays(show: Show, figures_page: bytes) -> None:
    from selenium.webdriver import Keys

    page = show(figures_page, 1440)
    buttons = page.run(
        "[...document.querySelectorAll('#f-tree .broad [role=button]')].map(x => x.ariaDescription)"
    )
    assert buttons == ["Plays mix", "Plays guitars", "Plays clean", "Plays bass"]  # no clip has the last node
    page.click("#f-tree .broad [data-node=clean]")
    page.wait("document.querySelector('.loudness').value > -40")
    assert page.heard == "clean: target"
    page.clip(0)
    pressed = (
        "[...document.querySelectorAll('.broad [aria-pressed=true][data-node]')].map(x => x.dataset.node)"
    )
    page.wait(f"{pressed}.join() === 'clean,clean'")  # in both trees
    page.click("#f-tree .broad [data-node=clean]")
    page.wait(f"{pressed}.length === 0")
    # The first clip has no bass: the one that has is chosen.
    page.driver.execute_script("document.querySelector('#f-tree .broad [data-node=bass]').focus()")
    page.press(Keys.ENTER)
    page.clip(1)
    assert page.heard == "bass"
    assert page.complaints() == []


def test_one_epoch_is_seen(show: Show, figures_page: bytes) -> None:
    page = show(figures_page, 1440)
    marks = page.run(
        "[...document.querySelectorAll('#f-curves .broad [data-tips]')].map(x => x.querySelectorAll('use').length)"
    )
    assert marks == [1, 1, 2, 2]
    size = page.run(
        "document.querySelector('#f-curves .broad [data-tips] use').getBoundingClientRect().width"
    )
    assert size > 4


def test_figures_use_the_width(show: Show, figures_page: bytes) -> None:
    for width in (1440, 390):
        page = show(figures_page, width)
        room = page.run("document.querySelector('main').clientWidth")
        for drawn in page.run(
            "[...document.querySelectorAll('figure svg')].map(x => x.getBoundingClientRect().width).filter(x => x)"
        ):
            assert drawn > 0.9 * room


def test_the_difference_of_two_runs_is_not_cut_off(
    show: Show, run_folder: Path, other_run: Path, tmp_path: Path
) -> None:
    from slakh_hier.reporting.runs import run_report

    longer = tmp_path / "qbe-123-with-leaf-90-and-a-long-name"
    shutil.copytree(other_run, longer)
    page = show(render_page(run_report([run_folder, longer])), 1440)
    table = "[...document.querySelectorAll('h3')].find(x => x.textContent.startsWith('Improvement Δ')).nextElementSibling"
    assert page.run(f"{table}.scrollWidth <= {table}.clientWidth")
    heads = page.run(f"[...{table}.querySelectorAll('thead th')].map(x => x.textContent)")
    assert heads[1] == f"{longer.name} − first"
    overlap = page.run(
        f"[...{table}.querySelectorAll('thead th')].every(x => x.firstChild.getBoundingClientRect().right <= x.getBoundingClientRect().right + 1)"
    )
    assert overlap
    assert page.run("document.querySelectorAll('.warning').length") == 2


def test_the_heat_map_is_read_on_a_phone(show: Show) -> None:
    names = [f"a_node_with_a_long_name_{n}" for n in range(31)]
    rows = [
        {"of the clips with": one, **{other: (7 * n * m) % 101 for m, other in enumerate(names)}}
        for n, one in enumerate(names)
    ]
    page = show(
        render_page(Report("heat", [Section("Together", [Table("together", rows, False, "heat")])])), 390
    )
    for scheme in ("light", "dark"):
        page.look(390, scheme)
        assert page.run("document.documentElement.scrollWidth") <= 390
        assert page.run("parseFloat(getComputedStyle(document.querySelector('.heat td')).fontSize)") >= 12
        # The names of the rows stay when the table is scrolled.
        page.driver.execute_script("document.querySelector('.wide').scrollLeft = 500")
        assert page.run("document.querySelector('.heat tbody th').getBoundingClientRect().left") < 20
        values = page.run(
            "[...document.querySelectorAll('.heat tbody tr')].map(x => [...x.querySelectorAll('td')].map(y => y.textContent))"
        )
        assert values[3][5] == str(rows[3][names[5]])
    page.look(1440, "light")
    assert page.run(
        "document.querySelector('.wide').scrollWidth <= document.querySelector('.wide').clientWidth"
    )


def test_long_tables_are_folded(show: Show) -> None:
    short, long = ([{"row": n} for n in range(count)] for count in (12, 13))
    page = show(
        render_page(Report("tables", [Section("Tables", [Table("short", short), Table("long", long)])]))
    )
    folded = "[...document.querySelectorAll('table')].map(x => x.getClientRects().length === 0 || !x.checkVisibility())"
    assert page.run(folded) == [False, True]
    assert page.run("document.querySelector('summary').textContent") == "long (13)"
    page.click("summary")
    assert page.run(folded) == [False, False]
