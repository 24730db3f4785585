// Serving an export folder from JavaScript, on onnxruntime-node.
//
//   node serve.mjs FOLDER PROMPT... COUNT    each prompt, and after it the COUNT tokens that are most likely
//   node serve.mjs FOLDER --golden           does this program compute what the model does?
//
// All it knows is in manifest.json and the files that it names; docs/manifest.md tells what they mean. It serves exports
// in float32. Sequences of one batch move on together, so prompts have equally many tokens.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import ort from "onnxruntime-node";

const float32 = (data, dims) => new ort.Tensor("float32", data, dims);
const int64 = (numbers, dims) => new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), dims);
const size = (dims) => dims.reduce((a, b) => a * b, 1);

class Server {
  // B sequences that begin.
  static async open(folder, B) {
    const server = new Server();
    const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf-8"));
    server.manifest = read("manifest.json");
    if (server.manifest.format !== "sharnn onnx 3" || server.manifest.precision !== "float32")
      throw new Error("this program serves exports of the format 'sharnn onnx 3' in float32");
    server.read = read;
    server.B = B;
    server.graphs = {};
    for (const name of ["segment", "step"]) {
      const { file, inputs, outputs } = server.manifest.graphs[name];
      server.graphs[name] = { session: await ort.InferenceSession.create(join(folder, file)), inputs, outputs };
    }
    server.state = server.zeros("segment", { M: 0 });
    server.M = 0; // memory rows, while there is a memory
    server.written = null; // slots by age, while there is a ring
    return server;
  }

  // Inputs that come back as `<name>.next`: the state.
  zeros(graph, sizes) {
    const { inputs, outputs } = this.graphs[graph];
    const returned = new Set(outputs.map(({ name }) => name));
    const known = { B: this.B, B_heads: this.B * this.manifest.config.heads, ...sizes };
    const state = {};
    for (const { name, shape } of inputs) {
      if (!returned.has(`${name}.next`)) continue;
      const dims = shape.map((d) => (typeof d === "string" ? known[d] : d));
      state[name] = float32(new Float32Array(size(dims)), dims);
    }
    return state;
  }

  // tokens[t][b]; the logits (T, B, V), one after the other.
  async segment(tokens) {
    this.toMemory();
    const { rules } = this.manifest;
    const [T, M, graph] = [tokens.length, this.M, this.graphs.segment];
    const feeds = { tokens: int64(tokens.flat(), [T, this.B]), ...this.state };
    if (rules.mask) {
      const rule = rules.mask.dropped.find(({ steps_below }) => steps_below === null || T < steps_below);
      const dropped = Math.min(M, Math.max(0, rule.rows * M + rule.steps * T + rule.plus));
      const mask = new Float32Array(T * (M + T)).fill(-Infinity);
      for (let t = 0; t < T; t++) mask.fill(0, t * (M + T) + dropped, t * (M + T) + M + t + 1);
      feeds.mask = float32(mask, [T, M + T]);
      this.M = Math.min(rules.memory.most_rows, M + T);
    }
    if (rules.attention_scale)
      feeds.attention_scale = float32(new Float32Array([T ** rules.attention_scale.power]), []);
    const found = await graph.session.run(feeds);
    for (const name of Object.keys(this.state)) this.state[name] = found[`${name}.next`];
    return found.logits.data;
  }

  // tokens[b]; the logits (B, V). The state is written where it is read: no ring is copied.
  async step(tokens) {
    this.toRing();
    const { rules, capacity } = this.manifest;
    const everyone = new ort.Tensor("bool", new Uint8Array(this.B).fill(1), [this.B, 1]); // takes this step
    const feeds = { tokens: int64(tokens, [this.B]), due: everyone, ...this.state };
    if (rules.ring) {
      const { most_keys, heads } = rules.ring;
      const slot = this.written.length ? (this.written.at(-1) + 1) % most_keys : 0;
      if (slot >= capacity) throw new Error(`the ring of this export holds ${capacity} rows, and this step needs more`);
      const lines = Array.from({ length: this.B * heads }, (_, line) => [line, slot]).flat();
      feeds.slots = int64(lines, [this.B * heads, 2]);
      if (this.written.length === most_keys) this.written.shift();
      this.written.push(slot);
      feeds.held = int64(Array(this.B * heads).fill(this.written.length), [this.B * heads, 1, 1]);
      feeds.numbers = int64([...Array(capacity).keys()], [capacity]);
    }
    const results = { logits: null };
    for (const name of Object.keys(this.state)) results[`${name}.next`] = this.state[name];
    return (await this.graphs.step.session.run(feeds, results)).logits.data;
  }

  // The state of segments as that of steps: memories become rings.
  toRing() {
    if (this.written) return;
    const state = this.zeros("step", { C: this.manifest.capacity });
    if (this.M > this.manifest.capacity) throw new Error(`this export's ring holds ${this.manifest.capacity} rows`);
    for (const [name, value] of Object.entries(this.state)) {
      if (!name.endsWith(".memory")) state[name] = float32(value.data.slice(), value.dims); // steps write there
      else this.move(value.data, state[name.replace(/memory$/, "ring")].data, [...Array(this.M).keys()], false);
    }
    this.state = state;
    this.written = [...Array(this.M).keys()];
  }

  // The state of steps as that of segments: the last rows written, oldest first.
  toMemory() {
    if (!this.written) return;
    const { rules } = this.manifest;
    const slots = rules.ring ? this.written.slice(-rules.memory.most_rows) : [];
    const state = this.zeros("segment", { M: slots.length });
    for (const name of Object.keys(state)) {
      if (!name.endsWith(".memory")) state[name] = this.state[name];
      else this.move(state[name].data, this.state[name.replace(/memory$/, "ring")].data, slots, true);
    }
    this.state = state;
    this.M = slots.length;
    this.written = null;
  }

  // Copy the rows of a memory (M, B, H) to `slots` of a ring (B * heads, C, width), or back.
  move(memory, ring, slots, back) {
    const { heads, width } = this.manifest.rules.ring;
    const [lines, C] = [this.B * heads, this.manifest.capacity];
    slots.forEach((slot, row) => {
      for (let line = 0; line < lines; line++) {
        const [m, r] = [(row * lines + line) * width, (line * C + slot) * width];
        if (back) memory.set(ring.subarray(r, r + width), m);
        else ring.set(memory.subarray(m, m + width), r);
      }
    });
  }

  // Of every tensor of the state, the root of the sum of squares of each sequence's numbers.
  norms() {
    this.toMemory();
    const { emb } = this.manifest.config;
    const found = {};
    for (const [name, { data }] of Object.entries(this.state)) {
      const squares = Array(this.B).fill(0);
      data.forEach((x, i) => (squares[Math.floor(i / emb) % this.B] += x * x));
      if (data.length) found[name] = squares.map(Math.sqrt);
    }
    return found;
  }
}

// Text to ids and back, by the manifest's `vocabulary`.
class Vocabulary {
  constructor({ manifest, read }) {
    ({ unit: this.unit, end_of_line: this.newline, unknown: this.unknown } = manifest.vocabulary);
    this.tokens = read(manifest.vocabulary.file);
    this.ids = new Map(this.tokens.map((token, id) => [token, id]));
  }

  encode(text) {
    if (this.unit === "word") {
      const words = (line) => line.split(/\s+/).filter((word) => word).map((word) => this.ids.get(word) ?? this.unknown);
      return text.split("\n").flatMap((line, i) => (i ? [this.newline, ...words(line)] : words(line)));
    }
    if (this.unit === "character") return [...text].map((c) => (c === "\n" ? this.newline : this.ids.get(c) ?? this.unknown));
    return [...Buffer.from(text)].map((byte) => {
      const id = byte === 10 ? this.newline : this.ids.get(String(byte));
      if (id === undefined) throw new Error(`byte ${byte} is not in the vocabulary`);
      return id;
    });
  }

  // What follows the id `after`.
  decode(ids, after) {
    if (this.unit === "byte") {
      const bytes = ids.map((id) => (id === this.newline ? 10 : id === this.unknown ? -1 : Number(this.tokens[id])));
      return new TextDecoder().decode(Uint8Array.from(bytes.flatMap((byte) => (byte < 0 ? [0xef, 0xbf, 0xbd] : byte))));
    }
    const previous = [after, ...ids];
    const apart = this.unit === "word" ? " " : "";
    const word = (id, i) => (previous[i] === this.newline ? "" : apart) + this.tokens[id];
    return ids.map((id, i) => (id === this.newline ? "\n" : word(id, i))).join("");
  }
}

const mostLikely = (logits) => logits.reduce((best, value, i) => (value > logits[best] ? i : best), 0);

async function generate(folder, prompts, count) {
  const server = await Server.open(folder, prompts.length);
  const V = server.manifest.config.vocab;
  const vocabulary = new Vocabulary(server);
  const ids = prompts.map((prompt) => vocabulary.encode(prompt));
  const T = ids[0].length;
  if (!T || ids.some((sequence) => sequence.length !== T)) throw new Error("prompts must have equally many tokens, and one at least");
  let logits = (await server.segment(ids[0].map((_, t) => ids.map((sequence) => sequence[t])))).slice(-prompts.length * V);
  const drawn = prompts.map(() => []);
  for (let n = 0; n < count; n++) {
    const next = drawn.map((_, b) => mostLikely(logits.subarray(b * V, (b + 1) * V)));
    next.forEach((id, b) => drawn[b].push(id));
    logits = await server.step(next);
  }
  drawn.forEach((sequence, b) => process.stdout.write(vocabulary.decode(sequence, ids[b].at(-1)) + "\n"));
}

async function golden(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf-8"));
  const vector = JSON.parse(readFileSync(join(folder, manifest.golden), "utf-8"));
  const server = await Server.open(folder, vector.batch);
  const V = manifest.config.vocab;
  let [token, off, offNorms] = [0, 0, 0];
  for (const { graph, tokens, norms } of vector.parts) {
    for (const rows of graph === "segment" ? [tokens] : tokens.map((row) => [row])) {
      const logits = graph === "segment" ? await server.segment(rows) : await server.step(rows[0]);
      for (let t = 0; t < rows.length; t++, token++)
        for (let b = 0; b < vector.batch; b++)
          vector.ids.forEach((id, i) => {
            off = Math.max(off, Math.abs(logits[(t * vector.batch + b) * V + id] - vector.logits[token][b][i]));
          });
    }
    const found = server.norms();
    for (const [name, of] of Object.entries(norms))
      of.forEach((norm, b) => (offNorms = Math.max(offNorms, Math.abs((found[name]?.[b] ?? NaN) - norm))));
  }
  console.log(`${token} tokens: logits off by ${off}, allowed ${vector.tolerance.logits}; norms by ${offNorms}, allowed ${vector.tolerance.norms}`);
  if (!(off <= vector.tolerance.logits && offNorms <= vector.tolerance.norms)) throw new Error("this is not what the model computes");
}

const [folder, ...rest] = process.argv.slice(2);
if (rest[0] === "--golden") await golden(folder);
else await generate(folder, rest.slice(0, -1), Number(rest.at(-1)));
