"""SoundFonts (SF2, and SF3 with Ogg Vorbis samples): presets as flat lists of zones, samples as floats.

Source: SoundFont Technical Specification 2.04 (E-mu, 2006); numbers of generators are those of its section 8.1.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError

DRUM_BANK = 128
_GENERATORS = 61
_KEY_RANGE, _VELOCITY_RANGE, _INSTRUMENT, _SAMPLE = 43, 44, 41, 53
_VORBIS = 0x10
_ROM = 0x8000

_DEFAULTS = np.zeros(_GENERATORS, np.int32)
_DEFAULTS[[8]] = 13500
_DEFAULTS[[21, 23, 25, 26, 27, 28, 30, 33, 34, 35, 36, 38]] = -12000
_DEFAULTS[[46, 47, 58]] = -1
_DEFAULTS[56] = 100
_NOT_ADDED = [0, 1, 2, 3, 4, 12, 43, 44, 45, 46, 47, 50, 53, 54, 57, 58]  # a preset may not set these

_PHDR = np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")])
_INST = np.dtype([("name", "S20"), ("bag", "<u2")])
_BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GEN = np.dtype([("kind", "<u2"), ("amount", "<i2")])
_SHDR = np.dtype(
    [("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4"), ("loop_end", "<u4"),
     ("rate", "<u4"), ("key", "u1"), ("correction", "i1"), ("link", "<u2"), ("kind", "<u2")]
)  # fmt: skip


_TABLES = {
    b"phdr": _PHDR, b"pbag": _BAG, b"pgen": _GEN, b"inst": _INST, b"ibag": _BAG, b"igen": _GEN, b"shdr": _SHDR,
}  # fmt: skip


@dataclass(frozen=True)
class Zone:
    """One sample with how it is played, for a range of keys and velocities (inclusive)."""

    sample: int
    keys: tuple[int, int]
    velocities: tuple[int, int]
    start: int
    end: int
    loop_start: int
    loop_end: int
    """``start`` to ``loop_end``: in samples of the SoundFont; an SF3's are counted from its sample's beginning."""
    looped: bool
    """Whether the loop is played."""
    rate: int
    root: int
    scale: int
    """``root`` and ``scale``: key of the sample, and cents per key (100 but for a few effects)."""
    tune: float
    """Cents."""
    attenuation: float
    """dB."""
    delay: float
    attack: float
    hold: float
    decay: float
    release: float
    """``delay`` to ``release``: of the volume envelope (s); decay and release are the times for 100 dB."""
    sustain: float
    """dB below the peak."""
    hold_by_key: int
    decay_by_key: int
    """``hold_by_key`` and ``decay_by_key``: timecents per key below 60."""
    cutoff: float
    resonance: float
    """``cutoff`` and ``resonance``: of the low-pass filter (Hz, dB)."""
    group: int
    """Notes of the same group other than 0 stop each other (hi-hats)."""
    fixed_key: int
    fixed_velocity: int

    def plays(self, key: int, velocity: int) -> bool:
        low, high = self.keys
        soft, loud = self.velocities
        return low <= key <= high and soft <= velocity <= loud

    def ratio(self, key: int, rate: int) -> float:
        """Samples of the SoundFont per sample of output at ``rate`` Hz."""
        key = self.fixed_key if self.fixed_key >= 0 else key
        cents = (key - self.root) * self.scale + self.tune
        return float(2 ** (cents / 1200)) * self.rate / rate


class SoundFont:
    """An SF2 or SF3 file: its presets, read from disk when they are asked for."""

    def __init__(self, path: str | Path):
        """Read the tables of a SoundFont.

        Raises
        ------
        InputError
            There is no such file, or it is not a SoundFont.
        """
        self.path = Path(path)
        try:
            self._read()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, IndexError, KeyError) as error:
            raise InputError(f"{path}: is not a SoundFont that can be used (SF2 or SF3): {error}") from error
        if not self._presets:
            raise InputError(f"{path}: holds no preset")

    def zones(self, bank: int, program: int) -> tuple[Zone, ...]:
        """The zones of a preset, or of the nearest that is there (:func:`preset_order`); nothing at all is ()."""
        for place in preset_order(bank, program):
            if place in self._presets:
                try:
                    return self._flatten(*place)
                except (IndexError, ValueError) as error:
                    raise InputError(
                        f"{self.path}: its preset {place[0]}:{place[1]} is damaged: {error}"
                    ) from error
        return ()

    def samples(self, zone: Zone) -> NDArray[np.float32]:
        """The zone's samples from its start to its end, full scale 1.0, shape (samples,)."""
        if self._tables[b"shdr"][zone.sample]["kind"] & _VORBIS:
            return self._decoded(self._tables[b"shdr"][zone.sample])[zone.start : zone.end]
        return self._data[zone.start : zone.end].astype(np.float32) / 32768.0

    def _decoded(self, head: np.void) -> NDArray[np.float32]:
        """A compressed sample, whole."""
        first, last = (self._data_place + int(head[name]) for name in ("start", "end"))
        return _decode(self._file[first:last].tobytes())

    def _read(self) -> None:
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"sfbk":
            raise ValueError("it does not begin as one (RIFF ... sfbk)")
        # Mapped: SoundFonts of a gigabyte exist, and a song uses a few of their samples.
        self._file = np.memmap(self.path, np.uint8, "r")
        chunks = {}
        for kind, start, length in self._chunks(12, size):
            if kind == b"LIST":
                chunks.update({k: (s, n) for k, s, n in self._chunks(start + 4, start + length)})
        self._tables: dict[bytes, NDArray[np.void]] = {}
        for kind, dtype in _TABLES.items():
            if kind not in chunks:
                raise ValueError(f"its {kind.decode()} table is missing")
            start, length = chunks[kind]
            count = length // dtype.itemsize
            raw = self._file[start : start + count * dtype.itemsize].tobytes()
            self._tables[kind] = np.frombuffer(raw, dtype)
        if b"smpl" not in chunks:
            raise ValueError("it holds no samples")
        self._data_place, length = chunks[b"smpl"]
        self._data = self._file[self._data_place : self._data_place + length // 2 * 2].view("<i2")
        headers = self._tables[b"phdr"][:-1]  # the last row ends the table
        self._presets: dict[tuple[int, int], int] = {}
        for index, (bank, program) in enumerate(zip(headers["bank"], headers["program"], strict=True)):
            self._presets.setdefault((int(bank), int(program)), index)
        self._flatten = lru_cache(maxsize=64)(self._flatten_preset)

    def _chunks(self, place: int, end: int) -> list[tuple[bytes, int, int]]:
        """(kind, start, length) of the RIFF chunks between two places."""
        found = []
        while place + 8 <= end:
            kind = self._file[place : place + 4].tobytes()
            length = int.from_bytes(self._file[place + 4 : place + 8].tobytes(), "little")
            if place + 8 + length > end:
                raise ValueError(f"it is cut off inside {kind!r}")
            found.append((kind, place + 8, length))
            place += 8 + length + length % 2
        return found

    def _flatten_preset(self, bank: int, program: int) -> tuple[Zone, ...]:
        """All zones of a preset: the instruments' generators plus what the preset adds to them."""
        tables = self._tables
        presets = tables[b"phdr"], tables[b"pbag"], tables[b"pgen"]
        instruments = tables[b"inst"], tables[b"ibag"], tables[b"igen"]
        zones = []
        for added, instrument in _bags(*presets, self._presets[bank, program], _INSTRUMENT):
            for own, sample in _bags(*instruments, instrument, _SAMPLE):
                zone = self._zone(own, added, sample)
                if zone is not None:
                    zones.append(zone)
        return tuple(zones)

    def _zone(self, own: dict[int, int], added: dict[int, int], sample: int) -> Zone | None:
        g = _DEFAULTS.copy()
        for kind, amount in own.items():
            if kind < _GENERATORS:
                g[kind] = amount
        for kind, amount in added.items():
            if kind < _GENERATORS and kind not in _NOT_ADDED:
                g[kind] += amount
        keys = _overlap(own.get(_KEY_RANGE), added.get(_KEY_RANGE))
        velocities = _overlap(own.get(_VELOCITY_RANGE), added.get(_VELOCITY_RANGE))
        head = self._tables[b"shdr"][sample]
        if keys is None or velocities is None or head["kind"] & _ROM:
            return None
        vorbis = bool(head["kind"] & _VORBIS)
        base = 0 if vorbis else int(head["start"])
        length = len(self._decoded(head)) if vorbis else int(head["end"]) - base
        begin = base + max(0, int(g[0]) + 32768 * int(g[4]))
        end = min(base + length + min(0, int(g[1]) + 32768 * int(g[12])), base + length)
        if not vorbis:
            end = min(end, len(self._data))
        loop_start = int(head["loop_start"]) + int(g[2]) + 32768 * int(g[45])
        loop_end = int(head["loop_end"]) + int(g[3]) + 32768 * int(g[50])
        if end - begin < 2:
            return None
        mode = int(g[54]) & 3
        # A loop of a few samples is a waveform; one that leaves the sample is none.
        looped = mode in (1, 3) and begin <= loop_start and loop_start + 2 <= loop_end <= end
        root = int(g[58]) if g[58] >= 0 else int(head["key"]) if head["key"] <= 127 else 60
        settled = 0.5 * (1 + min(max(1 - int(g[29]) / 1000, 0.0), 1.0))
        return Zone(
            sample=sample, keys=keys, velocities=velocities, start=begin, end=end,
            loop_start=loop_start, loop_end=loop_end, looped=looped,
            rate=int(head["rate"]) or 44100, root=root, scale=int(g[56]),
            tune=float(100 * int(g[51]) + int(g[52]) + int(head["correction"])),
            # EMU's hardware, which SoundFonts are tuned for, applies 0.4 of what the file says.
            attenuation=0.04 * max(0, int(g[48])),
            delay=_seconds(g[33], 20.0), attack=_seconds(g[34], 100.0), hold=_seconds(g[35], 20.0),
            decay=_seconds(g[36], 100.0), sustain=min(max(int(g[37]) / 10, 0.0), 144.0),
            release=_seconds(g[38], 100.0), hold_by_key=int(g[39]), decay_by_key=int(g[40]),
            # The filter is held where the modulation envelope is on average: halfway from its peak to its sustain.
            cutoff=8.176 * 2 ** ((min(max(int(g[8]) + settled * int(g[11]), 1500), 13500)) / 1200),
            resonance=min(max(int(g[9]) / 10, 0.0), 24.0), group=int(g[57]),
            fixed_key=int(g[46]), fixed_velocity=int(g[47]),
        )  # fmt: skip


def preset_order(bank: int, program: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """A preset, and what stands in for it: the program of bank 0, or the standard kit for drums."""
    return (bank, program), ((DRUM_BANK, 0) if bank == DRUM_BANK else (0, program))


def _bags(
    headers: NDArray[np.void], bags: NDArray[np.void], generators: NDArray[np.void], index: int, last: int
) -> list[tuple[dict[int, int], int]]:
    """(generators, target) of each zone of a preset or instrument; ``last`` is the generator that names the target.

    The first zone, where it has no target, holds for all others.
    """
    shared: dict[int, int] = {}
    found = []
    first = int(headers[index]["bag"])
    for bag in range(first, int(headers[index + 1]["bag"])):
        values = dict(shared)
        target = None
        for row in range(int(bags[bag]["generator"]), int(bags[bag + 1]["generator"])):
            kind, amount = int(generators[row]["kind"]), int(generators[row]["amount"])
            if kind == last:
                target = amount & 0xFFFF
                break
            values[kind] = amount
        if target is not None:
            found.append((values, target))
        elif bag == first:
            shared = values
    return found


def _overlap(own: int | None, added: int | None) -> tuple[int, int] | None:
    low, high = 0, 127
    for amount in (own, added):
        if amount is not None:
            low, high = max(low, amount & 0xFF), min(high, amount >> 8 & 0xFF)
    return (low, high) if low <= high else None


def _seconds(timecents: int, longest: float) -> float:
    return min(float(2 ** (int(timecents) / 1200)), longest) if timecents > -12000 else 0.0


@lru_cache(maxsize=128)
def _decode(data: bytes) -> NDArray[np.float32]:
    import soundfile

    try:
        samples, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"a compressed sample of the SoundFont cannot be decoded: {error}") from error
    return np.ascontiguousarray(samples[:, 0], np.float32)
