// What leaves the page: what is heard as a file, and links to a clip, a second, and what is heard.

// A WAV file of what is heard, or of its loop; volume and limiter leave it alone.
function saveHeard(player) {
  const { transport, clip, lanes, state, index, part } = player, { gains } = clip;
  const [from, to] = transport.loop ?? [0, transport.seconds];
  if (!gains.size) return player.say("Nothing is heard, so there is nothing to save.");
  const parts = [...gains.keys()].map((place) => transport.parts[place]);
  const { file, gain } = wavOf(added(parts, [...gains.values()]), from, to);
  const link = make("a"), name = `${index.clips[part.choose.value].title} ${heardInWords(lanes, state, gains)}`;
  link.href = URL.createObjectURL(file);
  link.download = `${name.replace(/[^\p{L}\p{N}.+]+/gu, "-").slice(0, 120)}.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  const down = gain < 1 ? `, turned down by ${(-20 * Math.log10(gain)).toFixed(1)} dB to fit` : "";
  return player.say(`Saved ${link.download}: ${clip.rate.toLocaleString("en")} Hz, 16 bits${down}.`);
}

function linkTo(player) {
  const { state, transport, part, root } = player, number = Number(part.choose.value) + 1, at = transport.at;
  const there = new URLSearchParams({ player: root.dataset.own, clip: number, t: at.toFixed(2) });
  for (const node of state.solo) there.append("solo", node);
  for (const node of state.muted) there.append("mute", node);
  if (state.version) there.set("version", state.version);
  if (part.mask?.value) there.set("mask", part.mask.value);
  player.linked = `#${there}`;
  location.replace(player.linked);
  const say = (where) => player.say(`A link to clip ${number} at ${at.toFixed(1)} s is ${where}.`);
  say("in the address bar");
  navigator.clipboard?.writeText(location.href).then(() => say("copied, and in the address bar"), () => {});
}

// To where a link leads, if it leads into a player; false: it does not.
async function followLink(players) {
  const there = new URLSearchParams(location.hash.slice(1));
  const place = Number(there.get("clip")) - 1, version = Number(there.get("version"));
  const player = players.find(({ root, index }) => root.dataset.own === there.get("player") && place in index.clips);
  if (!player) return false;
  if (player.linked === location.hash) return true; // it is there already
  const { part, index } = player, masks = [...(part.mask?.options ?? [])].map(({ value }) => value);
  player.state = {
    solo: new Set(there.getAll("solo")),
    muted: new Set(there.getAll("mute")),
    version: version in index.versions ? version : 0,
  };
  if (part.mask) part.mask.selectedIndex = Math.max(0, masks.indexOf(there.get("mask")));
  await player.open(place);
  player.transport.seek(Number(there.get("t")) || 0);
  player.root.scrollIntoView();
  return true;
}
