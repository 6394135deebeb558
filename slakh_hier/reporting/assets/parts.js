// Parts: the stored signals of a clip, none of which contains another. Every lane is a sum of parts, so what is heard
// is one gain per part, and parents and children never add up twice.

async function decoded(text, rate) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer); // at its own rate, and before any gesture
}

function channelsOf(buffer) {
  return Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
}

// The sum of parts, each with its gain; one buffer alone is not copied.
function added(buffers, gains = buffers.map(() => 1)) {
  if (buffers.length === 1 && gains[0] === 1) return buffers[0];
  const { length, sampleRate } = buffers[0];
  const numberOfChannels = Math.max(...buffers.map((buffer) => buffer.numberOfChannels));
  const sum = new AudioBuffer({ length, numberOfChannels, sampleRate });
  channelsOf(sum).forEach((total, channel) => buffers.forEach((buffer, place) => {
    const data = buffer.getChannelData(Math.min(channel, buffer.numberOfChannels - 1)), gain = gains[place];
    for (let i = 0; i < length; i++) total[i] += gain * data[i];
  }));
  return sum;
}

function peakOf(buffer) {
  let peak = 0;
  for (const data of channelsOf(buffer)) for (const x of data) if (Math.abs(x) > peak) peak = Math.abs(x);
  return peak;
}

// What sounds: part -> gain. Soloed nodes if there are any, else the whole mixture, without the muted nodes. `version`
// chooses between ground truth (0) and estimates for all of them at once; an estimate is subtracted from the mixture.
function heardParts(lanes, { solo, muted, version }) {
  const alone = chosen(lanes, solo, version);
  const base = new Set(alone.length ? alone.flatMap((lane) => lane.sounds) : lanes[0].sounds);
  const whole = lanes[0].sounds.every((part) => base.has(part));
  const gains = new Map([...base].map((part) => [part, 1]));
  for (const lane of chosen(lanes, muted, version))
    for (const part of lane.sounds)
      if (base.has(part)) gains.delete(part);
      else if (whole && lane.version > 0) gains.set(part, -1);
  return gains;
}

// The lanes of these nodes that may sound in a version; the mixture and a query are the same in all of them.
function chosen(lanes, nodes, version) {
  const may = (lane) => lane.sounds.length && !lane.hidden && [null, version].includes(lane.version);
  return lanes.filter((lane) => nodes.has(lane.node) && may(lane));
}

function heardInWords(lanes, state, gains) {
  if (!gains.size) return "nothing";
  const names = (nodes) => chosen(lanes, nodes, state.version).map((lane) => lane.name);
  const alone = names(state.solo), without = names(state.muted);
  return (alone.join(" + ") || "the whole mixture") + (without.length ? ` without ${without.join(", ")}` : "");
}

// 16-bit PCM of [from, to) seconds; turned down where a sample would exceed full scale. Returns {file, gain}.
function wavOf(buffer, from, to) {
  const rate = buffer.sampleRate, first = Math.round(from * rate);
  const channels = channelsOf(buffer).map((data) => data.subarray(first, Math.round(to * rate)));
  const frames = channels[0].length, bytes = frames * channels.length * 2;
  let peak = 0;
  for (const data of channels) for (const x of data) peak = Math.max(peak, Math.abs(x));
  const gain = peak > 32767 / 32768 ? 32767 / 32768 / peak : 1;
  const view = new DataView(new ArrayBuffer(44 + bytes)), frame = channels.length * 2;
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  const numbers = (at, size, ...values) => values.forEach((value, i) => view[`setUint${8 * size}`](at + size * i, value, true));
  text(0, "RIFF");
  numbers(4, 4, 36 + bytes);
  text(8, "WAVEfmt ");
  numbers(16, 4, 16); // bytes of this chunk
  numbers(20, 2, 1, channels.length); // PCM
  numbers(24, 4, rate, rate * frame);
  numbers(32, 2, frame, 16);
  text(36, "data");
  numbers(40, 4, bytes);
  for (let i = 0, at = 44; i < frames; i++)
    for (const data of channels) {
      view.setInt16(at, Math.round(data[i] * gain * 32768), true);
      at += 2;
    }
  return { file: new Blob([view], { type: "audio/wav" }), gain };
}
