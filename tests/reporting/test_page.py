"""A page is one file without code of others: names are text, nothing is fetched, the same input gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from slakh_hier.reporting.document import Lane, Player, PlayerClip, Report, Section
from slakh_hier.reporting.experiment import experiment_report
from slakh_hier.reporting.page import SCRIPTS, render_page
from slakh_hier.reporting.portable import portable
from slakh_hier.reporting.shard_set import shard_report
from slakh_hier.reporting.theme import save_plots


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the text of scripts."""

    def __init__(self, page: bytes):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1] == ("script", {}) and data.strip():
            self.scripts.append(data)


def test_hostile_names_make_no_elements(hostile_page: bytes) -> None:
    elements = Elements(hostile_page)
    assert not [a for _, attributes in elements.found for a in attributes if a.startswith("on")]
    assert {tag for tag, _ in elements.found}.isdisjoint({"img", "iframe", "object", "embed", "base", "form"})
    scripts = [attributes for tag, attributes in elements.found if tag == "script"]
    assert [attributes for attributes in scripts if attributes.get("type") != "application/json"] == [{}]


def test_nothing_leads_outside(hostile_page: bytes) -> None:
    for tag, attributes in Elements(hostile_page).found:
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert b"@import" not in hostile_page
    assert b"url(http" not in hostile_page


def test_no_page_has_a_path_of_its_machine(
    hostile_set: Path,
    hostile_page: bytes,
    experiment_of_runs: Path,
    run_folder: Path,
    other_run: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from slakh_hier.reporting.runs import run_report

    damaged = shutil.copytree(hostile_set, tmp_path / "damaged")
    for name in ("failures.jsonl", "catalog.csv", "plan.yaml"):
        (damaged / name).write_text("{]")
    lost = shutil.copytree(experiment_of_runs.parent, tmp_path / "lost") / "levels"
    for data in lost.parent.glob("runs/*/*/data.json"):
        data.write_text('{"shards": "/somewhere/else/shards"}')
    unread = shutil.copytree(experiment_of_runs.parent, tmp_path / "unread") / "levels"
    for config in unread.parent.glob("runs/*/*/config.yaml"):
        config.write_text("{]")
    reports = [
        shard_report(damaged),
        run_report([run_folder]),
        run_report([run_folder, other_run]),
        *map(experiment_report, (experiment_of_runs, lost, unread)),
    ]
    assert "Not known: …/failures.jsonl" in str(reports[0]) or "Not known: damaged/" in str(reports[0])
    assert "Not shown: " in str(reports[-1].sections)
    for page in [hostile_page, *map(render_page, reports)]:
        for path in (tmp_path_factory.getbasetemp(), Path("/somewhere"), Path.home()):
            assert str(path).encode() not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/b/plan.yaml: line 3: bad", "…/plan.yaml: line 3: bad"),
        ("/home/my name/set/x.csv: bad", "set/x.csv: bad"),
        ("open '/a/b/c' (/d/e) and x=/f/g", "open '…/c' (…/e) and x=…/g"),
        ("https://host/a/b, 3 / 4, runs/a, and/or, s3://bucket/x", None),
    ],
)
def test_paths_in_sentences_end_in_their_names(text: str, shown: str | None) -> None:
    assert portable(text, Path("/home/my name/set")) == (text if shown is None else shown)


def test_the_policy_allows_only_our_script(hostile_page: bytes) -> None:
    elements = Elements(hostile_page)
    policy = next(
        a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"
    )
    (script,) = elements.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")


def test_identifiers_are_used_once(hostile_page: bytes) -> None:
    ids = [attributes["id"] for _, attributes in Elements(hostile_page).found if "id" in attributes]
    # Matplotlib draws the same clip path twice under one name; they are equal, so that either serves.
    ours = [name for name in ids if not re.search(r"-p[0-9a-f]{10}$|-m[0-9a-f]{10}$", name or "")]
    assert len(ours) == len(set(ours))


def test_the_same_set_gives_the_same_bytes(hostile_set: Path, hostile_page: bytes, tmp_path: Path) -> None:
    again = shard_report(hostile_set)
    assert render_page(again) == hostile_page
    first, second = (save_plots(again.plots[:1], tmp_path / name) for name in "ab")
    assert [path.suffix for path in first[:2]] == [".png", ".svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert not [path for path in first if b"<dc:date>" in path.read_bytes()]


def test_all_assets_are_package_data() -> None:
    import tomllib

    root = Path(__file__).parents[2]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert patterns["slakh_hier.reporting"] == ["assets/*"]
    names = {path.name for path in (files("slakh_hier.reporting") / "assets").iterdir()}
    assert names == {"page.html", "page.css", *SCRIPTS}


def test_twenty_clips_stay_below_15_mb() -> None:
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal((12, 10 * 16_000))).astype(
        np.float32
    )  # compresses worse than any music
    lanes = [
        Lane("mix", "mix", 0, tuple(range(12))),
        *(Lane(f"node {n}", f"{n}", 1, (n,)) for n in range(12)),
    ]
    clip = PlayerClip("noise", 16_000, list(noise), lanes)
    page = render_page(Report("big", [Section("clips", [Player("all", [clip] * 20)])]))
    assert 5e6 < len(page) < 15e6
