"use strict";
// The data: x and y (0 to 65535), source, place and text of every phrase in the order of the texts, its number in the
// index, and its nearest phrases by sense. `served` pages ask where they came from, others ask nobody.
const data = JSON.parse(document.getElementById("data").textContent);
const { x, y, source, place, text, id, near, sources } = data;
const count = text.length;
const served = "served" in document.body.dataset;
const element = name => document.getElementById(name);
const canvas = element("map"), tip = element("tip"), list = element("list"), heading = element("heading"), article = element("phrase");
const words = element("words"), pen = canvas.getContext("2d");
const SIZE = 65535, RAMP = 32, LISTED = 100, KEY_STEP = 60;
const at = new Map(id.map((one, i) => [one, i]));

let scale = 1, left = 0, top_ = 0, wide = 1, high = 1; // a point's place on the canvas is x * scale + left, y * scale + top_
let chosen = -1, pointed = -1, found = [], thread = [], colours = [], waiting = false;

// Colours: one for each text; a text alone is coloured along its length.
const group = sources.length > 1 ? source.map(s => s % 8) : text.map((_, i) => Math.floor(i * RAMP / count));
const order = [...Array(count).keys()].sort((a, b) => group[a] - group[b]);

function readColours() {
  const style = getComputedStyle(document.documentElement), of = name => style.getPropertyValue(name).trim();
  colours = sources.length > 1 ? Array.from({ length: 8 }, (_, i) => of(`--c${i}`)) : ramp(of("--first"), of("--middle"), of("--last"));
  colours.mark = of("--mark"); colours.ink = of("--ink"); colours.ground = of("--ground");
}
function ramp(...stops) {
  const parts = stops.map(stop => [1, 3, 5].map(from => parseInt(stop.slice(from, from + 2), 16)));
  return Array.from({ length: RAMP }, (_, i) => {
    const along = i / (RAMP - 1) * (parts.length - 1), from = Math.min(Math.floor(along), parts.length - 2);
    const mixed = parts[from].map((value, k) => Math.round(value + (parts[from + 1][k] - value) * (along - from)));
    return `rgb(${mixed})`;
  });
}

function showLegend() {
  const entry = (name, className, colour) => {
    const span = document.createElement("span"), dot = document.createElement("i");
    dot.className = className;
    if (colour) dot.style.background = colour;
    span.append(dot, name);
    return span;
  };
  const names = sources.length > 1 ? sources.map((name, i) => entry(name, "", colours[i % 8])) : [entry("from beginning to end", "ramp", "")];
  element("legend").replaceChildren(...names);
}

// Drawing
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
}
function radius() { return Math.max(1, Math.min(5, 1.1 * Math.sqrt(scale / fit()))) * Math.max(0.8, Math.min(3, Math.sqrt(20000 / count))); }
function fit() { return Math.min(wide, high) * 0.92 / SIZE; }
function paint() {
  const ratio = devicePixelRatio || 1;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, wide, high);
  const r = radius(), dim = found.length || thread.length ? 0.22 : 0.75;
  pen.globalAlpha = dim;
  let last = -1;
  for (const i of order) {
    const px = x[i] * scale + left, py = y[i] * scale + top_;
    if (px < -5 || py < -5 || px > wide + 5 || py > high + 5) continue;
    if (group[i] !== last) pen.fillStyle = colours[last = group[i]];
    pen.fillRect(px - r, py - r, 2 * r, 2 * r);
  }
  pen.globalAlpha = 1;
  for (let k = found.length - 1; k >= 0; k--) halo(found[k], Math.max(r * 1.4, 3.5));
  if (thread.length) {
    pen.strokeStyle = colours.mark; pen.lineWidth = 1.5; pen.beginPath();
    thread.forEach((i, k) => pen[k ? "lineTo" : "moveTo"](x[i] * scale + left, y[i] * scale + top_));
    pen.stroke();
    for (const i of thread) disc(i, 4, colours.mark);
  }
  for (const i of [pointed, chosen]) if (i >= 0) ring(i, i === chosen ? colours.mark : colours.ink);
}
function disc(i, r, colour) {
  pen.fillStyle = colour; pen.beginPath(); pen.arc(x[i] * scale + left, y[i] * scale + top_, r, 0, 7); pen.fill();
}
function halo(i, r) {
  disc(i, r + 1.5, colours.ground); disc(i, r + 0.5, colours.ink); disc(i, r - 0.7, colours[group[i]]);
}
function ring(i, colour) {
  disc(i, 4, colour);
  pen.strokeStyle = colour; pen.lineWidth = 2; pen.beginPath(); pen.arc(x[i] * scale + left, y[i] * scale + top_, 9, 0, 7); pen.stroke();
}

// Moving
function showAll() {
  scale = fit(); left = (wide - SIZE * scale) / 2; top_ = (high - SIZE * scale) / 2; draw();
}
function zoom(by, px = wide / 2, py = high / 2) {
  const next = Math.max(fit() * 0.7, Math.min(fit() * 400, scale * by));
  left = px - (px - left) * next / scale; top_ = py - (py - top_) * next / scale; scale = next; draw();
}
function resize() {
  const box = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1, began = wide === 1;
  const middle = [(wide / 2 - left) / scale, (high / 2 - top_) / scale], before = fit();
  wide = box.width; high = box.height; canvas.width = wide * ratio; canvas.height = high * ratio;
  if (began) return showAll();
  scale *= fit() / before; left = wide / 2 - middle[0] * scale; top_ = high / 2 - middle[1] * scale; draw();
}
function bringIntoSight(i) {
  const px = x[i] * scale + left, py = y[i] * scale + top_;
  if (px < 20 || py < 20 || px > wide - 20 || py > high - 20) { left += wide / 2 - px; top_ += high / 2 - py; }
}

const fingers = new Map();
let dragged = false;
canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event); dragged = false;
});
canvas.addEventListener("pointermove", event => {
  const before = fingers.get(event.pointerId);
  if (!before) return point(nearest(event.offsetX, event.offsetY, 12), event.offsetX, event.offsetY);
  const moved = [event.offsetX - before.offsetX, event.offsetY - before.offsetY];
  if (!dragged && Math.hypot(...moved) < 4 && fingers.size === 1) return;
  dragged = true; canvas.classList.add("held"); point(-1);
  const others = [...fingers.values()].filter(one => one.pointerId !== event.pointerId);
  if (others.length) {
    const other = others[0], distance = one => Math.hypot(one.offsetX - other.offsetX, one.offsetY - other.offsetY);
    zoom(distance(event) / Math.max(distance(before), 1), (event.offsetX + other.offsetX) / 2, (event.offsetY + other.offsetY) / 2);
  } else { left += moved[0]; top_ += moved[1]; draw(); }
  fingers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, event => {
  if (name === "pointerup" && fingers.size === 1 && !dragged) {
    const i = nearest(event.offsetX, event.offsetY, 14);
    if (i >= 0) choose(i);
  }
  fingers.delete(event.pointerId); canvas.classList.remove("held");
});
canvas.addEventListener("pointerleave", () => point(-1));
canvas.addEventListener("wheel", event => {
  event.preventDefault(); zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.offsetX, event.offsetY);
}, { passive: false });
canvas.addEventListener("dblclick", event => zoom(2, event.offsetX, event.offsetY));
canvas.addEventListener("keydown", event => {
  const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  if (moves[event.key]) { left += moves[event.key][0] * KEY_STEP; top_ += moves[event.key][1] * KEY_STEP; draw(); }
  else if (event.key === "+" || event.key === "=") zoom(1.4);
  else if (event.key === "-") zoom(1 / 1.4);
  else if (event.key === "0") showAll();
  else if (event.key === "Enter") { const i = nearest(wide / 2, high / 2, Infinity); if (i >= 0) choose(i); }
  else return;
  event.preventDefault();
});
element("in").onclick = () => zoom(1.6);
element("out").onclick = () => zoom(1 / 1.6);
element("all").onclick = showAll;
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== words) { event.preventDefault(); words.focus(); }
});

function nearest(px, py, within) {
  let best = -1, least = within * within;
  for (let i = 0; i < count; i++) {
    const dx = x[i] * scale + left - px, dy = y[i] * scale + top_ - py, distance = dx * dx + dy * dy;
    if (distance < least) { least = distance; best = i; }
  }
  return best;
}
function point(i, px, py) {
  tip.hidden = i < 0;
  if (i >= 0) {
    tip.replaceChildren(bold(title(i)), text[i]);
    tip.style.left = `${Math.max(4, Math.min(px + 14, wide - tip.offsetWidth - 8))}px`;
    tip.style.top = `${py + 18 + tip.offsetHeight > high ? Math.max(4, py - tip.offsetHeight - 12) : py + 18}px`;
  }
  if (i !== pointed) { pointed = i; draw(); }
}

// Reading
function bold(name) { const b = document.createElement("b"); b.textContent = name; return b; }
function title(i) { return sources.length > 1 ? `${place[i]}, ${sources[source[i]]}` : place[i]; }
function paragraph(of, className) { const p = document.createElement("p"); p.className = className; p.textContent = of; return p; }
function button(name, does) { const b = document.createElement("button"); b.type = "button"; b.textContent = name; b.onclick = does; return b; }
function inText(i, by) { const j = i + by; return j >= 0 && j < count && source[j] === source[i] && id[j] === id[i] + by ? j : -1; }

function choose(i, keep) {
  chosen = i;
  const before = inText(i, -1), after = inText(i, 1), nav = document.createElement("nav");
  if (before >= 0) nav.append(button("before", () => choose(before)));
  if (after >= 0) nav.append(button("after", () => choose(after)));
  nav.append(button("thread from here", () => walk(i)));
  article.replaceChildren(bold(title(i)), ...(before >= 0 ? [paragraph(text[before], "around")] : []),
    paragraph(text[i], "chosen"), ...(after >= 0 ? [paragraph(text[after], "around")] : []), nav);
  if (!keep) { thread = []; if (!found.length) show("nearest by sense", near[i]); }
  bringIntoSight(i); draw();
}
function show(name, which, needle) {
  heading.textContent = name; heading.hidden = false;
  list.replaceChildren(...which.slice(0, LISTED).map(i => {
    const item = document.createElement("li"), b = button("", () => choose(i, true));
    b.append(bold(title(i)), ...marked(text[i], needle));
    item.append(b);
    return item;
  }));
}
function marked(line, needle) {
  const from = needle ? line.toLowerCase().indexOf(needle) : -1;
  if (from < 0) return [line];
  const mark = document.createElement("mark");
  mark.textContent = line.slice(from, from + needle.length);
  return [line.slice(0, from), mark, line.slice(from + needle.length)];
}
// From each phrase to the nearest that the thread has not seen.
async function walk(i) {
  const steps = served ? await ask(`walk?id=${id[i]}`) : undefined;
  thread = steps ? steps : [i];
  while (!served && thread.length < 30) {
    const next = near[thread[thread.length - 1]].find(one => !thread.includes(one));
    if (next === undefined) break;
    thread.push(next);
  }
  found = []; words.value = "";
  choose(i, true);
  show("the thread from here", thread);
  draw();
}

// Searching
let asked = 0, timer = 0;
function by() { const checked = document.querySelector("input[name=by]:checked"); return checked ? checked.value : "text"; }
async function search() {
  const needle = words.value.trim().toLowerCase().replace(/\s+/g, " "), number = ++asked;
  thread = [];
  if (!needle) {
    found = []; list.replaceChildren(); heading.hidden = true;
    if (chosen >= 0) show("nearest by sense", near[chosen]);
  } else if (by() === "text") {
    found = [];
    for (let i = 0; i < count; i++) if (text[i].toLowerCase().includes(needle)) found.push(i);
    show(`${found.length.toLocaleString("en")} phrase${found.length === 1 ? "" : "s"} with these letters`, found, needle);
  } else {
    const answer = await ask(`find?by=${by()}&words=${encodeURIComponent(words.value)}`);
    if (number !== asked) return;
    found = answer || [];
    if (answer) show(by() === "both" ? "by words and sense" : "by sense", found);
  }
  draw();
}
async function ask(what) {
  const answer = await fetch(what).then(reply => reply.json(), () => ({ error: "the server does not answer any more" }));
  if (answer.error) { heading.textContent = answer.error; heading.hidden = false; list.replaceChildren(); return undefined; }
  return answer.found.map(one => at.get(one)).filter(i => i !== undefined);
}
words.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, by() === "text" ? 60 : 250); });
document.querySelector("form").addEventListener("submit", event => { event.preventDefault(); clearTimeout(timer); search(); });
document.querySelectorAll("input[name=by]").forEach(one => one.addEventListener("change", search));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); showLegend(); draw(); });
new ResizeObserver(resize).observe(canvas);
readColours(); showLegend(); resize();
