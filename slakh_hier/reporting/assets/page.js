// The page: its players, links into it, its keys and its figures.

const players = [...document.querySelectorAll(".player")].map((root) => new Player(root));

followLink(players).then(() => players.filter(({ clip }) => !clip).forEach((player) => player.load()));
addEventListener("hashchange", () => followLink(players));
listenToKeys(players);
for (const figure of document.querySelectorAll("figure")) {
  if (figure.querySelector("[data-tips]")) showTips(figure);
  if (figure.querySelector("[data-node]")) playTree(figure, players);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => players.forEach(({ view }) => view.later()));
