// An app on Node.js, whose HTTP parser (llhttp) is not ours: it writes down every request it sees.
"use strict";
const fs = require("node:fs");
const http = require("node:http");

const seen = fs.openSync("seen.jsonl", "a");
const write = (method, url) => fs.writeSync(seen, JSON.stringify([method, url]) + "\n");

const server = http.createServer((request, response) => {
  // Before its body: what a parser takes for the beginning of a request counts.
  write(request.method, request.url);
  request.on("error", () => {});
  request.resume().on("end", () => response.end("seen\n"));
});
server.on("clientError", (error, socket) => {
  // What is relayed is valid, so there are two reasons to come here: a request was cut, or its method is one that HTTP
  // allows and llhttp does not know.
  const line = /^([!#$%&'*+.^_`|~\w-]+) (\S+) HTTP\/1\.1\r\n/.exec(error.rawPacket?.toString("latin1") ?? "");
  if (error.code === "HPE_INVALID_METHOD" && line) {
    write(line[1], line[2]);
  } else if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") {
    write("INVALID", `${error.code} ${error.rawPacket?.toString("latin1")}`);
  }
  socket.destroy();
});
server.listen(Number(process.env.PORT), "127.0.0.1");
