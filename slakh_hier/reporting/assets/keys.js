// Keys are for the player that has the focus, else for one that can be seen: elsewhere they scroll the page.

const KEYS = {
  " ": (player) => player.transport.toggle(),
  ArrowLeft: ({ transport }) => transport.seek(transport.at - 1),
  ArrowRight: ({ transport }) => transport.seek(transport.at + 1),
  Home: ({ transport }) => transport.seek(0),
  n: (player) => player.step(1),
  p: (player) => player.step(-1),
  a: (player) => player.compare(),
  l: ({ part }) => part.loop.click(),
  "[": ({ view }) => view.loopEnd(0),
  "]": ({ view }) => view.loopEnd(1),
  "+": ({ view }) => view.zoom(0.5),
  "-": ({ view }) => view.zoom(2),
  z: ({ view }) => view.zoomLoop(),
};

function listenToKeys(players) {
  let current = players[0];
  for (const player of players)
    for (const event of ["focusin", "pointerdown"]) player.root.addEventListener(event, () => { current = player; });
  const seen = (player) => {
    const box = player.root.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  document.addEventListener("keydown", (event) => {
    const { target, key } = event, within = players.find(({ root }) => root.contains(target));
    const player = within || [current, ...players].find((other) => other && seen(other));
    if (!player || !(key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
    const presses = key === " " && target.closest("button, select, summary, a, [role=button]");
    const moves = /^(Arrow|Home)/.test(key) && target.closest("input, select, .wide");
    const types = key.length === 1 && key !== " " && (!player.part.letters.checked || target.closest("select"));
    if (presses || moves || types) return;
    KEYS[key](player);
    event.preventDefault();
  });
}
