// View: which seconds of a clip its pictures show, where it plays and what is looped; click, drag and zoom.

const SHORTEST_LOOK = 0.1, SHORTEST_LOOP = 0.02, DRAG_PIXELS = 5;

class View {
  constructor(root, { ruler, lanes, large }, transport) {
    Object.assign(this, { root, ruler, large, transport });
    this.range = [0, 1]; // seconds
    this.lanes = [];
    this.images = new Map(); // buffer -> spectrogram of the range
    this.peak = 1; // height of all waveforms
    this.turn = 0;
    this.onPictures(ruler.parentElement);
    this.onPictures(lanes);
    new ResizeObserver(() => this.later()).observe(lanes);
  }

  load(lanes, peak) {
    Object.assign(this, { lanes, peak, images: new Map(), range: [0, this.transport.seconds] });
  }

  // A click seeks; dragging chooses what is looped.
  onPictures(element) {
    element.addEventListener("pointerdown", (down) => {
      const views = down.target.closest(".views");
      if (!views || down.button) return;
      const box = views.getBoundingClientRect(), [from, to] = this.range, { seconds } = this.transport;
      const at = (event) => Math.min(Math.max(from + ((event.clientX - box.left) / box.width) * (to - from), 0), seconds);
      const ends = (event) => [at(down), at(event)].sort((a, b) => a - b);
      let dragged = false;
      views.setPointerCapture(down.pointerId);
      views.onpointermove = (move) => {
        dragged ||= Math.abs(move.clientX - down.clientX) > DRAG_PIXELS;
        if (dragged) this.mark(ends(move));
      };
      views.onpointerup = views.onpointercancel = (up) => {
        views.onpointermove = views.onpointerup = views.onpointercancel = null;
        if (up.type === "pointercancel") this.show();
        else if (dragged) this.loop(...ends(up));
        else this.transport.seek(at(down));
      };
    });
  }

  loop(from, to) {
    if (to - from < SHORTEST_LOOP) return;
    this.transport.setLoop([from, to]);
    if (this.transport.at < from || this.transport.at > to) this.transport.seek(from);
  }

  // One end of the loop to where it plays now: the first (0) or the last (1).
  loopEnd(end) {
    const { at, loop, seconds } = this.transport, [from, to] = loop ?? [0, seconds];
    this.loop(end ? from : at, end ? at : to);
  }

  zoom(factor) {
    const { seconds, at } = this.transport, [from, to] = this.range, middle = at >= from && at <= to ? at : (from + to) / 2;
    this.look(Math.min(seconds, Math.max(SHORTEST_LOOK, (to - from) * factor)), middle);
  }

  // To what is looped, or back to the whole clip.
  zoomLoop() {
    const { seconds, loop } = this.transport;
    if (loop && this.whole) this.look(Math.max(SHORTEST_LOOK, loop[1] - loop[0]), (loop[0] + loop[1]) / 2);
    else this.look(seconds, seconds / 2);
  }

  get whole() {
    return this.range[1] - this.range[0] >= this.transport.seconds;
  }

  look(span, middle) {
    const from = Math.min(Math.max(middle - span / 2, 0), this.transport.seconds - span);
    this.range = span >= this.transport.seconds ? [0, span] : [from, from + span];
    this.images = new Map();
    this.draw();
    this.show();
  }

  enlarge() {
    this.large.setAttribute("aria-pressed", this.root.classList.toggle("enlarged"));
    this.images = new Map();
    this.draw();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.draw(), 150);
  }

  // Until all is drawn, also by a later call that replaces this one.
  draw() {
    this.drawn = this.paint(++this.turn);
    return this.drawn;
  }

  async paint(turn) {
    const { range, images, lanes } = this;
    drawRuler(this.ruler, range);
    for (const { buffer, row, wave, spectrogram } of lanes) {
      if (!buffer || row.hidden) continue;
      drawWave(wave, buffer, this.peak, range);
      const { clientHeight } = spectrogram; // 0 where a small player hides it
      if (clientHeight && !images.has(buffer)) images.set(buffer, spectrogramOf(buffer, range, clientHeight));
      if (clientHeight) drawSpectrogram(spectrogram, images.get(buffer), buffer.sampleRate);
      await new Promise((done) => setTimeout(done)); // let the page breathe between signals
      if (turn !== this.turn) return this.drawn;
    }
    return undefined;
  }

  mark(loop) {
    const [from, to] = this.range, share = (seconds) => Math.min(Math.max((seconds - from) / (to - from), 0), 1);
    this.root.style.setProperty("--from", share(loop[0]));
    this.root.style.setProperty("--to", share(loop[1]));
  }

  // Where it plays, and what is looped; a zoomed view turns its pages.
  show() {
    const { at, loop, playing } = this.transport, [from, to] = this.range, away = at < from || at > to;
    if (playing && away) return this.look(to - from, at + (to - from) / 2);
    this.root.style.setProperty("--at", (at - from) / (to - from));
    this.root.classList.toggle("away", away);
    this.mark(loop ?? [from, from]);
  }
}
