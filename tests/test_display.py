"""How objects show themselves: in one line, and in notebooks as tables, pictures and players."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import slakh_hier as sh
from slakh_hier.display import PLAYER, Grid, Shown, grids
from slakh_hier.errors import InputError, MissingExtraError
from slakh_hier.hierarchy import parse_hierarchy
from slakh_hier.hierarchy.describe import outline

HOSTILE = "<script>alert(1)</script>\x1b[31m"


class Tags(HTMLParser):
    """The tags of a text, all of which must be closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_lines_are_short(small_catalog: Any, small_plan: Any, small_set: Path) -> None:
    shards = sh.open_shards(small_set)
    for value in (small_catalog.hierarchy, small_catalog, small_plan, shards, shards[0]):
        assert len(repr(value)) < 120 + len(str(small_catalog.root)) + len(str(small_set))
        assert type(value).__name__ in repr(value)
    assert repr(small_catalog.hierarchy) == "<Hierarchy slakh34: 3 levels (4, 8 and 18 nodes), 36 categories>"
    assert "10 train, 6 validation, 4 test clips of 2 s, target any node" in repr(small_plan)


def test_tables_of_notebooks(small_catalog: Any, small_plan: Any, small_set: Path) -> None:
    for value, words in (
        (small_catalog, ("train", "stems", "hours")),
        (small_plan, ("SI-SDR 3", "clean_guitars", "candidates")),
        (sh.open_shards(small_set, split="test"), ("Nodes", "midrange_strings_keys", "mean_rms_dbfs")),
    ):
        text = value._repr_html_()
        assert {"table", "th", "td"} <= set(Tags(text).seen)
        assert all(word in text for word in words)


@pytest.mark.parametrize("name", sh.shipped())
def test_a_tree_is_a_picture_of_all_its_nodes(name: str) -> None:
    tree = sh.load_hierarchy(name)
    root = ElementTree.fromstring(tree._repr_html_())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["mix", *(line.name for line in outline(tree))]
    heights = [float(element.get("y", "0")) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert heights == sorted(set(heights))
    assert max(heights) < float(root.get("height", "0"))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == len(texts) - 1


def test_what_others_wrote_is_text() -> None:
    @dataclass(repr=False)
    class Made(Shown):
        folder: str
        failures: tuple[str, ...]

    made = Made(HOSTILE, ("a", "b"))
    for text in (made._repr_html_(), grids(Grid(HOSTILE, [{HOSTILE: HOSTILE}], folded=True))):
        assert "script" not in Tags(text).seen
        assert "\x1b" not in text
    assert repr(made).endswith(", failures 2>")
    tree = parse_hierarchy(
        "{schema: 1, name: b, levels: 1, tree: {all: {match: {inst_class: ['<script>']}}}}", "odd.yaml"
    )
    assert "script" not in Tags(tree._repr_html_()).seen


def test_reports_count_what_they_list(small_plan: Any, tmp_path: Path) -> None:
    report = sh.render(small_plan, tmp_path / "set", sample_rate=4000, jobs=1)
    assert re.fullmatch(r"<RenderReport: folder .*, clips 20, .*, finished yes, repaired 0>", repr(report))
    assert "<td>" not in report._repr_html_()  # each has its side
    assert "finished" in report._repr_html_()


def test_a_clip_is_a_mapping_of_its_nodes(small_set: Path) -> None:
    shards = sh.open_shards(small_set)
    clip = shards[3]
    assert clip.keys()[0] == "mix"
    assert "guitars" in clip
    assert "nothing" not in clip
    assert list(clip) == list(clip.keys()) == clip._ipython_key_completions_()
    assert len(clip) == len(shards.nodes)
    assert np.array_equal(dict(clip)["guitars"], clip["guitars"])
    assert clip.sample_rate == 8000
    assert [part.number for part in shards[2:8:3]] == [2, 5]
    assert [part.number for part in shards[-2:]] == [len(shards) - 2, len(shards) - 1]
    assert shards[len(shards) :] == []


def test_a_clip_plays_its_nodes(small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = sh.open_shards(small_set)[0]
    pytest.importorskip("IPython")
    import io

    import soundfile

    sound, rate = soundfile.read(io.BytesIO(clip.play("guitars").data), dtype="float32")
    assert rate == 8000
    assert np.allclose(sound.T, np.squeeze(clip["guitars"]), atol=2**-14)
    with pytest.raises(InputError, match="did you mean guitars"):
        clip.play("guitar")
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setattr("slakh_hier.shards.clip.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs IPython"):
        clip.play()


def test_a_clip_in_a_notebook_is_the_pages_player(small_set: Path) -> None:
    pytest.importorskip("jinja2")
    clip = sh.open_shards(small_set)[0]
    frame = clip._repr_html_()
    assert frame is not None
    assert Tags(frame).seen == ["iframe"]
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    page = unescape(frame)
    assert 'class="small"' in page
    assert all(f'"{name}"' in page for name in clip if clip.state(name) == "sounding")
    assert "<header>" not in page
    assert len(frame) < 1_200_000


def test_without_the_extra_a_clip_is_a_line(small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> Any:
        if name == PLAYER:
            raise MissingExtraError("jinja2", "report")
        return import_module(name)

    monkeypatch.setattr("slakh_hier.display.import_module", lacking)
    assert sh.open_shards(small_set)[0]._repr_html_() is None


def test_the_page_lists_the_namespace() -> None:
    page = (Path(__file__).parents[1] / "docs" / "api" / "index.md").read_text()
    listed = re.findall(r"^\| \[`(\w+)`\]\[([\w.]+)\]", page, re.MULTILINE)
    assert sorted(name for name, _ in listed) == [
        name for name in sorted(sh.__all__) if name != "__version__"
    ]
    for name, place in listed:
        module, _, attribute = place.rpartition(".")
        if not module.startswith(("slakh_hier.models", "slakh_hier.reporting")):  # extras
            assert getattr(import_module(module), attribute) is getattr(sh, name)
