"""The built-in synthesiser: pitch, level, length, and that nothing clicks."""

from __future__ import annotations

import numpy as np
import pytest

from slakh_hier.synth import synthesise as module
from slakh_hier.synth.extras import default_soundfont
from slakh_hier.synth.gm import register
from slakh_hier.synth.songs import Curve, Note, Part
from slakh_hier.synth.synthesise import synthesise

RATE = 44_100


def render(part, font, *, seconds=2.0, **more):
    blocks = synthesise(part, frames=round(seconds * RATE), rate=RATE, soundfont=str(font), **more)
    return np.concatenate(list(blocks))


def part(*notes, program=0, drums=False, **more):
    return Part("x", program, drums, 0, tuple(Note(*note) for note in notes), **more)


def frequency(samples):
    """By the phase step of the strongest bin between two frames 64 samples apart."""
    size = 16_384
    window = np.hanning(size)
    a, b = (np.fft.rfft(samples[i : i + size] * window) for i in (0, 64))
    peak = int(np.argmax(np.abs(a[1:]))) + 1
    turns = np.angle(b[peak] / a[peak]) / (2 * np.pi)
    around = round(peak * 64 / size - turns)
    return (turns + around) / 64 * RATE


def level(samples):
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + 1e-12)


@pytest.mark.parametrize("key", [45, 60, 69, 76, 88])
def test_pitch(make_soundfont, key):
    sound = render(part((0, 2, key, 100)), make_soundfont())
    assert frequency(sound[4000:]) == pytest.approx(441 * 2 ** ((key - 69) / 12), rel=1e-4)


def test_the_loop_has_no_seam(make_soundfont):
    # 441 Hz are 100 samples a period at 44.1 kHz; the loop is 40 periods long: a pure sine throughout.
    sound = render(part((0, 2, 69, 127)), make_soundfont())[4000:60_000]
    spectrum = np.abs(np.fft.rfft(sound[:44_100] * np.blackman(44_100)))
    beside = np.delete(spectrum, range(435, 448))
    assert 20 * np.log10(beside.max() / spectrum.max()) < -80


def test_velocity(make_soundfont):
    font = make_soundfont()
    loud, soft = (level(render(part((0, 2, 69, velocity)), font)[4000:60_000]) for velocity in (127, 40))
    assert loud - soft == pytest.approx(40 * np.log10(127 / 40), abs=0.01)


def test_envelope(make_soundfont):
    # attack 0.25 s; decay of 100 dB in 2 s down to -30 dB
    font = make_soundfont({34: -2400, 36: 1200, 37: 300, 38: 0})
    sound = render(part((0, 1.5, 69, 127)), font, seconds=4)
    peak = level(sound[11_025:11_525])

    def at(second):
        place = round(second * RATE)
        return level(sound[place : place + 500]) - peak

    assert at(0.125) == pytest.approx(-6, abs=0.8)
    assert at(0.25 + 0.3) == pytest.approx(-15, abs=0.5)
    assert at(1.4) == pytest.approx(-30, abs=0.5)
    # The release falls 100 dB a second.
    assert at(1.5 + 0.3) == pytest.approx(-60, abs=0.7)
    assert not sound[round(2.5 * RATE) :].any()


def test_filter(make_soundfont):
    dull = make_soundfont({8: 4500})  # 110 Hz
    bright = make_soundfont()
    fall = level(render(part((0, 2, 69, 127)), dull)[9000:60_000]) - level(
        render(part((0, 2, 69, 127)), bright)[9000:60_000]
    )
    assert fall == pytest.approx(-10 * np.log10(1 + 4**4), abs=0.5)  # Butterworth, two octaves up


def test_bend(make_soundfont):
    bent = part((0, 2, 69, 100), bend=Curve((0.0, 1.0), (0.0, 2.0)))
    sound = render(bent, make_soundfont())
    assert frequency(sound[8000:]) == pytest.approx(441, rel=1e-3)
    assert frequency(sound[48_000:]) == pytest.approx(441 * 2 ** (2 / 12), rel=1e-3)


def test_volume_is_followed_without_a_jump(make_soundfont):
    font = make_soundfont()
    stepped = render(part((0, 2, 69, 100), gain=Curve((0.0, 1.0), (1.0, 0.1))), font)
    plain = render(part((0, 2, 69, 100)), font)
    assert level(stepped[60_000:80_000]) - level(plain[60_000:80_000]) == pytest.approx(-20, abs=0.01)
    assert np.abs(np.diff(stepped)).max() <= 1.01 * np.abs(np.diff(plain)).max()


def test_a_note_begins_and_ends_without_a_click():
    for program in (0, 19, 24, 33, 40, 48, 56, 65, 73, 80, 89):
        sound = render(part((0.1, 0.9, 60, 110), program=program), default_soundfont(), seconds=1.6)
        assert not sound[: round(0.1 * RATE)].any()
        steps = np.abs(np.diff(sound))
        body = steps[round(0.15 * RATE) : round(0.85 * RATE)].max()
        assert steps[: round(0.1 * RATE) + 20].max() <= body
        assert steps[round(0.89 * RATE) :].max() <= body
        assert abs(np.mean(sound, dtype=np.float64)) < 0.01 * np.abs(sound).max()


def test_a_stuck_note_is_let_go(make_soundfont):
    stuck = render(part((0, 3600, 69, 100)), make_soundfont(), seconds=310)
    assert level(stuck[290 * RATE : 299 * RATE]) > -40
    assert not stuck[302 * RATE :].any()


def test_a_closed_hi_hat_stops_an_open_one():
    kit = default_soundfont()
    alone = render(part((0, 0.1, 46, 110), drums=True), kit)
    stopped = render(part((0, 0.1, 46, 110), (0.3, 0.4, 42, 1), drums=True), kit)
    after = slice(round(0.4 * RATE), round(0.6 * RATE))
    assert level(stopped[after]) < level(alone[after]) - 20


def test_blocks_do_not_matter(monkeypatch):
    notes = [(i * 0.21, i * 0.21 + 0.7, 50 + i % 20, 60 + i) for i in range(40)]
    bent = part(
        *notes, program=24, bend=Curve((0.0, 3.0), (0.0, 1.0)), gain=Curve((0.0, 2.0, 5.0), (1.0, 0.3, 0.8))
    )
    whole = render(bent, default_soundfont(), seconds=10, fade=0.5)
    for seconds in (0.25, 1.7):
        monkeypatch.setattr(module, "BLOCK_SECONDS", seconds)
        np.testing.assert_allclose(render(bent, default_soundfont(), seconds=10, fade=0.5), whole, atol=2e-6)


def test_the_same_part_gives_the_same_samples_whatever_came_before(make_soundfont):
    wanted = part((0, 1, 60, 100), (0.5, 1.5, 64, 90), program=48)
    first = render(wanted, default_soundfont())
    render(part((0, 1.9, 61, 100), program=50), default_soundfont())
    np.testing.assert_array_equal(render(wanted, default_soundfont()), first)


def test_every_program_sounds_over_its_register():
    for program in range(128):
        reach = register(program)
        keys = [reach.low, (reach.low + reach.high) // 2, reach.high]
        sound = render(part(*((i * 0.4, i * 0.4 + 0.35, key, 100) for i, key in enumerate(keys)), program=program),
                       default_soundfont(), seconds=1.2)  # fmt: skip
        assert np.isfinite(sound).all()
        assert 0.005 < np.abs(sound).max() < 4
