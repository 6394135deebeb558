"""URMP and EnsembleSet: which files are instruments, and which are left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.errors import InputError
from slakh_hier.importing.layouts import LayoutOptions

Recordings = Callable[[str], Path]


def test_urmp_takes_players_and_the_mix_alone(
    recordings: Recordings, take: Any, metadata: Any, tmp_path: Path
) -> None:
    root = recordings("urmp")
    junk = root / "__MACOSX" / "01_Jupiter_vn_vc"
    junk.mkdir(parents=True)
    (junk / "AuSep_1_vn_01_Jupiter.wav").write_bytes(b"")
    (root / "02_Sonata_vn_vn" / "._AuSep_1_vn_02_Sonata.wav").write_bytes(b"")
    (root / "40_Lost_vn_vc").mkdir()
    report = take("urmp", root)
    assert dict(report.failures) == {"40_Lost_vn_vc": "holds no AuSep_*.wav, the recording of a player"}
    found = metadata()
    assert len(found) == 7
    jerusalem = found["38_Jerusalem_vn_vn_va_vc_db"]
    assert [stem["labels"][-1] for stem in jerusalem["stems"].values()] == [
        "violin",
        "violin",
        "viola",
        "cello",
        "double_bass",
    ]
    assert found["19_Pavane_cl_vn_vc"]["stems"]["S00"]["labels"] == ["winds", "single_reeds", "clarinet"]
    assert found["01_Jupiter_vn_vc"]["title"] == "Jupiter"
    assert len(list((tmp_path / "data").glob("*/*/mix.wav"))) == 7


def test_urmp_pieces_of_one_title_stay_in_one_split(recordings: Recordings, take: Any, metadata: Any) -> None:
    root = recordings("urmp")
    for seed in range(4):
        take("urmp", root, f"data{seed}", seed=seed, splits="34,33,33")
        found = metadata(f"data{seed}")
        first, second = found["08_Spring_fl_vn"], found["12_Spring_vn_vn_vc"]
        assert first["UUID"] == second["UUID"]
        assert first["split"] == second["split"]


@pytest.mark.parametrize(
    ("piece", "file", "renamed", "remark", "labels"),
    [
        (
            "19_Pavane_cl_vn_vc",
            "AuSep_3_vc_19_Pavane.wav",
            "AuSep_3_vn_19_Pavane.wav",
            "taken as vc, by the name of its folder",
            ["clarinet", "violin", "cello"],
        ),
        (
            "01_Jupiter_vn_vc",
            "AuSep_1_vn_01_Jupiter.wav",
            "AuSep_1_kazoo_01_Jupiter.wav",
            "no instrument is known as kazoo",
            ["kazoo", "cello"],
        ),
    ],
)
def test_urmp_files_that_are_called_otherwise(
    piece: str,
    file: str,
    renamed: str,
    remark: str,
    labels: list[str],
    recordings: Recordings,
    take: Any,
    metadata: Any,
) -> None:
    root = recordings("urmp")
    (root / piece / file).rename(root / piece / renamed)
    assert (piece, f"{renamed}: {remark}") in take("urmp", root).remarks
    assert [stem["labels"][-1] for stem in metadata()[piece]["stems"].values()] == labels


def test_players_and_instruments_that_are_missing(recordings: Recordings, take: Any) -> None:
    urmp, ensembles = recordings("urmp"), recordings("ensembleset")
    next(urmp.glob("13_*/AuSep_2_*")).unlink()
    (ensembles / "QuartetA" / "Mix_1" / "Viola.flac").unlink()
    (player,) = take("urmp", urmp).unmatched
    assert (player.file, player.hint) == (
        "AuSep_2_vn_*.wav",
        "is a player in the name of the folder and not there",
    )
    assert player.songs[0].startswith("13_")
    (viola,) = take("ensembleset", ensembles, "ensembles").unmatched
    assert (viola.file, viola.songs) == ("Mix_1/Viola.flac", ("QuartetA",))
    assert viola.hint == "is with another microphone and not there"


@pytest.mark.parametrize("microphone", [None, "Tree"])
def test_ensembleset_takes_one_microphone(
    microphone: str | None, recordings: Recordings, take: Any, metadata: Any
) -> None:
    root = recordings("ensembleset")
    take("ensembleset", root, layout_options=LayoutOptions(microphone=microphone))
    found = metadata()
    assert len(found) == 6
    sources = [stem["source"] for about in found.values() for stem in about["stems"].values()]
    assert len(sources) == 20
    assert {source.partition("/")[0] for source in sources} == {microphone or "Mix_1"}
    violins = [stem for stem in found["QuartetA"]["stems"].values() if stem["labels"][-1] == "violin"]
    assert [stem["source"].partition("/")[2] for stem in violins] == ["Violin_1.flac", "Violin_2.flac"]


def test_ensembleset_pieces_without_the_microphone(recordings: Recordings, take: Any) -> None:
    root = recordings("ensembleset")
    (root / "DuoC" / "Mix_1").rename(root / "DuoC" / "Mix_2")
    assert dict(take("ensembleset", root).failures) == {
        "DuoC": "has no microphone Mix_1: --microphone takes one of Close, Mix_2, Tree"
    }
    with pytest.raises(
        InputError, match="has no microphone Balcony: --microphone takes one of Close, Mix_1, Tree"
    ):
        take("ensembleset", root, layout_options=LayoutOptions(microphone="Balcony"))


def test_ensembleset_microphones_in_another_case(recordings: Recordings, take: Any) -> None:
    root = recordings("ensembleset")
    (root / "DuoC" / "Tree").rename(root / "DuoC" / "TREE")
    assert take("ensembleset", root, layout_options=LayoutOptions(microphone="tree")).made == 6


def test_ensembleset_mixes_and_other_files(
    recordings: Recordings, take: Any, metadata: Any, tmp_path: Path
) -> None:
    root = recordings("ensembleset")
    folder = root / "DuoC" / "Mix_1"
    (folder / "mix.flac").write_bytes((folder / "Cello.flac").read_bytes())
    (folder / "Kazoo_1.flac").write_bytes((folder / "Cello.flac").read_bytes())
    report = take("ensembleset", root)
    assert ("DuoC", "not taken, since no instrument is called so: Kazoo_1.flac") in report.remarks
    assert len(list((tmp_path / "data").glob("*/*/mix.flac"))) == 1


def test_options_of_other_layouts_are_refused(recordings: Recordings, take: Any) -> None:
    with pytest.raises(InputError, match="--microphone belongs to EnsembleSet, not to URMP"):
        take("urmp", recordings("urmp"), layout_options=LayoutOptions(microphone="Tree"))
    with pytest.raises(InputError, match="--main-system belongs to MedleyDB, not to EnsembleSet"):
        take("ensembleset", recordings("ensembleset"), layout_options=LayoutOptions(main_system=True))
    with pytest.raises(InputError, match="no layout is called 'moises': did you mean moisesdb"):
        take("moises", recordings("moisesdb"))
