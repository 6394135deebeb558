// Figures: their points say what they are, and the nodes of their trees play.

// The text of the nearest point below mouse or finger, beside it.
function showTips(figure) {
  const tip = make("div", "tip"), reach = 14;
  tip.hidden = true;
  figure.append(tip);
  const at = ({ clientX, clientY }) => {
    const near = [...figure.querySelectorAll("svg:not([hidden]) [data-tip]")].map((point) => {
      const box = point.getBoundingClientRect();
      const x = Math.max(box.left - clientX, 0, clientX - box.right), y = Math.max(box.top - clientY, 0, clientY - box.bottom);
      return { point, box, distance: box.width + box.height ? Math.hypot(x, y) : Infinity, size: box.width * box.height };
    });
    const nearest = near.sort((a, b) => a.distance - b.distance || a.size - b.size)[0];
    tip.hidden = !nearest || nearest.distance > reach;
    if (tip.hidden) return;
    tip.textContent = nearest.point.dataset.tip;
    const outer = figure.getBoundingClientRect(), { box } = nearest;
    tip.style.left = `${Math.min(Math.max(box.left + box.width / 2 - outer.left - tip.offsetWidth / 2, 0), outer.width - tip.offsetWidth)}px`;
    tip.style.top = `${box.top - outer.top - tip.offsetHeight - 6}px`;
  };
  figure.addEventListener("pointermove", at);
  figure.addEventListener("pointerdown", at);
  figure.addEventListener("pointerleave", () => { tip.hidden = true; });
}

// The names of nodes that are in a clip of a player become buttons.
function playTree(figure, players) {
  const names = [...figure.querySelectorAll("[data-node]")].flatMap((element) => {
    const { node } = element.dataset, player = players.find(({ index }) => index.clips.some(({ nodes }) => nodes.includes(node)));
    return player ? [{ element, node, player }] : [];
  });
  if (!names.length) return;
  figure.querySelector(".wide").setAttribute("role", "group"); // what is a picture has no buttons
  for (const { element, node, player } of names) {
    element.setAttribute("role", "button");
    element.setAttribute("tabindex", "0");
    element.setAttribute("aria-label", `Play ${node}`);
    element.addEventListener("click", () => player.playNode(node));
    element.addEventListener("keydown", (event) => {
      if (![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      player.playNode(node);
    });
  }
  document.addEventListener("player", () => names.forEach(({ element, node, player }) => element.setAttribute("aria-pressed", player.playsAlone(node))));
}
