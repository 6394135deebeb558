// A clip player: chooses a clip, and plays what is soloed and not muted. Text from data goes into the page as text only,
// never as markup.

const PARTS = [
  "choose", "with", "order", "mask", "previous", "play", "next", "seek", "time", "loop", "compare", "heard", "volume",
  "decibels", "loudness", "limited", "wav", "link", "in", "out", "large", "note", "ruler", "lanes", "letters",
]; // classes of its elements

// Only a text that is another one: a screen reader need not hear the rest again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

class Player {
  constructor(root) {
    this.root = root;
    this.part = Object.fromEntries(PARTS.map((name) => [name, root.querySelector("." + name)]));
    this.index = JSON.parse(document.getElementById(`clips-${root.dataset.own}`).textContent);
    this.state = { solo: new Set(), muted: new Set(), version: 0 };
    this.transport = new Transport(() => this.show());
    this.view = new View(root, this.part, this.transport);
    this.lanes = [];
    this.loading = 0;
    this.clip = null; // what the page holds of it, and its gains: part -> gain
    this.listen();
    this.list();
    this.part.choose.value = this.index.opening;
    root.hidden = false;
  }

  listen() {
    const { part, transport, view } = this;
    const on = (name, event, act) => part[name]?.addEventListener(event, act);
    on("play", "click", () => transport.toggle());
    on("previous", "click", () => this.step(-1));
    on("next", "click", () => this.step(1));
    on("choose", "change", () => this.load());
    on("with", "change", () => this.choose());
    on("order", "change", () => this.choose(part.order.value !== ""));
    on("mask", "change", () => this.refresh());
    on("seek", "input", () => transport.seek(Number(part.seek.value)));
    on("loop", "click", () => transport.setLoop(transport.loop ? null : [0, transport.seconds]));
    on("compare", "click", () => this.compare());
    on("volume", "input", () => transport.setVolume(Number(part.volume.value)));
    on("wav", "click", () => saveHeard(this));
    on("link", "click", () => linkTo(this));
    on("in", "click", () => view.zoom(0.5));
    on("out", "click", () => view.zoom(2));
    on("large", "click", () => view.enlarge());
  }

  // The clips to choose from: those with an instrument, in an order ("-SI-SDR": highest first).
  list() {
    const { choose, order } = this.part, { clips } = this.index, node = this.part.with.value;
    const name = order.value.slice(1), sign = order.value[0] === "-" ? -1 : 1;
    const score = (place) => sign * (clips[place].scores[name] ?? sign * Infinity); // those without a score come last
    const found = [...clips.keys()].filter((place) => !node || clips[place].nodes.includes(node));
    if (name) found.sort((a, b) => score(a) - score(b) || a - b);
    const before = choose.value;
    choose.replaceChildren(...found.map((place) => {
      const option = make("option", "", `${place + 1}. ${clips[place].title}`);
      option.value = place;
      return option;
    }));
    if (found.includes(Number(before))) choose.value = before;
  }

  // After another filter or order: the present clip if it is among them, unless the first is wanted.
  choose(first = false) {
    this.list();
    if (first) this.part.choose.selectedIndex = 0;
    if (this.part.choose.value !== this.root.dataset.clip) this.load();
  }

  async load() {
    const turn = ++this.loading, place = Number(this.part.choose.value);
    this.transport.pause();
    try {
      const clip = JSON.parse(document.getElementById(`clip-${this.root.dataset.own}-${place}`).textContent);
      const parts = await Promise.all(clip.sounds.map((text) => decoded(text, clip.rate)));
      if (turn !== this.loading) return; // another clip was chosen meanwhile
      this.take(clip, parts);
      await this.view.draw();
    } catch (error) {
      this.say(`This clip cannot be played here: ${error.message}`);
      throw error;
    }
    if (turn === this.loading) this.root.dataset.clip = place;
  }

  take(clip, parts) {
    const sums = new Map(); // lanes with the same sounds share a buffer, and so its spectrogram
    for (const { sounds } of clip.lanes)
      if (sounds.length && !sums.has(sounds.join())) sums.set(sounds.join(), added(sounds.map((part) => parts[part])));
    this.clip = clip;
    this.transport.load(parts);
    this.fill(clip.lanes.map((lane) => ({ ...lane, buffer: sums.get(lane.sounds.join()) ?? null })));
    this.view.load(this.lanes, Math.max(1e-4, ...[...sums.values()].map(peakOf)));
    this.refresh();
  }

  // New rows; what was soloed, muted and unfolded stays so by name, and the keyboard stays where it was.
  fill(lanes) {
    const focused = this.lanes.find((lane) => lane.row.contains(document.activeElement));
    const word = focused && ["mute", "alone", "fold"].find((name) => focused[name] === document.activeElement);
    const same = focused && lanes.findIndex((lane) => lane.node === focused.node && lane.version === focused.version);
    this.lanes = rowsOf(lanes, this);
    this.part.lanes.replaceChildren(...this.lanes.map((lane) => lane.row));
    if (!this.folded) this.unfolded = openAtFirst(this.lanes, this.clip.target);
    showFolds(this.lanes, this.unfolded);
    if (focused) (this.lanes[same]?.[word] || this.part.choose).focus();
  }

  fold(lane) {
    this.folded = true; // by a person: other clips follow
    if (!this.unfolded.delete(lane.node)) this.unfolded.add(lane.node);
    showFolds(this.lanes, this.unfolded);
    this.view.draw();
  }

  // `kind` is "solo" or "muted". A lane of another version replaces everything: versions never sound together.
  toggle(kind, lane, alone = false) {
    const { state } = this, other = lane.version !== null && lane.version !== state.version, nodes = state[kind];
    const on = alone || other || !nodes.has(lane.node);
    if (alone || other) nodes.clear();
    if (other) this.state = Object.assign(state, { solo: new Set(), muted: new Set(), version: lane.version });
    state[kind][on ? "add" : "delete"](lane.node);
    this.refresh();
  }

  // The same nodes in the next version: target, estimate. Where only the mixture sounds, first the target.
  compare() {
    const { state, lanes, index } = this, several = lanes.filter((lane) => lane.version !== null);
    if (!index.versions.length || !several.length) return;
    const compared = several.some((lane) => state.solo.has(lane.node) || state.muted.has(lane.node));
    if (compared) state.version = (state.version + 1) % index.versions.length;
    else this.state = { solo: new Set([several[0].node]), muted: new Set(), version: 0 };
    this.refresh();
  }

  refresh() {
    const { clip, part, lanes, state, index, transport } = this, mask = part.mask?.value || "";
    if (!clip) return;
    for (const lane of lanes) lane.hidden = mask !== "" && lane.withheld.includes(mask);
    clip.gains = heardParts(lanes, state);
    transport.mix(clip.gains);
    showHeard(lanes, state, clip.gains, mask);
    write(part.heard, `Heard: ${heardInWords(lanes, state, clip.gains)}`);
    if (part.compare) write(part.compare, `A/B: ${index.versions[state.version]}`);
    const nothing = mask !== "" && !lanes.some((lane) => lane.hidden);
    this.say(clip.note + (nothing ? ` ${mask} withholds nothing in this clip.` : ""));
    this.show();
    document.dispatchEvent(new Event("player"));
  }

  say(text) {
    write(this.part.note, text);
  }

  step(by) {
    const { choose } = this.part, count = choose.options.length, going = this.transport.playing !== null;
    choose.selectedIndex = (choose.selectedIndex + by + count) % count;
    this.load().then(() => { if (going) this.transport.play(); });
  }

  // Any clip of the page, whatever is filtered.
  async open(place) {
    this.part.with.value = "";
    this.list();
    this.part.choose.value = place;
    await this.load();
  }

  has(node, place) {
    return this.index.clips[place].nodes.includes(node);
  }

  playsAlone(node) {
    return this.transport.playing !== null && this.state.solo.size === 1 && this.state.solo.has(node);
  }

  // A node alone, in this clip or in the first that has it; if it does already, pause.
  async playNode(node) {
    const { index, transport, state } = this;
    if (this.playsAlone(node)) return transport.pause();
    this.state = { solo: new Set([node]), muted: new Set(), version: state.version };
    if (this.has(node, this.part.choose.value)) this.refresh();
    else await this.open([...index.clips.keys()].find((place) => this.has(node, place)));
    transport.play();
  }

  show() {
    if (!this.clip) return;
    const { part, transport, view } = this, { at, seconds, loop } = transport, playing = String(transport.playing !== null);
    if (part.play.getAttribute("aria-pressed") !== playing) {
      part.play.setAttribute("aria-pressed", playing);
      document.dispatchEvent(new Event("player"));
    }
    write(part.play, transport.playing ? "Pause" : "Play");
    const section = loop && loop[1] - loop[0] < seconds;
    write(part.loop, section ? `Loop ${loop[0].toFixed(1)}–${loop[1].toFixed(1)} s` : "Loop");
    part.loop.setAttribute("aria-pressed", loop !== null);
    part.seek.max = seconds;
    part.seek.value = at;
    part.seek.setAttribute("aria-valuetext", `${at.toFixed(1)} seconds`);
    write(part.time, `${at.toFixed(1)} / ${seconds.toFixed(1)} s`);
    write(part.decibels, `${part.volume.value} dB`);
    part.loudness.value = Math.max(-60, transport.level);
    part.limited.hidden = !transport.limited;
    view.show();
  }
}
