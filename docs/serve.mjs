// Serving an export folder from JavaScript: node serve.mjs FOLDER PROMPT COUNT
//
// Feeds PROMPT to `segment` and then draws COUNT tokens, the most likely ones, with `step`. All it knows is in
// manifest.json and vocabulary.json (a vocabulary of bytes). It needs onnxruntime-node.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import ort from "onnxruntime-node";

const [folder, prompt, count] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf-8"));
const manifest = read("manifest.json");
const { config, rules } = manifest;
const B = 1;
const heads = config.heads;

async function load(name) {
  const { file, inputs, outputs } = manifest.graphs[name];
  return { session: await ort.InferenceSession.create(join(folder, file)), inputs, outputs };
}

const float32 = (data, dims) => new ort.Tensor("float32", data, dims);
const int64 = (numbers, dims) => new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), dims);
const size = (dims) => dims.reduce((a, b) => a * b, 1);

// Inputs that come back as `<name>.next`: the state. All zeros to begin, but for the ring's bias.
function begin(graph, sizes) {
  const returned = new Set(graph.outputs.map(({ name }) => name));
  const state = {};
  for (const { name, shape } of graph.inputs) {
    if (!returned.has(`${name}.next`)) continue;
    const dims = shape.map((d) => (typeof d === "string" ? sizes[d] : d));
    state[name] = float32(new Float32Array(size(dims)).fill(name === "bias" ? -Infinity : 0), dims);
  }
  return state;
}

async function run(graph, feeds, state) {
  const found = await graph.session.run({ ...feeds, ...state });
  const carried = Object.fromEntries(Object.keys(state).map((name) => [name, found[`${name}.next`]]));
  return [found.logits.data, carried];
}

// How many of M memory rows a segment of T steps leaves out, by the manifest's rule.
function dropped(M, T) {
  const value = (text) => new Function("M", "T", "min", "max", `return ${text}`)(M, T, Math.min, Math.max);
  const [, rule] = Object.entries(rules.mask.dropped).find(([condition]) => value(condition));
  return value(rule);
}

async function feedSegment(graph, ids, state, M) {
  const T = ids.length;
  const feeds = { tokens: int64(ids, [T, B]) };
  const wanted = new Set(graph.inputs.map(({ name }) => name));
  if (wanted.has("mask")) {
    const mask = new Float32Array(T * (M + T)).fill(-Infinity);
    for (let t = 0; t < T; t++) for (let j = dropped(M, T); j <= M + t; j++) mask[t * (M + T) + j] = 0;
    feeds.mask = float32(mask, [T, M + T]);
  }
  if (wanted.has("attention_scale")) feeds.attention_scale = float32(new Float32Array([1 / Math.sqrt(T)]), []);
  return run(graph, feeds, state);
}

// The state of segments as the state of steps: memories become rings.
function toSteps(graph, state) {
  const C = rules.ring?.most_keys;
  const steps = begin(graph, { B, B_heads: B * heads, C });
  let rows = 0;
  for (const [name, value] of Object.entries(state)) {
    if (!name.endsWith(".memory")) {
      steps[name] = value;
      continue;
    }
    const d = config.emb / heads;
    const ring = steps[name.replace(/memory$/, "ring")].data;
    rows = value.dims[0];
    for (let s = 0; s < rows; s++)
      for (let line = 0; line < B * heads; line++)
        for (let k = 0; k < d; k++) ring[(line * C + s) * d + k] = value.data[(s * B * heads + line) * d + k];
  }
  if (steps.bias) steps.bias.data.fill(0, 0, rows);
  return [steps, C ? rows % C : 0];
}

const mostLikely = (logits) => logits.reduce((best, value, i) => (value > logits[best] ? i : best), 0);

const vocabulary = read("vocabulary.json");
const idOf = new Map(vocabulary.map((token, id) => [token, id]));
const ids = [...Buffer.from(prompt)].map((byte) => (byte === 10 ? 0 : idOf.get(String(byte))));
const segment = await load("segment");
const first = begin(segment, { B, M: 0 });
let [logits, state] = await feedSegment(segment, ids, first, 0);
logits = logits.slice((ids.length - 1) * config.vocab);

const step = await load("step");
let slot;
[state, slot] = toSteps(step, state);
const bytes = [];
for (let n = 0; n < Number(count); n++) {
  const id = mostLikely(logits);
  bytes.push(id === 0 ? 10 : Number(vocabulary[id]));
  const feeds = { tokens: int64([id], [B]) };
  if (rules.ring) {
    const lines = Array.from({ length: B * heads }, (_, line) => [line, slot]).flat();
    feeds.slots = int64(lines, [B * heads, 2]);
    slot = (slot + 1) % rules.ring.most_keys;
  }
  [logits, state] = await run(step, feeds, state);
}
process.stdout.write(Buffer.from(bytes).toString() + "\n");
