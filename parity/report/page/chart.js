"use strict";
// What the page draws with, and its curves: error in units of rounding on a log scale.

const ALLOWED = Number(document.body.dataset.allowed);
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// A number as parity/report/encode.py writes it, or a text; what is not finite is drawn as infinite.
function number(value) {
  return ["Infinity", "-Infinity", "NaN"].includes(value) ? Infinity : value;
}

// Three digits; a number too large or too small for them with its exponent.
function short(value) {
  if (value === Infinity) return "∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const [digits, exponent] = value.toExponential(2).split("e");
    return `${Number(digits)}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 8 });
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function power(exponent) {
  const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[digit]).join("");
  return exponent === 0 ? "1" : exponent === 1 ? "10" : `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

// The next of 1, 2, 5, 10, 20, ...
function round(stride) {
  const decade = 10 ** Math.max(0, Math.floor(Math.log10(stride)));
  return [1, 2, 5, 10].map((step) => step * decade).find((step) => step >= stride);
}

// Curves on a log scale. `series`: [{ name, points: [[x, y], ...] }], y in units of rounding, which may be infinite.
function drawChart(box, series, labels) {
  const width = Math.max(260, box.clientWidth), height = 230;
  const left = 44, right = 14, top = 22, bottom = 38;
  const points = series.flatMap((one) => one.points);
  const ys = points.map((point) => point[1]).filter((y) => y < Infinity && y > 0);
  const low = Math.floor(Math.log10(Math.min(ALLOWED / 10, ...ys)));
  const high = Math.ceil(Math.log10(Math.max(ALLOWED * 10, ...ys)));
  const xs = points.map((point) => point[0]);
  const first = Math.min(...xs), last = Math.max(...xs);
  const x = (value) => left + ((width - left - right) * (last === first ? 0.5 : (value - first) / (last - first)));
  const y = (value) => {
    const log = value === Infinity ? high : Math.max(low, value > 0 ? Math.log10(value) : low);
    return top + ((height - top - bottom) * (high - log)) / (high - low);
  };
  const chart = shape("svg", { width, height, role: "img", "aria-label": labels.label });
  const write = (text, at, anchor, extra = "") =>
    chart.append(shape("text", { class: `tick ${extra}`, x: at[0], y: at[1], "text-anchor": anchor }, text));

  const every = Math.ceil((high - low) / 7);
  for (let exponent = low; exponent <= high; exponent += every) {
    const at = y(10 ** exponent);
    chart.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }));
    write(power(exponent), [left - 6, at + 4], "end");
  }
  const ticks = Math.max(1, Math.min(last - first, Math.floor((width - left - right) / 56)));
  const stride = round((last - first) / ticks);
  for (let value = Math.ceil(first / stride) * stride; value <= last; value += stride) {
    write(value, [x(value), height - bottom + 16], "middle");
  }
  write(labels.x, [left + (width - left - right) / 2, height - 4], "middle");
  chart.append(shape("line", { class: "allowed", x1: left, x2: width - right, y1: y(ALLOWED), y2: y(ALLOWED) }));
  write(`allowed: ${ALLOWED}`, [width - right, y(ALLOWED) - 4], "end");
  if (labels.bad !== null) {
    chart.append(shape("line", { class: "bad", x1: x(labels.bad), x2: x(labels.bad), y1: 6, y2: height - bottom }));
    const [beside, anchor] = x(labels.bad) > width / 2 ? [-5, "end"] : [5, "start"];
    write(`first bad step: ${labels.bad}`, [x(labels.bad) + beside, top - 8], anchor, "bad");
  }
  for (const one of series) {
    const path = one.points.map((point) => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join(" ");
    chart.append(shape("polyline", { class: `curve ${one.view}`, points: path }));
    if (one.points.length > 40) continue;
    for (const point of one.points) {
      const dot = shape("circle", { class: `dot ${one.view}`, cx: x(point[0]), cy: y(point[1]), r: 3.5 });
      dot.append(shape("title", {}, `${one.name}, ${labels.x} ${point[0]}: ${short(point[1])} units`));
      chart.append(dot);
    }
  }
  const key = element("p", { class: "curve-key" });
  for (const one of series) key.append(element("span", { class: one.view }, one.name), " ");
  box.replaceChildren(chart, key);
}

// Draws, and draws again when the width changes.
function showChart(figure, series, labels) {
  const box = figure.querySelector(".drawing");
  figure.hidden = false;
  figure.redraw = () => drawChart(box, series, labels);
  if (!figure.watched) {
    let width = 0;
    figure.watched = new ResizeObserver(() => {
      if (box.clientWidth !== width) {
        width = box.clientWidth;
        figure.redraw();
      }
    });
    figure.watched.observe(box);
  }
  figure.redraw();
}

function showGrowth(figure, growth) {
  if (growth.length < 2) return;
  const series = [
    { view: "arrived", name: "end to end", points: growth.map(([segment, arrived]) => [segment, number(arrived)]) },
    { view: "local", name: "isolated", points: growth.map(([segment, , local]) => [segment, number(local)]) },
  ];
  const last = growth[growth.length - 1];
  const label = `Error over segments; in the last, ${short(number(last[1]))} units end to end, ${short(number(last[2]))} isolated`;
  showChart(figure, series, { x: "segment", label, bad: null });
}

function showSteps(figure, name, profile) {
  const width = Math.max(1, Math.ceil(profile.steps / profile.arrived.length));
  const points = (values) => values.map((value, index) => [index * width, number(value)]);
  const series = [{ view: "arrived", name: "end to end", points: points(profile.arrived) }];
  if (profile.local.length) series.push({ view: "local", name: "isolated", points: points(profile.local) });
  figure.querySelector(".name").textContent = name;
  const bad = profile.bad === null ? "no step is off" : `the first bad step is ${profile.bad}`;
  showChart(figure, series, { x: "step", label: `Error over steps of ${name}; ${bad}`, bad: profile.bad });
}
