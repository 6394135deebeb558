"use strict";
// A clip player: every signal of a clip is drawn, and played on the one clock of an AudioContext. Text from data goes
// into the page as text only, never as markup.
(() => {
  const WINDOW = 512, MOST_FRAMES = 700, FLOOR_DB = -75, LOWEST_HZ = 60;
  let context = null; // made when a person first plays: browsers want a gesture
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  class Player {
    constructor(root) {
      this.root = root;
      this.clip = null;
      this.images = new Map();
      this.playing = null; // {sources, gains, began}
      this.offset = 0;
      this.loading = 0;
      const find = (name) => root.querySelector("." + name);
      for (const name of ["play", "previous", "next", "choose", "mask", "seek", "time", "loudness", "note", "lanes"])
        this[name + "Part"] = find(name);
      this.playPart.addEventListener("click", () => this.toggle());
      this.previousPart.addEventListener("click", () => this.step(-1));
      this.nextPart.addEventListener("click", () => this.step(1));
      this.choosePart.addEventListener("change", () => this.load());
      this.maskPart?.addEventListener("change", () => this.refresh());
      this.seekPart.addEventListener("input", () => this.seek(Number(this.seekPart.value)));
      root.hidden = false;
      new ResizeObserver(() => this.later()).observe(this.lanesPart);
    }

    async load() {
      this.stop();
      this.offset = 0;
      const turn = ++this.loading;
      const data = document.getElementById(`clip-${this.root.dataset.own}-${this.choosePart.value}`);
      const clip = JSON.parse(data.textContent);
      const stored = await Promise.all(clip.sounds.map((text) => decoded(text, clip.rate)));
      if (turn !== this.loading) return; // another clip was chosen meanwhile
      const sums = new Map(); // lanes with the same sounds share a buffer, and so its spectrogram
      const sumOf = (places) => {
        if (!sums.has(places.join())) sums.set(places.join(), added(places.map((place) => stored[place])));
        return sums.get(places.join());
      };
      const lanes = clip.lanes.map((lane) => ({ ...lane, buffer: lane.sounds.length ? sumOf(lane.sounds) : null }));
      this.clip = clip;
      this.images = new Map();
      this.seconds = Math.max(0.01, ...stored.map((buffer) => buffer.duration));
      this.seekPart.max = this.seconds;
      this.peak = Math.max(1e-4, ...[...sums.values()].map(peakOf));
      // What was soloed and muted stays so by name, and the keyboard stays where it was.
      const before = new Map((this.lanes || []).map((lane) => [lane.name, lane]));
      const focused = this.lanes?.find((lane) => lane.row.contains(document.activeElement));
      const word = focused && (document.activeElement === focused.mute ? "mute" : "alone");
      this.lanesPart.replaceChildren();
      this.lanes = lanes.map((lane, place) => this.lane(lane, before.get(lane.name) || { muted: place > 0, solo: false }));
      if (focused) (this.lanes.find((lane) => lane.name === focused.name)?.[word] || this.choosePart).focus();
      this.refresh();
      this.show();
      await this.draw();
      this.root.dataset.clip = this.choosePart.value;
    }

    lane(lane, { muted, solo }) {
      const row = make("div", "lane"), who = make("div", "who"), views = make("div", "views");
      row.setAttribute("role", "listitem");
      who.style.setProperty("--depth", lane.depth);
      who.append(make("strong", "", lane.name), make("span", "", lane.detail));
      const part = { ...lane, row, views, muted, solo, badge: make("span", "badge") };
      who.append(part.badge);
      if (lane.buffer) {
        part.mute = this.switch("Mute", lane.name, part.muted, (on) => { part.muted = on; });
        part.alone = this.switch("Solo", lane.name, part.solo, (on) => { part.solo = on; });
        const switches = make("div");
        switches.append(part.mute, part.alone);
        who.append(switches);
        part.wave = make("canvas", "wave");
        part.spectrogram = make("canvas", "spectrogram");
        part.head = make("div", "head");
        part.wave.setAttribute("role", "img");
        part.wave.setAttribute("aria-label", `Waveform of ${lane.name}`);
        part.spectrogram.setAttribute("role", "img");
        part.spectrogram.setAttribute("aria-label", `Spectrogram of ${lane.name}`);
        views.append(part.wave, part.spectrogram, part.head);
        views.addEventListener("click", (event) => {
          const box = views.getBoundingClientRect();
          this.seek(((event.clientX - box.left) / box.width) * this.seconds);
        });
      }
      row.append(who, views);
      this.lanesPart.append(row);
      return part;
    }

    switch(word, name, on, change) {
      const button = make("button", word.toLowerCase(), word);
      button.type = "button";
      button.setAttribute("aria-label", `${word} ${name}`);
      button.setAttribute("aria-pressed", on);
      button.addEventListener("click", () => {
        const now = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", now);
        change(now);
        this.refresh();
      });
      return button;
    }

    // What sounds: the soloed lanes if there are any, else those that are not muted; withheld ones never do.
    refresh() {
      if (!this.lanes) return;
      const mask = this.maskPart?.value || "";
      const withheld = (lane) => mask !== "" && lane.withheld.includes(mask);
      const solo = this.lanes.some((lane) => lane.solo && !withheld(lane));
      for (const lane of this.lanes) {
        const hidden = withheld(lane);
        lane.audible = lane.buffer !== null && !hidden && (solo ? lane.solo : !lane.muted);
        lane.row.dataset.audible = lane.audible;
        lane.row.classList.toggle("withheld", hidden);
        lane.badge.textContent = hidden ? `withheld by ${mask}` : "";
        for (const button of [lane.mute, lane.alone]) if (button) button.disabled = hidden;
      }
      const nothing = mask !== "" && !this.lanes.some(withheld);
      this.notePart.textContent = this.clip.note + (nothing ? ` ${mask} withholds nothing in this clip.` : "");
      if (this.playing)
        this.lanes.forEach((lane, place) =>
          this.playing.gains[place]?.gain.setTargetAtTime(lane.audible ? 1 : 0, context.currentTime, 0.01));
    }

    toggle() {
      if (this.playing) this.pause();
      else this.start();
    }

    start() {
      if (!this.clip) return;
      for (const other of players) if (other !== this) other.pause();
      context ??= new AudioContext();
      context.resume();
      if (this.offset >= this.seconds - 0.02) this.offset = 0;
      const meter = context.createAnalyser();
      meter.connect(context.destination);
      const began = context.currentTime + 0.05, offset = this.offset;
      const sources = [], gains = [];
      for (const lane of this.lanes) {
        if (!lane.buffer) { gains.push(null); continue; }
        const source = context.createBufferSource(), gain = context.createGain();
        source.buffer = lane.buffer;
        gain.gain.value = lane.audible ? 1 : 0;
        source.connect(gain).connect(meter);
        source.start(began, Math.min(offset, source.buffer.duration));
        sources.push(source);
        gains.push(gain);
      }
      this.playing = { sources, gains, meter, began: began - offset, heard: new Float32Array(meter.fftSize) };
      this.playPart.textContent = "Pause";
      this.playPart.setAttribute("aria-pressed", "true");
      this.tick();
    }

    pause() {
      if (!this.playing) return;
      this.offset = this.now();
      this.stop();
    }

    stop() {
      if (!this.playing) return;
      for (const source of this.playing.sources) source.stop();
      this.playing.meter.disconnect();
      this.playing = null;
      this.playPart.textContent = "Play";
      this.playPart.setAttribute("aria-pressed", "false");
      this.loudnessPart.value = -60;
    }

    now() {
      const at = this.playing ? context.currentTime - this.playing.began : this.offset;
      return Math.min(Math.max(at, 0), this.seconds || 0);
    }

    seek(seconds) {
      const going = this.playing !== null;
      this.stop();
      this.offset = Math.min(Math.max(seconds, 0), this.seconds || 0);
      if (going) this.start();
      this.show();
    }

    step(by) {
      const count = this.choosePart.options.length;
      this.choosePart.selectedIndex = (this.choosePart.selectedIndex + by + count) % count;
      const going = this.playing !== null;
      this.load().then(() => { if (going) this.start(); });
    }

    tick() {
      if (!this.playing) return;
      const { meter, heard } = this.playing;
      meter.getFloatTimeDomainData(heard);
      const power = heard.reduce((sum, x) => sum + x * x, 0) / heard.length;
      this.loudnessPart.value = Math.max(-60, 10 * Math.log10(power + 1e-12));
      if (this.now() >= this.seconds) {
        this.stop();
        this.offset = 0;
      } else requestAnimationFrame(() => this.tick());
      this.show();
    }

    show() {
      const at = this.now();
      this.seekPart.value = at;
      this.seekPart.setAttribute("aria-valuetext", `${at.toFixed(1)} seconds`);
      this.timePart.textContent = `${at.toFixed(1)} / ${(this.seconds || 0).toFixed(1)} s`;
      this.lanesPart.style.setProperty("--at", at / (this.seconds || 1));
    }

    later() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.draw(), 150);
    }

    async draw() {
      const { lanes, loading } = this;
      for (const lane of lanes || []) {
        if (!lane.buffer) continue;
        drawWave(lane.wave, lane.buffer, this.peak, this.seconds, lane.query);
        if (!this.images.has(lane.buffer)) this.images.set(lane.buffer, spectrogramOf(lane.buffer));
        drawImage(lane.spectrogram, this.images.get(lane.buffer), lane.buffer.duration / this.seconds);
        await new Promise((done) => setTimeout(done)); // let the page breathe between signals
        if (loading !== this.loading) return;
      }
    }
  }

  function make(kind, name, text) {
    const element = document.createElement(kind);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  async function decoded(text, rate) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer); // at its own rate, and before any gesture
  }

  // A parent is not stored: it is the sum of what it consists of.
  function added(buffers) {
    if (buffers.length === 1) return buffers[0];
    const [first] = buffers, length = Math.max(...buffers.map((buffer) => buffer.length));
    const sum = new AudioBuffer({ length, numberOfChannels: 1, sampleRate: first.sampleRate });
    const total = sum.getChannelData(0);
    for (const buffer of buffers) buffer.getChannelData(0).forEach((x, i) => { total[i] += x; });
    return sum;
  }

  function peakOf(buffer) {
    let peak = 0;
    for (const x of buffer.getChannelData(0)) if (Math.abs(x) > peak) peak = Math.abs(x);
    return peak;
  }

  function sized(canvas) {
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * scale));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * scale));
    return canvas.getContext("2d");
  }

  function drawWave(canvas, buffer, peak, seconds, query) {
    const pen = sized(canvas), { width, height } = canvas, data = buffer.getChannelData(0);
    const each = (seconds * buffer.sampleRate) / width;
    pen.fillStyle = colour(query ? "--c3" : "--c0");
    for (let x = 0; x < width; x++) {
      let low = 0, high = 0;
      const end = Math.min(data.length, Math.ceil((x + 1) * each));
      for (let i = Math.floor(x * each); i < end; i++) {
        if (data[i] < low) low = data[i];
        if (data[i] > high) high = data[i];
      }
      const top = height / 2 - (high / peak) * (height / 2);
      pen.fillRect(x, top, 1, Math.max(1, ((high - low) / peak) * (height / 2)));
    }
  }

  function drawImage(canvas, image, share) {
    const pen = sized(canvas);
    pen.fillStyle = "rgb(0, 0, 4)";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width * share, canvas.height);
  }

  // Magnitudes in dB of full scale, low frequencies below, on a logarithmic axis from 60 Hz up.
  function spectrogramOf(buffer) {
    const data = buffer.getChannelData(0), rate = buffer.sampleRate, rows = 96;
    const hop = Math.max(WINDOW / 4, Math.ceil(data.length / MOST_FRAMES));
    const frames = Math.max(1, Math.floor((data.length - WINDOW) / hop) + 1);
    const image = make("canvas");
    image.width = frames;
    image.height = rows;
    const pen = image.getContext("2d"), pixels = pen.createImageData(frames, rows);
    const real = new Float32Array(WINDOW), imaginary = new Float32Array(WINDOW);
    const bins = Array.from({ length: rows + 1 }, (_, row) =>
      (LOWEST_HZ * (rate / 2 / LOWEST_HZ) ** (row / rows) * WINDOW) / rate);
    for (let frame = 0; frame < frames; frame++) {
      for (let i = 0; i < WINDOW; i++) {
        real[i] = (data[frame * hop + i] || 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
        imaginary[i] = 0;
      }
      transform(real, imaginary);
      for (let row = 0; row < rows; row++) {
        const first = Math.max(1, Math.floor(bins[row])), last = Math.max(first, Math.min(WINDOW / 2, Math.floor(bins[row + 1])));
        let power = 0;
        for (let bin = first; bin <= last; bin++) power = Math.max(power, real[bin] ** 2 + imaginary[bin] ** 2);
        const level = 10 * Math.log10(power * (4 / WINDOW) ** 2 + 1e-12);
        paint(pixels.data, ((rows - 1 - row) * frames + frame) * 4, 1 - level / FLOOR_DB);
      }
    }
    pen.putImageData(pixels, 0, 0);
    return image;
  }

  const STOPS = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]; // magma
  function paint(pixels, place, value) {
    const at = Math.min(Math.max(value, 0), 1) * (STOPS.length - 1), stop = Math.min(Math.floor(at), STOPS.length - 2);
    for (let i = 0; i < 3; i++) pixels[place + i] = STOPS[stop][i] + (at - stop) * (STOPS[stop + 1][i] - STOPS[stop][i]);
    pixels[place + 3] = 255;
  }

  // Fast Fourier transform in place (Cooley and Tukey, radix 2).
  function transform(real, imaginary) {
    const size = real.length;
    for (let i = 1, j = 0; i < size; i++) {
      let bit = size >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) {
        [real[i], real[j]] = [real[j], real[i]];
        [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
      }
    }
    for (let span = 2; span <= size; span <<= 1) {
      const half = span >> 1;
      for (let k = 0; k < half; k++) {
        const c = Math.cos((-2 * Math.PI * k) / span), s = Math.sin((-2 * Math.PI * k) / span);
        for (let start = k; start < size; start += span) {
          const other = start + half;
          const r = real[other] * c - imaginary[other] * s, i = real[other] * s + imaginary[other] * c;
          real[other] = real[start] - r;
          imaginary[other] = imaginary[start] - i;
          real[start] += r;
          imaginary[start] += i;
        }
      }
    }
  }

  const players = [...document.querySelectorAll(".player")].map((root) => new Player(root));
  let current = players[0];
  for (const player of players) {
    player.root.addEventListener("focusin", () => { current = player; });
    player.root.addEventListener("pointerdown", () => { current = player; });
    player.load().catch((error) => {
      player.notePart.textContent = `This clip cannot be played here: ${error.message}`;
      console.error(error);
    });
  }
  // Keys are for the player that has the focus, else for one that can be seen: elsewhere they scroll the page.
  const seen = (player) => {
    const box = player.root.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  document.addEventListener("keydown", (event) => {
    const kind = event.target.tagName, { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const player = players.find(({ root }) => root.contains(event.target)) || [current, ...players].find((p) => p && seen(p));
    if (!player) return;
    if (key === " " && !["BUTTON", "SELECT", "SUMMARY", "A"].includes(kind)) player.toggle();
    else if (key === "ArrowLeft" && !["INPUT", "SELECT"].includes(kind) && !scrolls(event.target)) player.step(-1);
    else if (key === "ArrowRight" && !["INPUT", "SELECT"].includes(kind) && !scrolls(event.target)) player.step(1);
    else return;
    event.preventDefault();
  });
  const scrolls = (element) => element.closest(".wide") !== null;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => players.forEach((player) => player.later()));
})();
