// Texts that go on side by side, each a sequence of the server's, and what the server does meanwhile.

const $ = (id) => document.getElementById(id);
const said = $("said");

function say(sentence, wrong = false) {
  said.textContent = sentence;
  said.classList.toggle("wrong", wrong);
}

async function ask(path, { method = "POST", body, signal } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
  if (answer.ok) return answer;
  if (answer.status === 401) $("locked").hidden = false;
  const told = await answer.json().catch(() => null);
  throw new Error(told?.error?.message ?? `the server answered ${answer.status}`);
}

const json = async (...request) => (await ask(...request)).json();

// ---- texts

let texts = [];

class Text {
  // `read` is what the sequence `id` of the server has read; the text in the page may be another by now.
  constructor(text = "", id = null, read = "") {
    this.id = id;
    this.read = read;
    this.element = $("text").content.firstElementChild.cloneNode(true);
    this.area = this.element.querySelector("textarea");
    this.area.value = text;
    const on = (name, act) => this.element.querySelector(name).addEventListener("click", act);
    on(".on", () => this.goOn());
    on(".stop", () => this.stop());
    on(".fork", () => this.fork());
    on(".remove", () => this.remove());
    this.area.addEventListener("input", () => this.count());
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.ctrlKey) this.goOn();
      else if (event.key === "Escape") this.stop();
      else if (event.key.toLowerCase() === "f" && event.altKey) this.fork();
      else return;
      event.preventDefault();
    });
    this.count();
  }

  get name() {
    return `text ${texts.indexOf(this) + 1}`;
  }

  count() {
    this.element.querySelector(".count").textContent = `${this.area.value.length.toLocaleString("en")} characters`;
  }

  running(yes) {
    this.area.readOnly = yes;
    for (const name of [".on", ".remove"]) this.element.querySelector(name).disabled = yes;
    this.element.querySelector(".stop").disabled = !yes;
  }

  // Let the server read what is in the page: the rest of it, or all if what was read has changed.
  async catchUp(signal) {
    const text = this.area.value;
    if (!text) throw new Error("write something to go on from");
    if (this.id !== null && text === this.read) return;
    if (this.id !== null && text.startsWith(this.read)) {
      await json(`/v1/sequences/${this.id}/append`, { body: { text: text.slice(this.read.length) }, signal });
    } else {
      const before = this.id;
      this.id = (await json("/v1/sequences", { body: { text }, signal })).id;
      if (before !== null) forget(before);
    }
    this.read = text;
  }

  async goOn() {
    if (this.stopping) return;
    this.stopping = new AbortController();
    this.running(true);
    say(`${this.name} goes on`);
    try {
      await this.catchUp(this.stopping.signal);
      const body = {
        max_tokens: $("tokens").valueAsNumber,
        temperature: $("temperature").valueAsNumber,
        seed: $("seed").valueAsNumber,
        stream: true,
      };
      const answer = await ask(`/v1/sequences/${this.id}/generate`, { body, signal: this.stopping.signal });
      for await (const piece of events(answer)) this.add(piece);
      this.show();
      say(`${this.name} has ended`);
    } catch (error) {
      if (this.showing) this.show();
      // What was drawn and had not arrived belongs to the sequence: it is begun again from what can be seen.
      if (this.id !== null) forget(this.id);
      this.id = null;
      this.read = "";
      if (error.name === "AbortError") say(`${this.name} was stopped`);
      else say(`${this.name}: ${error.message}`, true);
    } finally {
      this.stopping = null;
      this.running(false);
    }
  }

  add(piece) {
    if (piece.error) throw new Error(piece.error.message);
    this.read += piece.text;
    this.showing ??= setTimeout(() => this.show(), 40); // a page cannot be laid out for every token
  }

  show() {
    clearTimeout(this.showing);
    this.showing = null;
    if (!this.read) return;
    const { scrollTop, scrollHeight, clientHeight } = this.area;
    this.area.value = this.read;
    if (scrollTop + clientHeight >= scrollHeight - 4) this.area.scrollTop = this.area.scrollHeight;
    this.count();
  }

  stop() {
    this.stopping?.abort();
  }

  async fork() {
    const cursor = document.activeElement === this.area || this.area.selectionStart ? this.area.selectionStart : 0;
    const at = cursor || this.area.value.length;
    const text = this.area.value.slice(0, at);
    const whole = !this.stopping && this.id !== null && text === this.read;
    try {
      const id = whole ? (await json(`/v1/sequences/${this.id}/fork`)).id : null;
      const other = add(new Text(text, id, whole ? text : ""), this);
      other.area.focus();
      say(`forked after ${at.toLocaleString("en")} characters: ${other.name}`);
    } catch (error) {
      say(error.message, true);
    }
  }

  remove() {
    if (this.id !== null) forget(this.id);
    texts = texts.filter((text) => text !== this);
    this.element.remove();
    if (!texts.length) add(new Text());
    number();
    texts[0].area.focus();
  }
}

function forget(id) {
  ask(`/v1/sequences/${id}`, { method: "DELETE" }).catch(() => setTimeout(() => forgetOnce(id), 2000));
}

// It may still have been in use.
function forgetOnce(id) {
  ask(`/v1/sequences/${id}`, { method: "DELETE" }).catch(() => {});
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the connection ended before the text did");
    const lines = (rest + value).split("\n\n");
    rest = lines.pop();
    for (const line of lines) {
      const data = line.replace(/^data: /, "");
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

function add(text, after) {
  const place = after ? texts.indexOf(after) + 1 : texts.length;
  texts.splice(place, 0, text);
  if (after) after.element.after(text.element);
  else $("texts").append(text.element);
  number();
  return text;
}

function number() {
  texts.forEach((text, i) => {
    text.element.querySelector("h2").textContent = `Text ${i + 1}`;
    text.element.setAttribute("aria-label", `Text ${i + 1}`);
    text.area.setAttribute("aria-label", `Text ${i + 1}`);
  });
}

// ---- load

const SECONDS = 120;

class Plot {
  constructor(id) {
    this.figure = $(id);
    this.values = [];
    this.figure.insertAdjacentHTML(
      "beforeend",
      `<svg viewBox="0 0 ${SECONDS - 1} 1" preserveAspectRatio="none" role="img"><path/></svg>`,
    );
  }

  // `most` is the top of the plot; without it, the highest value shown.
  show(value, text, most) {
    this.values = [...this.values, value].slice(-SECONDS);
    const top = most ?? Math.max(...this.values, 1);
    const from = SECONDS - this.values.length;
    const points = this.values.map((y, i) => `${from + i} ${0.98 - 0.96 * Math.min(y / top, 1)}`);
    this.figure.querySelector("path").setAttribute("d", `M${points.join("L")}`);
    this.figure.querySelector("output").textContent = text;
    const label = `${text} now, at most ${Math.max(...this.values).toLocaleString("en")} in two minutes`;
    this.figure.querySelector("svg").setAttribute("aria-label", label);
  }
}

const plots = Object.fromEntries(["speed", "active", "waiting", "sequences"].map((id) => [id, new Plot(id)]));
let before = null;

async function look() {
  try {
    const now = await json("/v1/status", { method: "GET" });
    const time = performance.now() / 1000;
    $("model").textContent = now.model;
    if (before) {
      const speed = Math.max(0, Math.round((now.tokens - before.tokens) / (time - before.time)));
      plots.speed.show(speed, speed.toLocaleString("en"));
      plots.active.show(now.active, `${now.active} of ${now.slots}`, now.slots);
      plots.waiting.show(now.waiting, `${now.waiting}`);
      plots.sequences.show(now.in_memory, `${now.in_memory} of ${now.sequences}`);
    }
    before = { tokens: now.tokens, time };
  } catch (error) {
    say(error.message, true);
    before = null;
  }
  setTimeout(look, 1000);
}

$("all").addEventListener("click", () => texts.forEach((text) => text.goOn()));
$("settings").addEventListener("submit", (event) => event.preventDefault());
add(new Text("In the beginning"));
look();
