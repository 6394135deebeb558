"""``make_recordings``: tiny data sets of "recordings" (tones) in the true layouts that ``import --layout`` knows.

They have what real copies have: files that are listed and missing, several rates, mono among stereo, silent stems, a limited
mixture, a mix that is not the plain sum, room microphones, notes and videos beside the audio.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.paths import StrPath
from slakh_hier.wording import did_you_mean

Samples = NDArray[np.float64]
_NOISY: Final = ("drum", "kick", "snare", "hat", "toms", "overheads", "cymbals", "percussion")
_LOW: Final = ("bass", "cello", "vc", "db")

_MOISESDB: Final = (
    ("Song One", "Artist A", "rock", {
        "vocals": ["lead_male_singer", "background_vocals", "background_vocals"],
        "bass": ["bass_guitar"],
        "drums": ["kick_drum", "snare_drum", "hi_hat", "toms", "toms"],
        "guitar": ["clean_electric_guitar", "distorted_electric_guitar"],
    }),
    ("Song Two", "Artist A", "rock", {
        "vocals": ["lead_male_singer"],
        "bass": ["bass_guitar"],
        "drums": ["full_acoustic_drumkit"],
        "guitar": ["acoustic_guitar", "clean_electric_guitar"],
    }),
    ("Blue Night", "Artist B", "singer_songwriter", {
        "vocals": ["lead_female_singer", "background_vocals"],
        "bass": ["contrabass/double_bass_(bass_of_instrings)"],
        "drums": ["kick_drum", "snare_drum", "cymbals"],
        "percussion": ["a-tonal_percussion_(claps,_shakers,_congas,_cowbell_etc)"],
        "guitar": ["acoustic_guitar"],
    }),
    ("Machines", "Artist C", "electronic", {
        "vocals": ["other_(vocoder,_beatboxing_etc)", "lead_female_singer"],
        "bass": ["bass_synthesizer_(moog_etc)"],
        "drums": ["drum_machine"],
        "other_keys": ["synth_lead", "synth_pad"],
        "other": ["fx/processed_sound,_scratches,_gun_shots,_explosions_etc"],
    }),
    ("Horns", "Artist D", "jazz", {
        "vocals": ["lead_female_singer"],
        "bass": ["bass_guitar"],
        "drums": ["full_acoustic_drumkit"],
        "wind": ["brass_(trumpet,_trombone,_french_horn,_brass_etc)"],
        "guitar": ["clean_electric_guitar"],
    }),
    ("Last", "Artist E", "pop", {
        "vocals": ["lead_male_singer"],
        "bass": ["bass_guitar"],
        "drums": ["kick_drum", "snare_drum"],
        "guitar": ["acoustic_guitar"],
        "other_plucked": ["banjo,_mandolin,_ukulele,_harp_etc"],
    }),
)  # fmt: skip
_MUSDB: Final = {
    "train": (
        "A Classic Education - NightOwl",
        "Actions - One Minute Smile",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Music Delta - Rock",
        "Music Delta - Country1",
    ),
    "test": ("Al James - Schoolboy Facination", "PR - Happy Daze", "PR - Oh No"),
}
_MEDLEYDB: Final[Mapping[str, tuple[str, str, list[Any]]]] = {
    "AClassicEducation_NightOwl": ("A Classic Education", "no", ["electric bass", "drum set", "male singer"]),
    "AimeeNorwich_Child": ("Aimee Norwich", "no", ["drum set", "electric bass", "female singer"]),
    "AimeeNorwich_Flying": ("Aimee Norwich", "no", ["drum set", "electric bass", "piano", "cello"]),
    "AmadeusRedux_MozartAllegro": ("Amadeus Redux", "yes", ["cello", "violin", "Main System"]),
    "LizNelson_Rainfall": ("Liz Nelson", "no", ["acoustic guitar", "female singer"]),
    "MusicDelta_Rock": ("Music Delta Multitracks", "no", ["drum set", "electric bass", "male singer"]),
    "MusicDelta_Country1": ("Music Delta Multitracks", "no", ["drum set", "electric bass", "male singer"]),
    "Snowmine_Curfews": ("Snowmine", "no", ["drum set", "synthesizer", ["male singer", "vocalists"]]),
}
_URMP: Final = (
    "01_Jupiter_vn_vc", "02_Sonata_vn_vn", "08_Spring_fl_vn", "12_Spring_vn_vn_vc", "13_Hark_vn_vn_va", "19_Pavane_cl_vn_vc",
    "38_Jerusalem_vn_vn_va_vc_db",
)  # fmt: skip
_ENSEMBLESET: Final = {
    "MiseroPargoletto": ["Violin_1", "Violin_2", "Viola", "Cello"],
    "QuartetA": ["Violin_1", "Violin_2", "Viola", "Cello"],
    "WindTrio": ["Flute", "Clarinet", "Bassoon"],
    "Mixed": ["Violin_1", "Flute", "Cello"],
    "QuartetB": ["Violin_1", "Violin_2", "Viola", "Cello"],
    "DuoC": ["Violin_1", "Cello"],
}


def make_recordings(folder: StrPath, layout: str, *, seconds: float = 4.0, sample_rate: int = 44_100) -> Path:
    """Make a tiny data set in the layout of a data set of recordings; every sample follows from the arguments.

    Parameters
    ----------
    folder
        Where the data set is put, under its own name; made where it is missing.
    layout
        As ``import --layout`` takes it.
    seconds
        Length of the songs, s.
    sample_rate
        Hz. One stem of MoisesDB is recorded at another rate.

    Returns
    -------
    The data set's folder, to be given to ``import``.

    Raises
    ------
    InputError
        There is no such layout, or the data set is there already.
    """
    if layout not in _MAKERS:
        raise InputError(f"no layout is called {layout!r}: {did_you_mean(layout, _MAKERS)}")
    place, make = _MAKERS[layout]
    root = Path(folder) / place
    if root.exists():
        raise InputError(f"{root} exists: choose another folder")
    make(root, round(seconds * sample_rate), sample_rate)
    return root


def _moisesdb(root: Path, frames: int, rate: int) -> None:
    for number, (title, artist, genre, stems) in enumerate(_MOISESDB):
        folder = root / _uuid("song", number)
        # A stem that has three tracks or more is listed twice.
        listed = [(stem, part) for stem, kinds in stems.items() for part in (kinds[:2], kinds[2:]) if part]
        entries = []
        for entry, (stem, kinds) in enumerate(listed):
            tracks = []
            for place, kind in enumerate(kinds):
                track = _uuid(number, entry, place)
                # The double bass at another rate, kicks in mono, a horn that ends early, cymbals missing.
                own = rate * 160 // 147 if "double_bass" in kind else rate
                count = frames * own // rate * 9 // (10 if "brass" in kind else 9)
                if kind != "cymbals":
                    channels = 1 if kind == "kick_drum" else 2
                    _write(folder / stem / f"{track}.wav", tone(track, kind, count, own, channels), own)
                bleed = title == "Song One" and kind == "snare_drum"
                tracks.append({"id": track, "trackType": kind, "extension": "wav", "has_bleed": bleed})
            entries.append({"id": _uuid("stem", number, entry), "stemName": stem, "tracks": tracks})
        about = {"song": title, "artist": artist, "genre": genre, "stems": entries}
        (folder / "data.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _musdb18hq(root: Path, frames: int, rate: int) -> None:
    for split, names in _MUSDB.items():
        for name in names:
            stems = {
                stem: tone(f"{name}/{stem}", stem, frames, rate)
                for stem in ("vocals", "drums", "bass", "other")
            }
            if name.startswith("PR"):
                stems["vocals"] *= 0
            mixture = sum(stems.values(), np.zeros((frames, 2)))
            if name.startswith("Al James"):
                mixture = np.tanh(1.5 * mixture)  # a limiter
            for stem, samples in {**stems, "mixture": mixture}.items():
                _write(root / split / name / f"{stem}.wav", samples, rate)


def _medleydb(root: Path, frames: int, rate: int) -> None:
    coefficients = {}
    for song, (artist, bleed, instruments) in _MEDLEYDB.items():
        folder, mix, stems, gains = root / "Audio" / song, np.zeros((frames, 2)), {}, {}
        for number, instrument in enumerate(instruments, start=1):
            word = instrument if isinstance(instrument, str) else instrument[0]
            samples = tone(f"{song}/{number}", word, frames, rate, level=0.2 / len(instruments) ** 0.5)
            file, raw = f"{song}_STEM_{number:02d}.wav", f"{song}_RAW_{number:02d}_01.wav"
            _write(folder / f"{song}_STEMS" / file, samples, rate)
            _write(folder / f"{song}_RAW" / raw, samples.mean(axis=1, keepdims=True), rate)
            stems[f"S{number:02d}"] = {"component": "", "filename": file, "instrument": instrument}
            if word != "Main System":
                gains[number] = round(1.5 / number, 2)
                mix += gains[number] * samples
        _write(folder / f"{song}_MIX.wav", mix, rate)
        about = {
            "artist": artist, "genre": "Rock", "has_bleed": bleed, "stem_dir": f"{song}_STEMS", "stems": stems,
            "title": song.partition("_")[2],
        }  # fmt: skip
        _text(root / "Metadata" / f"{song}_METADATA.yaml", yaml.safe_dump(about))
        coefficients[song] = {
            name: {number: factor * gain for number, gain in gains.items()}
            for name, factor in (("audio", 1.25), ("stft", 0.75))
        }
    _text(root / "mixing_coefficients.yaml", yaml.safe_dump(coefficients))


def _urmp(root: Path, frames: int, rate: int) -> None:
    for piece in _URMP:
        number, title, *players = piece.split("_")
        mix = np.zeros((frames, 1))
        for place, player in enumerate(players, start=1):
            samples = tone(f"{piece}/{place}", player, frames, rate, channels=1)
            mix += samples
            end = f"{place}_{player}_{number}_{title}"
            _write(root / piece / f"AuSep_{end}.wav", samples, rate, "PCM_24")
            _text(root / piece / f"Notes_{end}.txt", "0.10\t440.0\t0.50\n")
            _text(root / piece / f"F0s_{end}.txt", "0.023\t440.0\n")
        _write(root / piece / f"AuMix_{piece}.wav", mix, rate, "PCM_24")
        for name in (f"Sco_{piece}.mid", f"Sco_{piece}.pdf", f"Vid_{piece}.mp4"):
            _text(root / piece / name, "")
    _text(root / "Supplementary_Files" / "README.txt", "not a piece\n")


def _ensembleset(root: Path, frames: int, rate: int) -> None:
    for piece, instruments in _ENSEMBLESET.items():
        for microphone, level in (("Mix_1", 1.0), ("Close", 0.7), ("Tree", 0.4)):
            for name in instruments:
                samples = level * tone(f"{piece}/{name}", name, frames, rate)
                _write(root / piece / microphone / f"{name}.flac", samples, rate)


_MAKERS: Final[Mapping[str, tuple[str, Callable[[Path, int, int], None]]]] = {
    "moisesdb": ("moisesdb/moisesdb_v0.1", _moisesdb),
    "musdb18hq": ("musdb18hq", _musdb18hq),
    "medleydb": ("MedleyDB", _medleydb),
    "urmp": ("URMP/Dataset", _urmp),
    "ensembleset": ("EnsembleSet/BBCSO_Ensembles", _ensembleset),
}
"""The data set's folder, and what fills it."""


def tone(key: str, word: str, frames: int, rate: int, channels: int = 2, level: float = 0.12) -> Samples:
    """What a stem holds, (frames, channels): bursts of noise for drums, three harmonics for others, low ones for basses.

    In stereo a delayed part goes to both sides with opposite signs: the sides are not the same.

    Parameters
    ----------
    key
        Another key, another sound.
    word
        The instrument.
    """
    rng = np.random.default_rng(crc32(key.encode()))
    time = np.arange(frames) / rate
    word = word.lower()
    if any(noisy in word for noisy in _NOISY):
        mono = rng.standard_normal(frames) * np.where((time * 4 + rng.random()) % 1 < 0.3, 1, 0.05)
    else:
        low = any(word.startswith(name) for name in _LOW) or "bass" in word
        pitch = rng.uniform(45, 110) if low else rng.uniform(160, 1400)
        mono = sum(
            (
                np.sin(2 * np.pi * pitch * harmonic * time + rng.uniform(0, 6)) / harmonic
                for harmonic in (1, 2, 3)
            ),
            np.zeros(frames),
        )
    mono = mono * level * (0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * time))
    if channels == 1:
        return np.asarray(mono[:, None])
    side = 0.3 * np.roll(mono, int(rng.integers(20, 400)))
    pan = rng.uniform(0.1, 0.9)
    return np.stack([mono * np.sqrt(1 - pan) + side, mono * np.sqrt(pan) - side], axis=1)


def _write(path: Path, samples: Samples, rate: int, subtype: str = "PCM_16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(samples, -1, 1 - 2**-15), rate, subtype=subtype)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _uuid(*parts: object) -> str:
    rng = np.random.default_rng(crc32(repr(parts).encode()))
    return str(UUID(bytes=rng.bytes(16), version=4))
