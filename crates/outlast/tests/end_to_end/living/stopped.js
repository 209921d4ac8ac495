// A machine that is to be stopped by SIGSTOP: it sends a line each second, and ends its responses when it goes on.
"use strict";
const http = require("node:http");

const open = new Set();
const server = http.createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "application/x-ndjson" }).flushHeaders();
  open.add(response);
});
setInterval(() => open.forEach((response) => response.write("line\n")), 1000);
process.on("SIGCONT", () => open.forEach((response) => response.end("end\n")));
server.listen(Number(process.env.PORT), "0.0.0.0", () => console.log("listens"));
