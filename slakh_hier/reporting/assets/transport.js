// Transport: all parts of a clip on the one clock of an AudioContext, with seeking, a loop, a volume and a limiter.

let context = null; // made when a person first plays: browsers want a gesture
let sounding = null; // the transport that plays: one at a time in a page
const LIMITED_SECONDS = 0.5; // so long the page says that the limiter turned something down

class Transport {
  constructor(changed) {
    this.changed = changed; // called when the position, the level or the state may be another one
    this.playing = null; // {sources, gains, began, out}
    this.parts = [];
    this.gains = new Map();
    this.offset = 0;
    this.seconds = 0;
    this.loop = null; // [from, to] in seconds
    this.volume = 1;
    this.level = -Infinity; // RMS of what is heard, dBFS
    this.limited = 0; // until when, on the context's clock
  }

  load(parts) {
    this.pause();
    this.parts = parts;
    this.offset = 0;
    this.seconds = Math.max(0.01, ...parts.map((part) => part.duration));
    if (this.loop) this.loop = [0, this.seconds];
  }

  // Which parts sound: part -> gain. Fades for a moment, so that nothing clicks.
  mix(gains) {
    this.gains = gains;
    this.playing?.gains.forEach((gain, part) => gain.gain.setTargetAtTime(gains.get(part) ?? 0, context.currentTime, 0.01));
  }

  setVolume(decibels) {
    this.volume = 10 ** (decibels / 20);
    this.playing?.out.volume.gain.setTargetAtTime(this.volume, context.currentTime, 0.01);
  }

  play() {
    if (this.playing || !this.parts.length) return;
    if (sounding !== this) sounding?.pause();
    sounding = this;
    context ??= new AudioContext();
    context.resume();
    const out = output(this.volume), [from, to] = this.loop ?? [0, this.seconds];
    if (this.offset >= to - 0.02) this.offset = from;
    const began = context.currentTime + 0.05;
    const sources = [], gains = [];
    this.parts.forEach((buffer, part) => {
      const source = new AudioBufferSourceNode(context, { buffer, loop: this.loop !== null, loopStart: from, loopEnd: to });
      const gain = new GainNode(context, { gain: this.gains.get(part) ?? 0 });
      source.connect(gain).connect(out.volume);
      source.start(began, this.offset);
      sources.push(source);
      gains.push(gain);
    });
    this.playing = { sources, gains, out, began: began - this.offset };
    this.tick(this.playing);
  }

  pause() {
    if (!this.playing) return;
    this.offset = this.at;
    for (const source of this.playing.sources) source.stop();
    this.playing.out.after.disconnect();
    this.playing = null;
    this.level = -Infinity;
    this.limited = 0;
    this.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  // Seconds from the beginning of the clip.
  get at() {
    if (!this.playing) return this.offset;
    const at = context.currentTime - this.playing.began, [from, to] = this.loop ?? [0, Infinity];
    return Math.min(Math.max(at < to ? at : from + ((at - from) % (to - from)), 0), this.seconds);
  }

  seek(seconds) {
    this.again(() => { this.offset = Math.min(Math.max(seconds, 0), this.seconds); });
  }

  // Loop from one second to another; null: no loop.
  setLoop(loop) {
    this.again(() => { this.loop = loop; });
  }

  again(change) {
    const going = this.playing !== null;
    this.pause();
    change();
    if (going) this.play();
    this.changed();
  }

  // Once per frame, as long as nothing else began to play.
  tick(playing) {
    if (this.playing !== playing) return;
    const { before, after, heard } = playing.out;
    before.getFloatTimeDomainData(heard);
    if (heard.some((x) => Math.abs(x) > 1)) this.limited = context.currentTime + LIMITED_SECONDS;
    else if (context.currentTime > this.limited) this.limited = 0;
    after.getFloatTimeDomainData(heard);
    this.level = 10 * Math.log10(heard.reduce((sum, x) => sum + x * x, 0) / heard.length + 1e-12);
    if (!this.loop && this.at >= this.seconds) {
      this.pause();
      this.offset = 0;
    } else requestAnimationFrame(() => this.tick(playing));
    this.changed();
  }
}

// Volume, limiter, and meters before and after it. Up to full scale the limiter leaves everything as it is.
function output(volume) {
  const out = {
    volume: new GainNode(context, { gain: volume }),
    before: new AnalyserNode(context),
    after: new AnalyserNode(context),
  };
  const limiter = new DynamicsCompressorNode(context, { threshold: 0, knee: 0, ratio: 20, attack: 0.001, release: 0.1 });
  out.volume.connect(out.before).connect(limiter).connect(out.after).connect(context.destination);
  out.heard = new Float32Array(out.after.fftSize);
  return out;
}
