// Figures: their points say what they are, and the nodes of their trees play.

const TIP_REACH = 14; // pixels

// The points of a figure, with their texts: the markers of a line, or what has one text as a whole.
function pointsOf(figure) {
  return [...figure.querySelectorAll("[data-tips]")].flatMap((group) => {
    const texts = JSON.parse(group.dataset.tips), marks = [...group.querySelectorAll("use")];
    if (marks.length === texts.length) return marks.map((point, place) => ({ point, text: texts[place] }));
    return texts.length === 1 ? [{ point: group, text: texts[0] }] : [];
  });
}

// The text of the point below mouse or finger, or close to it, above that point.
function showTips(figure) {
  const tip = make("div", "tip"), points = pointsOf(figure);
  tip.hidden = true;
  figure.append(tip);
  const at = ({ clientX, clientY }) => {
    const near = points.map(({ point, text }) => {
      const box = point.getBoundingClientRect();
      const x = Math.max(box.left - clientX, 0, clientX - box.right);
      const y = Math.max(box.top - clientY, 0, clientY - box.bottom);
      return { text, box, distance: box.width || box.height ? Math.hypot(x, y) : Infinity, size: box.width * box.height };
    });
    const [nearest] = near.sort((a, b) => a.distance - b.distance || a.size - b.size);
    tip.hidden = !nearest || nearest.distance > TIP_REACH;
    if (tip.hidden) return;
    tip.textContent = nearest.text;
    const outer = figure.getBoundingClientRect(), { box } = nearest, room = outer.width - tip.offsetWidth;
    const left = box.left + box.width / 2 - outer.left - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(0, Math.min(left, room))}px`;
    tip.style.top = `${box.top - outer.top - tip.offsetHeight - 6}px`;
  };
  for (const event of ["pointermove", "pointerdown"]) figure.addEventListener(event, at);
  // A finger that is lifted leaves the text to be read; the next one elsewhere takes it away.
  figure.addEventListener("pointerleave", (event) => { tip.hidden ||= event.pointerType !== "touch"; });
  document.addEventListener("pointerdown", (event) => { tip.hidden ||= !figure.contains(event.target); });
}

// The names of nodes that are in a clip of a player become buttons.
function playTree(figure, players) {
  const names = [...figure.querySelectorAll("[data-node]")].flatMap((element) => {
    const { node } = element.dataset;
    const player = players.find(({ index }) => index.clips.some(({ nodes }) => nodes.includes(node)));
    return player ? [{ element, node, player }] : [];
  });
  if (!names.length) return;
  figure.querySelector(".wide").setAttribute("role", "group"); // what is a picture has no buttons
  figure.querySelector("figcaption").append(" Click a node to hear it.");
  for (const { element, node, player } of names) {
    element.setAttribute("role", "button");
    element.setAttribute("tabindex", "0");
    element.setAttribute("aria-description", `Plays ${node}`); // its name is what can be read, and may be shortened
    element.addEventListener("click", () => player.playNode(node));
    element.addEventListener("keydown", (event) => {
      if (![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      player.playNode(node);
    });
  }
  const press = ({ element, node, player }) => element.setAttribute("aria-pressed", player.playsAlone(node));
  names.forEach(press);
  document.addEventListener("player", () => names.forEach(press));
}
