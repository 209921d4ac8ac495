"use strict";

/** How often the pool is asked for, in milliseconds, while somebody looks. */
const POOL_INTERVAL = 1000;

const element = (id) => document.getElementById(id);

/** Makes an element; text is always text and never markup. */
function make(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const seconds = (ms) => (ms < 60000 ? `${(ms / 1000).toFixed(0)} s` : `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`);

// ---- Markdown: the little that an answer needs, built as nodes ----

function inline(parent, text) {
  for (const part of text.split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
    if (part.length > 2 && part.startsWith("`")) parent.append(make("code", "", part.slice(1, -1)));
    else if (part.length > 4 && part.startsWith("**")) parent.append(make("strong", "", part.slice(2, -2)));
    else if (part) parent.append(part);
  }
  return parent;
}

const cells = (line) => line.replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function markdown(parent, text) {
  parent.replaceChildren();
  let list = null, table = null, paragraph = null;
  for (const line of text.split("\n")) {
    const kind = /^#{1,6} /.test(line) ? "heading" : /^[-*] /.test(line) ? "item" : /^\|/.test(line) ? "row" : line.trim() ? "text" : "blank";
    if (kind !== "item") list = null;
    if (kind !== "row") table = null;
    if (kind !== "text") paragraph = null;
    if (kind === "heading") parent.append(inline(make("h3"), line.replace(/^#+ /, "")));
    if (kind === "item") {
      if (!list) parent.append((list = make("ul")));
      list.append(inline(make("li"), line.slice(2)));
    }
    if (kind === "row" && !/^[|\s:-]+$/.test(line)) {
      const tag = table ? "td" : "th";
      if (!table) parent.append((table = make("table")));
      const row = make("tr");
      for (const cell of cells(line)) row.append(inline(make(tag), cell));
      table.append(row);
    }
    if (kind === "text") {
      if (paragraph) paragraph.append(" ");
      else parent.append((paragraph = make("p")));
      inline(paragraph, line.trim());
    }
  }
}

// ---- The answer ----

/** Who is so near to the end of an answer, in pixels, reads along with it: two lines and a half. */
const FOLLOW_DISTANCE = 60;

/** Where an answer is shown, message by message. */
class Answer {
  #log = element("answer");
  #height = 0;
  #text = null;
  #written = "";
  #tools = new Map();
  messages = 0;

  /** Changes what is shown, and goes along with it if the reader was at its end before. */
  #change(change) {
    // A pool that has grown since, on a narrow screen, moved the end away and not the reader.
    const height = Math.max(this.#height, this.#log.clientHeight);
    const follows = this.#log.scrollHeight - this.#log.scrollTop - height < FOLLOW_DISTANCE;
    this.#height = this.#log.clientHeight;
    change();
    if (follows) this.#follow();
  }

  #follow() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #add(node) {
    this.#change(() => this.#log.append(node));
  }

  /** Who asks wants to see the answer, wherever they were reading. */
  question(text) {
    element("welcome")?.remove();
    this.#add(make("div", "question", text));
    this.#follow();
  }

  /** An answer that is watched again comes from its beginning. */
  restart() {
    while (this.#log.lastElementChild && !this.#log.lastElementChild.classList.contains("question")) this.#log.lastElementChild.remove();
    this.#text = null;
    this.#tools.clear();
    this.messages = 0;
  }

  message(data) {
    this.messages += 1;
    const content = Array.isArray(data.message?.content) ? data.message.content : [];
    for (const part of content) {
      if (part.type === "text" && data.type === "assistant") this.#append(part.text);
      if (part.type === "tool_use") this.#tool(part);
      if (part.type === "tool_result") this.#result(part);
    }
    if (data.type === "system" && data.subtype === "status") this.note(String(data.status));
  }

  #append(text) {
    if (!this.#text) {
      this.#text = make("div", "text");
      this.#written = "";
      this.#add(this.#text);
    }
    this.#written += text;
    this.#change(() => markdown(this.#text, this.#written));
  }

  #tool(part) {
    this.#text = null;
    const details = make("details", "tool");
    const input = Object.values(part.input ?? {}).filter((value) => typeof value === "string").join(" ");
    details.append(make("summary", "", `${part.name} ${input}`.slice(0, 160)));
    this.#tools.set(part.id, details);
    this.#add(details);
  }

  #result(part) {
    const details = this.#tools.get(part.tool_use_id);
    const text = typeof part.content === "string" ? part.content : (part.content ?? []).map((piece) => piece.text ?? "").join("\n");
    this.#change(() => details?.append(make("pre", "", text)));
  }

  note(text) {
    this.#text = null;
    this.#add(make("p", "quiet", text));
  }

  failure(text, again) {
    this.#text = null;
    const line = make("p", "failure", text);
    if (again) {
      const button = make("button", "again", "Watch on");
      button.type = "button";
      button.addEventListener("click", again);
      line.append(" ", button);
    }
    this.#add(line);
  }
}

// ---- One chat at a time ----

let running = null;

/** Reads whole lines, however the network cuts them. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part.trim()) yield part;
  }
}

/** What a refusal says, whoever refused. */
async function refusal(response) {
  const text = await response.text();
  let detail = "";
  try {
    const body = JSON.parse(text);
    detail = body.detail ?? body.error ?? "";
  } catch {
    detail = text.slice(0, 300);
  }
  const retry = response.headers.get("Retry-After");
  return `${response.status}: ${detail || response.statusText}${retry ? ` (try again in ${retry} s)` : ""}`;
}

async function watch(chat) {
  const { answer, request } = chat;
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
    signal: chat.leave.signal,
  });
  chat.began = true;
  if (!response.ok) {
    answer.failure(await refusal(response));
    return;
  }
  for await (const line of lines(response.body)) {
    const message = JSON.parse(line);
    if (message.type === "claude_json") answer.message(message.data);
    if (message.type === "error") answer.failure(message.error);
    if (message.type === "aborted") answer.note("Stopped.");
    if (message.type !== "claude_json") return;
  }
  throw new Error("the answer was cut before its end");
}

/** How far a chat is. */
function progress(chat) {
  const time = seconds(performance.now() - chat.started);
  const { messages } = chat.answer;
  if (chat.began) return `${time}, ${messages} message${messages === 1 ? "" : "s"}`;
  return running === chat ? `${time}, waiting for a place or the first line` : time;
}

async function run(request, answer) {
  const chat = { request, answer, started: performance.now(), began: false, leave: new AbortController() };
  running = chat;
  element("send").hidden = true;
  element("stop").hidden = false;
  element("stop").disabled = false;
  const tick = setInterval(() => {
    element("status").textContent = progress(chat);
  }, 250);
  try {
    await watch(chat);
  } catch (error) {
    const again = () => {
      if (running) return;
      answer.restart();
      void run(request, answer);
    };
    // Nobody here can know whether there is a run, or only a place in a queue that was lost.
    if (chat.leave.signal.aborted) answer.note("Stopped.");
    else answer.failure(`Connection lost: ${error.message}. The run may go on.`, again);
  } finally {
    clearInterval(tick);
    running = null;
    element("send").hidden = false;
    element("stop").hidden = true;
    element("status").textContent = progress(chat);
    element("message").focus();
  }
}

function ask(message) {
  if (running || !message.trim()) return;
  const answer = new Answer();
  answer.question(message);
  element("message").value = "";
  void run({ message, requestId: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` }, answer);
}

async function stop() {
  if (!running) return;
  const chat = running;
  const abort = () => fetch(`/api/abort/${encodeURIComponent(chat.request.requestId)}`, { method: "POST" });
  element("stop").disabled = true;
  try {
    let response = await abort();
    if (response.status === 404) {
      // There is no run: it has ended, or still waits for a place. Leaving gives that one up.
      chat.leave.abort();
      // It may have got the place in between.
      response = await abort();
    }
    if (!response.ok && response.status !== 404) chat.answer.failure(`Stop: ${await refusal(response)}`);
  } catch (error) {
    chat.answer.failure(`Stop: ${error.message}`);
  }
  element("stop").disabled = false;
}

// ---- The pool ----

/** At most so many places are drawn; beyond that the numbers speak. */
const SLOTS_MAX = 250;

function service(one) {
  const block = make("div", "service");
  const hard = one.limits.hard === null ? null : one.limits.hard * Math.max(1, one.machines.length);
  const title = make("h3", "", `${one.name} (${one.accounting})`);
  title.append(make("span", "", hard === null ? `${one.in_flight}, no limit` : `${one.in_flight} of ${hard}`));
  block.append(title);
  const soft = one.limits.soft === null ? null : one.limits.soft * Math.max(1, one.machines.length);
  const drawn = Math.min(hard ?? one.in_flight, SLOTS_MAX);
  const slots = make("div", "slots");
  for (let index = 0; index < drawn; index += 1) {
    const busy = one.in_flight - one.lingering;
    const slot = make("div", index < busy ? "slot taken" : index < one.in_flight ? "slot linger" : "slot");
    if (soft !== null && index === soft) slot.classList.add("soft");
    slots.append(slot);
  }
  block.append(slots);
  const facts = [];
  if (one.lingering) facts.push(`${one.lingering} lingering`);
  if (one.queue_length) facts.push(`${one.queue_length} of ${one.queue_depth_max} waiting`);
  if (one.reserve_in_use) facts.push(`${one.reserve_in_use} of the reserve`);
  if (facts.length) block.append(make("p", "quiet", facts.join(", ")));
  const list = make("ul", "exchanges");
  for (const exchange of one.exchanges.slice(0, 30)) {
    const item = make("li");
    item.append(make("span", "path", `${exchange.method} ${exchange.path}`), make("span", "quiet", exchange.stage), make("span", "", seconds(exchange.age_ms)));
    item.title = `${exchange.id} from ${exchange.client}: ${exchange.bytes_sent} bytes sent, last byte ${seconds(exchange.idle_ms)} ago`;
    list.append(item);
  }
  if (one.exchanges_total > 30) list.append(make("li", "quiet", `and ${one.exchanges_total - 30} more`));
  block.append(list);
  return block;
}

async function pool() {
  const response = await fetch("/.outlast/pool");
  // Without a gateway before the desktop there is no pool to show.
  if (!response.ok) {
    element("pool").hidden = true;
    return;
  }
  const state = await response.json();
  element("pool").hidden = false;
  const machines = new Set(state.services.flatMap((one) => one.machines.filter((machine) => machine.state === "ready").map((machine) => machine.id)));
  element("pool-status").textContent = `${state.app}, ${state.phase}, ${machines.size} machine${machines.size === 1 ? "" : "s"} ready`;
  element("services").replaceChildren(...state.services.map(service));
}

async function watchPool() {
  if (document.visibilityState === "visible") {
    try {
      await pool();
    } catch {
      element("pool-status").textContent = "not reachable";
    }
  }
  setTimeout(watchPool, POOL_INTERVAL);
}

// ---- Start ----

element("prompt").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(element("message").value);
});
element("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    ask(element("message").value);
  }
});
element("stop").addEventListener("click", () => void stop());
document.querySelector(".suggestion").addEventListener("click", (event) => ask(event.target.textContent));

async function health() {
  const response = await fetch("/api/health");
  if (!response.ok) return;
  const state = await response.json();
  element("agent").textContent = `${state.agent} answers`;
  element("agent").title = state.agent_reason;
}

void health().catch(() => {});
void watchPool();
