// Draws a case of the report when it is opened: the heat map, the curves, and the readout of the cell pointed at.
// The data of each case is in a script element of its own; parity/report/page_data.py documents its form.

const BANDS = document.body.dataset.bands.split(" ").map(Number);
const VERDICTS = ["agrees", "wrong", "inherited", "differs"];

// One cell as an object: [row, column, verdict, exact, shape, where, arrived pair, local pair].
function readCell(data, index) {
  const [row, column, verdict, exact, dimensions, where, ...pairs] = data.cells[index];
  const [group, layer] = data.rows[row];
  const segment = column < 0 ? [] : [data.segments[column]];
  return {
    index, row, column, exact, layer,
    name: data.names[index] ?? [group, ...segment, layer].join("/"),
    verdict: VERDICTS[verdict],
    shape: data.texts[dimensions],
    where: data.texts[where],
    arrived: readMeasure(pairs[0], pairs[1]),
    local: pairs.length > 2 ? readMeasure(pairs[2], pairs[3]) : null,
  };
}

function readMeasure(errorOrProblem, encodedTolerance) {
  const error = number(errorOrProblem), tolerance = number(encodedTolerance);
  if (typeof error === "string") return { problem: error, units: Infinity };
  const comparable = error < Infinity && tolerance > 0 && tolerance < Infinity;
  const units = error === 0 ? 0 : comparable ? (ALLOWED * error) / tolerance : Infinity;
  return { error, tolerance, units };
}

function band(units) {
  const found = BANDS.findIndex((edge) => units <= edge);
  return `b${found < 0 ? BANDS.length : found}`;
}

function colour(node, cell, view, first) {
  const measure = view === "local" && !(cell.exact && !cell.local) ? cell.local : cell.arrived;
  const classes = ["cell", measure === null ? "none" : band(measure.units)];
  if (cell.verdict === "wrong" || (cell.verdict === "inherited" && view === "arrived")) classes.push(cell.verdict);
  if (cell.index === first) classes.push("first");
  node.className = classes.join(" ");
  const units = measure === null ? "not run isolated" : measure.problem ?? `${short(measure.units)} units`;
  node.setAttribute("aria-label", `${cell.name}: ${cell.verdict}, ${units}`);
}

// Returns the drawn nodes, each with its cell.
function drawMap(box, cells, data) {
  const nodes = new Map();
  const draw = (name, cell) => {
    const node = element(name, { tabindex: "-1", "data-index": cell.index });
    nodes.set(node, cell);
    return node;
  };
  const lines = data.rows.map(() => new Map());
  for (const cell of cells) if (cell.column >= 0) lines[cell.row].set(cell.column, cell);
  if (data.segments.length) {
    const head = element("tr", {}, element("th", { scope: "col" }, "layer \\ segment"));
    for (const segment of data.segments) head.append(element("th", { scope: "col" }, String(segment)));
    const table = element("table", { class: "heat", role: "grid", "aria-label": "Layers by segments" });
    table.append(element("thead", {}, head));
    let group = null;
    lines.forEach((line, row) => {
      if (!line.size) return;
      const [inGroup, layer] = data.rows[row];
      if (inGroup !== group) {
        group = inGroup;
        const span = { scope: "rowgroup", colspan: data.segments.length + 1 };
        const title = element("tr", { class: "group" }, element("th", span, element("span", {}, group)));
        table.append(element("tbody", {}, title));
      }
      const drawn = data.segments.map((_, column) => (line.has(column) ? draw("td", line.get(column)) : element("td")));
      table.lastChild.append(element("tr", {}, element("th", { scope: "row", title: layer }, layer), ...drawn));
    });
    box.append(element("div", { class: "heat-box" }, table));
  }
  const others = cells.filter((cell) => cell.column < 0);
  if (others.length) {
    const strip = element("div", { class: "strip", role: "group", "aria-label": "Not in any segment" });
    for (const cell of others) strip.append(draw("span", cell));
    for (const node of strip.children) node.setAttribute("role", "img");
    box.append(element("p", { class: "quiet" }, `not in any segment: ${others.length.toLocaleString("en")}`), strip);
  }
  return nodes;
}

// The cell that an arrow key leads to: along a row or strip, and to the same column of the next row that has it.
function neighbour(node, key) {
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const next = key === "ArrowLeft" ? "previousElementSibling" : "nextElementSibling";
    for (let other = node[next]; other; other = other[next]) if (other.dataset.index) return other;
    return null;
  }
  if (!node.parentElement.matches("tr")) return null;
  const rows = [...node.closest("table").querySelectorAll("tr")];
  const step = key === "ArrowUp" ? -1 : 1;
  for (let row = rows.indexOf(node.parentElement) + step; rows[row]; row += step) {
    const other = rows[row].children[node.cellIndex];
    if (other && other.dataset.index) return other;
  }
  return null;
}

function drawReadout(box, cell) {
  const describe = (measure) => {
    if (measure === null) return "not run";
    if (measure.problem) return measure.problem;
    if (cell.exact) return measure.error ? `${short(measure.error)} elements differ` : "equal, as required";
    return `${short(measure.units)} units (error ${short(measure.error)}, allowed ${short(measure.tolerance)})`;
  };
  const line = (title, measure) => element("tr", {}, element("th", {}, title), element("td", {}, describe(measure)));
  const rows = [line("end to end", cell.arrived)];
  if (cell.verdict !== "differs" && (!cell.exact || cell.local)) rows.push(line("isolated", cell.local));
  const chip = element("span", { class: `chip ${cell.verdict}` }, cell.verdict);
  const about = element("span", { class: "quiet" }, [cell.where, cell.shape].filter(Boolean).join(", "));
  const title = element("p", {}, chip, " ", element("code", {}, cell.name), " ", about);
  box.replaceChildren(title, element("table", {}, ...rows));
}

function draw(details) {
  const source = details.querySelector("script.data");
  if (!source || details.drawn) return;
  details.drawn = true;
  const data = JSON.parse(source.textContent);
  const cells = data.cells.map((_, index) => readCell(data, index));
  const figure = details.querySelector(".map");
  const box = figure.querySelector(".drawing"), readout = figure.querySelector(".readout");
  const nodes = drawMap(box, cells, data);
  const paint = (view) => nodes.forEach((cell, node) => colour(node, cell, view, data.first));
  paint("arrived");

  const steps = details.querySelector(".steps");
  const show = (node, withSteps) => {
    const cell = nodes.get(node);
    if (!cell) return;
    drawReadout(readout, cell);
    if (withSteps && data.profiles[cell.index]) showSteps(steps, cell.name, data.profiles[cell.index]);
  };
  let stop = [...nodes.keys()].find((node) => nodes.get(node).index === data.shown) ?? nodes.keys().next().value;
  stop.tabIndex = 0;
  box.addEventListener("mouseover", (event) => show(event.target, false));
  box.addEventListener("focusin", (event) => {
    if (!nodes.has(event.target)) return;
    stop.tabIndex = -1;
    stop = event.target;
    stop.tabIndex = 0;
    show(stop, true);
  });
  box.addEventListener("mouseleave", () => show(stop, false));
  box.addEventListener("keydown", (event) => {
    if (!event.key.startsWith("Arrow") || !nodes.has(event.target)) return;
    const next = neighbour(event.target, event.key);
    if (next) next.focus();
    event.preventDefault();
  });
  const choice = figure.querySelector(".switch");
  if (choice) {
    choice.hidden = false;
    choice.addEventListener("change", (event) => paint(event.target.value));
  }

  showGrowth(details.querySelector(".growth"), data.growth);
  const shown = data.profiles[data.shown] ? data.shown : Object.keys(data.profiles)[0];
  if (shown !== undefined) showSteps(steps, cells[shown].name, data.profiles[shown]);
  show(stop, false);
  const scroller = box.querySelector(".heat-box");
  if (scroller && stop.matches("td")) {
    scroller.scrollTop = stop.offsetTop - scroller.clientHeight / 3;
  }
}

for (const details of document.querySelectorAll("details.case")) {
  details.addEventListener("toggle", () => details.open && draw(details));
  if (details.open) draw(details);
}

// A link to a case, or to something folded away, opens what it is in.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (!target) return;
  for (let box = target; box; box = box.parentElement) if (box.matches("details")) box.open = true;
  target.scrollIntoView();
}
window.addEventListener("hashchange", openTarget);
openTarget();
