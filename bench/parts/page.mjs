// How long the admin page takes to its first list over slow networks, with nothing in the browser's cache: from the address to
// fifty keys on the screen. Chromium adds the round trip to each request and holds back what comes; setting up the
// connection is not part of it. Answers are compressed, as Cloudflare does, by a proxy before the gate.

import { once } from "node:events";
import { createServer, request } from "node:http";
import { gzipSync } from "node:zlib";

import { startGate } from "../../tests/e2e/harness/gate.mjs";
import { show, signedIn } from "../../tests/e2e/page.mjs";
import { markdown, number } from "../lib/report.mjs";
import { median, spread } from "../lib/stats.mjs";

const ROUNDS = 3;
const KEYS = 50;
/** `goal` in milliseconds. */
const NETWORKS = [
  { name: "562 ms, 1.4 Mb/s", latency: 562, bits: 1_400_000, goal: 3_000 },
  { name: "2 s, 400 kb/s", latency: 2_000, bits: 400_000, goal: 8_000 },
];

/** @param {string} to the gate's URL */
async function startProxy(to) {
  const server = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, "accept-encoding": "identity" };
    const passed = request(new URL(incoming.url ?? "", to), { method: incoming.method, headers }, async (answer) => {
      const body = Buffer.concat(await answer.toArray());
      const { "content-length": _, "transfer-encoding": __, ...kept } = answer.headers;
      outgoing.writeHead(answer.statusCode ?? 502, { ...kept, ...(body.length && { "content-encoding": "gzip" }) });
      outgoing.end(body.length ? gzipSync(body) : body);
    });
    passed.on("error", (error) => outgoing.destroy(error));
    incoming.pipe(passed);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, stop: () => server.close().closeAllConnections() };
}

/** @param {{ progress: (what: string) => void }} options */
export async function run({ progress }) {
  const gate = await startGate();
  const proxy = await startProxy(gate.url);
  const served = { url: proxy.url, page: gate.page };
  try {
    const owner = await gate.owner();
    for (let i = 0; i < KEYS; i++) await owner.createKey({ name: `Key ${i}` });
    const results = [];
    for (const { name, latency, bits, goal } of NETWORKS) {
      progress(name);
      const times = [];
      let requests = 0;
      for (let round = 0; round < ROUNDS; round++) {
        await signedIn(served, "/settings", {}, async (page, context) => {
          await page.goto("about:blank");
          const browser = await context.newCDPSession(page);
          await browser.send("Network.enable");
          await browser.send("Network.clearBrowserCache");
          const throughput = bits / 8;
          const slow = { offline: false, latency, downloadThroughput: throughput, uploadThroughput: throughput };
          await browser.send("Network.emulateNetworkConditions", slow);
          requests = 0;
          page.on("request", () => {
            requests += 1;
          });
          const from = performance.now();
          await show(page, served, "/keys");
          await page
            .getByTestId("key-row")
            .nth(KEYS - 1)
            .waitFor();
          times.push(performance.now() - from);
        });
      }
      results.push({ name, ms: median(times), spread: spread(times), requests, goal });
    }
    return { rounds: ROUNDS, results };
  } finally {
    proxy.stop();
    await gate.stop();
  }
}

/** @param {Awaited<ReturnType<typeof run>>} measured */
export const table = ({ results }) =>
  markdown(
    ["first list, cold", "ms", "spread", "goal", "requests"],
    results.map(({ name, ms, spread: [least, most], goal, requests }) => [
      name,
      number(ms),
      `${number(least)} to ${number(most)}`,
      number(goal),
      number(requests),
    ]),
  );
