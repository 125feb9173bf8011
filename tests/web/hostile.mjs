// What do documents and bodies cost that are made to hurt? Each must be refused; how long that took, and how much
// memory the server has afterwards, is printed.
//   node hostile.mjs <endpoint> [<pid of the server>]
import { readFileSync } from "node:fs";
import { request } from "node:http";

const [url, pid] = process.argv.slice(2);
if (!url) {
  console.error("usage: node hostile.mjs <endpoint> [<pid of the server>]");
  process.exit(2);
}

const fragments = (levels, width) =>
  "{ ...f0 }" +
  Array.from({ length: levels }, (_, n) => ` fragment f${n} on Query { ${`...f${n + 1} `.repeat(width)}}`).join("") +
  ` fragment f${levels} on Query { __typename }`;
const aliases = (n) => `{ ${Array.from({ length: n }, (_, i) => `a${i}: __typename`).join(" ")} }`;
const nested = (n) => "{ me ".repeat(n) + "}".repeat(n);

const documents = [
  ["15 levels of fragments, 3 spreads each", fragments(15, 3)],
  ["30 levels of fragments, 8 spreads each", fragments(30, 8)],
  ["60 levels of fragments, 2 spreads each", fragments(60, 2)],
  ["10 000 aliases", aliases(10_000)],
  ["500 aliases", aliases(500)],
  ["depth 500", nested(500)],
  ["8 000 open brackets", "[".repeat(8_000)],
  ["330 brackets behind three quotes", `{ __typename @include(if: [""" "${"[".repeat(330)}${"]".repeat(330)}]) }`],
  ["4 000 directives", `{ __typename ${"@a".repeat(4_000)} }`],
  ["2 600 nested objects", `{ me(a: ${"{a:".repeat(2_600)}) }`],
];

const memory = () => {
  if (!pid) return "";
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1];
  return `${(kib / 1024).toFixed(1)} MiB`;
};

const CUT_OFF = "cut off";

let failed = 0;
function report(name, started, status) {
  const refused = status >= 400 || status === CUT_OFF;
  if (!refused) failed += 1;
  const took = (performance.now() - started).toFixed(1);
  console.log(`${refused ? "ok" : "not ok"} ${name}: ${status} after ${took} ms  ${memory()}`);
}

async function post(query) {
  const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query }) });
  await response.arrayBuffer();
  return response.status;
}

/** Sends a body until the server has had enough of it. */
function flood(bytes, announced) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", ...(announced ? { "content-length": bytes } : {}) };
    const call = request(url, { method: "POST", headers }, (response) => {
      resolve(response.statusCode);
      call.destroy();
    });
    const chunk = Buffer.alloc(64 * 1024, 0x20);
    let sent = 0;
    const push = () => {
      while (sent < bytes && !call.destroyed) {
        sent += chunk.length;
        if (!call.write(chunk)) return call.once("drain", push);
      }
    };
    call.on("error", (error) => (["EPIPE", "ECONNRESET"].includes(error.code) ? resolve(CUT_OFF) : reject(error)));
    push();
  });
}

await post("{ __typename }");
console.log(`at first: ${memory()}`);
for (const [name, query] of documents) {
  const started = performance.now();
  report(name, started, await post(query));
}
const bodies = [500_000, 200_000_000].flatMap((bytes) => [true, false].map((announced) => [bytes, announced]));
for (const [bytes, announced] of bodies) {
  const started = performance.now();
  const name = `${bytes / 1e6} MB of body, ${announced ? "announced" : "in chunks"}`;
  report(name, started, await flood(bytes, announced));
}
console.log(`${documents.length + bodies.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
