"""Audio in a page stays below its limit, with a note on what was reduced."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import soundfile

from slakh_hier.reporting.document import Lane, PlayerClip
from slakh_hier.reporting.encoding import encode_clips


def noise_clip(seconds: float, rate: int, gain: float = 0.1, signals: int = 2) -> PlayerClip:
    rng = np.random.default_rng(3)
    many = [(gain * rng.uniform(-1, 1, round(seconds * rate))).astype(np.float32) for _ in range(signals)]
    return PlayerClip("clip", rate, many, [Lane(f"lane {n}", f"{n}", 0, (n,)) for n in range(signals)])


def decoded(text: str) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="float32")  # type: ignore[no-any-return]


def test_small_clips_keep_rate_and_16_bits() -> None:
    clip = noise_clip(0.5, 16_000)
    sound = encode_clips([clip])
    (found,) = sound.clips
    data, rate = decoded(found["sounds"][1])
    assert rate == found["rate"] == 16_000
    np.testing.assert_allclose(data, clip.parts[1], atol=0.6 / 2**15)
    assert sound.note == "Audio: FLAC, 16,000 Hz, 16 bits."


def test_both_channels_are_stored() -> None:
    one, other = noise_clip(0.5, 44_100).parts
    clip = replace(
        noise_clip(0.5, 44_100), parts=[np.stack([one, other])], lanes=[Lane("mix", "mix", 0, (0,))]
    )
    (found,) = encode_clips([clip]).clips
    data, _ = decoded(found["sounds"][0])
    np.testing.assert_allclose(data.T, clip.parts[0], atol=0.6 / 2**15)
    (found,) = encode_clips([clip], 60_000).clips
    data, rate = decoded(found["sounds"][0])
    assert data.shape == (rate // 2, 2)
    assert rate < 44_100


def test_quality_falls_step_by_step_until_it_fits() -> None:
    clips = [noise_clip(1.0, 44_100)]
    sizes, texts = [], []
    for limit in (200_000, 100_000, 60_000, 30_000, 8_000):
        sound = encode_clips(clips, limit)
        (found,) = sound.clips
        sizes.append(sum(map(len, found["sounds"])))
        texts.append(sound.note)
        assert sizes[-1] <= limit
    assert sizes == sorted(sizes, reverse=True)
    assert "resampled from 44,100 to 22,050 Hz" in texts[1]
    assert "rounded to 12 bits" in texts[3]
    assert "cut to the first" in texts[4]


def test_loud_clips_are_turned_down_as_a_whole() -> None:
    clip = noise_clip(0.2, 8000, gain=2.0)
    clip.parts[1][:] *= 0.25
    (found,) = encode_clips([clip]).clips
    loud, quiet = (decoded(text)[0] for text in found["sounds"])
    assert 0.99 < np.abs(loud).max() <= 1
    ratio = np.abs(quiet).max() / np.abs(loud).max()
    assert ratio == np.float32(ratio)
    np.testing.assert_allclose(ratio, np.abs(clip.parts[1]).max() / np.abs(clip.parts[0]).max(), rtol=1e-3)
    assert "Turned down by 6.0 dB" in found["note"]


def test_clips_are_left_out_before_their_sound_suffers() -> None:
    clips = [replace(noise_clip(0.5, 16_000), title=str(number)) for number in range(10)]
    one = sum(map(len, encode_clips(clips[:1]).clips[0]["sounds"]))
    some = encode_clips(clips, 6 * one, least=4)
    assert [clip.title for clip in some.kept] == ["0", "1", "3", "5", "6", "8"]
    assert some.note == "6 of the 10 fit into this page. Audio: FLAC, 16,000 Hz, 16 bits."
    few = encode_clips(clips, 3 * one, least=4)
    assert len(few.clips) >= 4
    assert "rounded to 12 bits" in few.note
    assert len(encode_clips(clips, 6 * one).clips) == 10  # all were asked for: the quality has to give way


def test_a_sum_that_exceeds_full_scale_is_turned_down() -> None:
    clip = noise_clip(0.2, 8000, gain=0.7)
    clip.parts[1][:] = clip.parts[0]
    both = replace(clip, lanes=[Lane("parent", "parent", 0, (0, 1)), *clip.lanes])
    (found,) = encode_clips([both]).clips
    heard = sum(decoded(text)[0] for text in found["sounds"])
    assert 0.99 < np.abs(heard).max() <= 1
    assert "Turned down" in found["note"]
