// Lanes: one row per signal of a clip, with its switches, its pictures, and what lies below it in the tree.

const MOST_OPEN = 12; // of more lanes than this, only those beside the clip's target are unfolded at first

function make(kind, name, text) {
  const element = document.createElement(kind);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(name, text, label, press) {
  const element = make("button", name, text);
  element.type = "button";
  element.setAttribute("aria-label", label);
  element.addEventListener("click", press);
  return element;
}

function picture(name, label) {
  const canvas = make("canvas", name);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

// The lanes with their rows; `acts` has toggle(kind, lane, alone) and fold(lane).
function rowsOf(lanes, acts) {
  const foldable = (place) => lanes.length > MOST_OPEN && place > 0 && lanes[place + 1]?.depth > lanes[place].depth;
  return lanes.map((lane, place) => rowOf(lane, acts, foldable(place)));
}

function rowOf(lane, acts, foldable) {
  const row = make("div", "lane"), who = make("div", "who"), name = make("strong", "", lane.name);
  const found = { ...lane, row, badge: make("span", "badge") };
  row.setAttribute("role", "listitem");
  row.dataset.version = lane.version ?? (lane.node ? 0 : "query");
  row.style.setProperty("--depth", lane.depth);
  if (foldable) name.prepend((found.fold = button("fold", "", `Signals below ${lane.name}`, () => acts.fold(found))));
  who.append(name, make("span", "", lane.detail), found.badge);
  row.append(who);
  if (!lane.buffer) return found;
  const switches = make("div", "switches"), views = make("div", "views");
  if (lane.node) found.mute = button("mute", "Mute", `Mute ${lane.name}`, () => acts.toggle("muted", found));
  found.alone = button("solo", "Solo", `Solo ${lane.name}`, (event) => acts.toggle("solo", found, event.shiftKey));
  found.alone.addEventListener("dblclick", () => acts.toggle("solo", found, true));
  switches.append(...[found.mute, found.alone].filter(Boolean));
  who.append(switches);
  found.wave = picture("wave", `Waveform of ${lane.name}`);
  found.spectrogram = picture("spectrogram", `Spectrogram of ${lane.name}`);
  views.append(found.wave, found.spectrogram, make("div", "region"), make("div", "head"));
  row.append(views);
  return found;
}

// The lanes below another one in the tree: those that follow and lie deeper.
function below(lanes, lane) {
  const first = lanes.indexOf(lane) + 1, rest = lanes.slice(first);
  const end = rest.findIndex((other) => other.depth <= lane.depth);
  return end < 0 ? rest : rest.slice(0, end);
}

// Which nodes are unfolded at first: all of a few, else the mixture and the ancestors of the clip's target.
function openAtFirst(lanes, target) {
  const open = (lane) => !lane.depth || below(lanes, lane).some((other) => other.node === target);
  return new Set(lanes.filter((lane) => lanes.length <= MOST_OPEN || open(lane)).map((lane) => lane.node));
}

function showFolds(lanes, open) {
  const folded = new Set(lanes.filter((lane) => lane.fold && !open.has(lane.node)).flatMap((lane) => below(lanes, lane)));
  for (const lane of lanes) {
    lane.row.hidden = folded.has(lane);
    lane.fold?.setAttribute("aria-expanded", open.has(lane.node));
  }
}

// Whether each lane sounds: with all its parts ("true"), with some ("part"), or not ("false").
function showHeard(lanes, state, gains, mask) {
  for (const lane of lanes) {
    const heard = lane.sounds.filter((part) => gains.get(part) === 1).length;
    lane.row.dataset.audible = heard === 0 ? "false" : heard === lane.sounds.length ? "true" : "part";
    lane.row.classList.toggle("withheld", lane.hidden);
    lane.badge.textContent = lane.hidden ? `withheld by ${mask}` : "";
    const here = lane.version === null || lane.version === state.version;
    for (const [element, nodes] of [[lane.mute, state.muted], [lane.alone, state.solo]]) {
      element?.setAttribute("aria-pressed", here && nodes.has(lane.node));
      if (element) element.disabled = lane.hidden;
    }
  }
}
