"use strict";

// Runs the page's script before a document of a few lines: what has a height is told by the number of its elements.

const assert = require("node:assert");
const fs = require("node:fs");
const vm = require("node:vm");

const LINE = 20;
let screen = 200;

class FakeElement {
  children = [];
  listeners = {};
  parent = null;
  className = "";
  value = "";
  hidden = false;
  disabled = false;
  title = "";
  #text = "";
  #top = 0;

  get classList() {
    return { contains: (name) => this.className.split(" ").includes(name), add: (name) => (this.className += ` ${name}`) };
  }
  get textContent() {
    return this.#text + this.children.map((child) => (typeof child === "string" ? child : child.textContent)).join("");
  }
  set textContent(text) {
    this.#text = text;
  }
  get lastElementChild() {
    return this.children.filter((child) => typeof child !== "string").at(-1) ?? null;
  }
  append(...nodes) {
    for (const node of nodes) {
      if (typeof node !== "string") node.parent = this;
      this.children.push(node);
    }
  }
  replaceChildren(...nodes) {
    this.children = [];
    this.append(...nodes);
  }
  remove() {
    this.parent?.children.splice(this.parent.children.indexOf(this), 1);
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
  focus() {}

  get scrollHeight() {
    const inner = this.children.map((child) => (typeof child === "string" ? 0 : child.scrollHeight));
    return Math.max(LINE, inner.reduce((sum, height) => sum + height, 0));
  }
  get clientHeight() {
    return screen;
  }
  get scrollTop() {
    return this.#top;
  }
  set scrollTop(top) {
    this.#top = Math.max(0, Math.min(top, this.scrollHeight - screen));
  }
}

/** The page, freshly opened. `chat` answers the chats, `abort` counts and answers the stops. */
function open(chat, abort = () => new Response("", { status: 404 })) {
  const elements = new Map();
  const element = (id) => elements.get(id) ?? elements.set(id, new FakeElement()).get(id);
  const ticks = new Set();
  const page = {
    element,
    tick: () => ticks.forEach((tick) => tick()),
    answer: () => element("answer").children.map((child) => child.textContent),
    aborts: 0,
  };
  const context = vm.createContext({
    document: { getElementById: element, querySelector: element, createElement: () => new FakeElement(), visibilityState: "hidden" },
    fetch: async (path, options) => {
      if (path === "/api/chat") return chat(options);
      if (!path.startsWith("/api/abort/")) return new Response("{}", { status: 404 });
      page.aborts += 1;
      return abort();
    },
    setInterval: (tick) => (ticks.add(tick), tick),
    clearInterval: (tick) => ticks.delete(tick),
    setTimeout: () => {},
    performance, AbortController, TextDecoderStream, crypto,
  });
  vm.runInContext(fs.readFileSync(`${__dirname}/../assets/app.js`, "utf8"), context);
  page.run = (code) => vm.runInContext(code, context);
  return page;
}

/** Turns of the event queue until something is so; a test that waits for ever is ended from outside. */
async function until(isSo) {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

const whenAborted = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

async function whoReadsAlongSeesTheEnd() {
  let feed;
  const page = open(async () => new Response(new ReadableStream({ start: (controller) => (feed = controller) })));
  const log = page.element("answer");
  const end = () => log.scrollHeight - screen;
  const say = async (text, count) => {
    const message = { type: "claude_json", data: { type: "assistant", message: { content: [{ type: "text", text }] } } };
    feed.enqueue(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
    await until(() => (page.tick(), page.element("status").textContent.includes(`, ${count} message`)));
  };
  const tall = "- a line\n".repeat(10);
  page.run("ask('first')");
  await until(() => feed);
  for (const count of [1, 2, 3]) {
    await say(tall, count);
    assert.strictEqual(log.scrollTop, end(), `after ${count} tall pieces`);
  }
  screen = 100;
  await say(tall, 4);
  assert.strictEqual(log.scrollTop, end(), "the pool below it has grown");
  log.scrollTop = 30;
  await say(tall, 5);
  assert.strictEqual(log.scrollTop, 30, "who has gone back is left in peace");
  feed.enqueue(new TextEncoder().encode('{"type":"done"}\n'));
  await until(() => page.element("stop").hidden);
  page.run("ask('second')");
  assert.strictEqual(log.scrollTop, end(), "who asks goes along again");
}

async function stopLeavesTheQueue() {
  const page = open(whenAborted);
  page.run("ask('a question')");
  page.tick();
  assert.match(page.element("status").textContent, /waiting for a place or the first line$/);
  await page.run("stop()");
  await until(() => page.element("stop").hidden);
  assert.deepStrictEqual(page.answer(), ["a question", "Stopped."]);
  assert.strictEqual(page.aborts, 2, "it may have got its place in between");
}

async function stopWaitsForTheRunsOwnEnd() {
  let feed;
  const body = new ReadableStream({ start: (controller) => (feed = controller) });
  const page = open(async () => new Response(body), () => new Response("{}"));
  page.run("ask('a question')");
  await page.run("stop()");
  assert.strictEqual(page.aborts, 1);
  feed.enqueue(new TextEncoder().encode('{"type":"aborted"}\n'));
  await until(() => page.element("stop").hidden);
  assert.deepStrictEqual(page.answer(), ["a question", "Stopped."]);
}

async function aLostConnectionPromisesNothing() {
  const page = open(async () => {
    throw new Error("network error");
  });
  page.run("ask('a question')");
  await until(() => page.element("stop").hidden);
  assert.match(page.answer().at(-1), /^Connection lost: network error\. The run may go on\./);
}

async function main() {
  for (const test of [whoReadsAlongSeesTheEnd, stopLeavesTheQueue, stopWaitsForTheRunsOwnEnd, aLostConnectionPromisesNothing]) {
    await test();
    console.log(`${test.name}: good`);
  }
}

void main().catch((error) => {
  console.error(error);
  process.exit(1);
});
