// The official JavaScript client against a server: node client.mjs BASE_URL AUTHORIZATION FOLDER
// Every step says what it saw; the first that is not as it should be ends the script.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [base, authorization, folder] = process.argv.slice(2);
const entry = createRequire(`${folder}/`).resolve("@durable-streams/client");
const { DurableStream, IdempotentProducer, stream } = await import(pathToFileURL(entry));
const headers = { Authorization: authorization };
const url = (name) => `${base}/v1/stream/js/${name}`;

const step = async (name, run) => {
  await run();
  console.log(`ok ${name}`);
};

await step("creates, appends and reads back", async () => {
  const handle = await DurableStream.create({ url: url("bytes"), headers, contentType: "application/octet-stream" });
  const sent = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251);
  await handle.append(sent.subarray(0, 100_001));
  await handle.append(sent.subarray(100_001));
  const read = await (await handle.stream({ live: false })).body();
  assert.deepEqual(Buffer.compare(read, sent), 0);
  const head = await handle.head();
  assert.equal(head.contentType, "application/octet-stream");
});

await step("goes on from an offset", async () => {
  const handle = await DurableStream.create({ url: url("resume"), headers, contentType: "text/plain" });
  await handle.append("before ");
  const first = await stream({ url: url("resume"), headers, live: false });
  assert.equal(await first.text(), "before ");
  await handle.append("after");
  const second = await stream({ url: url("resume"), headers, live: false, offset: first.offset });
  assert.equal(await second.text(), "after");
});

// What a live reader has by the time the stream is closed.
const tail = async (name, live) => {
  const seen = [];
  const reader = await stream({ url: url(name), headers, live, offset: "-1" });
  const read = (async () => {
    for await (const item of reader.jsonStream()) seen.push(item);
  })();
  return { read, seen };
};

for (const live of ["long-poll", "sse"]) {
  await step(`tails live by ${live} until the end`, async () => {
    const name = `tail-${live}`;
    const handle = await DurableStream.create({ url: url(name), headers, contentType: "application/json" });
    const reader = await tail(name, live);
    const wanted = [];
    for (let n = 0; n < 50; n += 1) {
      wanted.push({ n, text: `é\r\n${n}` });
      await handle.append(JSON.stringify({ n, text: `é\r\n${n}` }));
    }
    await handle.close();
    await reader.read;
    assert.deepEqual(reader.seen, wanted);
  });
}

await step("produces each message once, whatever is sent twice", async () => {
  const handle = await DurableStream.create({ url: url("producer"), headers, contentType: "application/json" });
  let lost = 0;
  // Every third answer to an append is lost on its way: the client has to send again.
  const lossy = async (input, init) => {
    const response = await fetch(input, init);
    if (init?.method === "POST" && (lost += 1) % 3 === 0) {
      await response.arrayBuffer();
      throw new TypeError("fetch failed");
    }
    return response;
  };
  const producer = new IdempotentProducer(handle, "p", { fetch: lossy, lingerMs: 0, maxBatchBytes: 64 });
  const wanted = [];
  for (let n = 0; n < 200; n += 1) {
    wanted.push(n);
    producer.append(JSON.stringify(n));
    if (n % 10 === 0) await producer.flush();
  }
  await producer.flush();
  await producer.close();
  assert.ok(lost > 10, `${lost} appends were sent`);
  const read = await stream({ url: url("producer"), headers, live: false });
  assert.deepEqual(await read.json(), wanted);
});

await step("is told who may not come in", async () => {
  const response = await fetch(url("bytes"));
  assert.equal(response.status, 401);
});

await step("deletes", async () => {
  await DurableStream.delete({ url: url("bytes"), headers });
  assert.equal((await fetch(url("bytes"), { headers })).status, 404);
});
