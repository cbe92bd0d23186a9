// How much memory the gate's wasm has after requests with many different keys: what the isolate remembers of each, and what
// waits for the end of its lease.

import { Failure } from "../../scripts/lib/progress.mjs";
import { Admin } from "../../tests/e2e/harness/admin.mjs";
import { hashOf, newKey } from "../lib/keys.mjs";
import { markdown } from "../lib/report.mjs";
import { bearer, keywardForMemory, ORDERS, published } from "../lib/servers.mjs";

/** @import { Options } from "../run.mjs" */

const COUNTS = [1, 10_000, 200_000];
/** Keys that are stored in one go. */
const BATCH = 1_000;
/** Requests at once. */
const AT_ONCE = 32;

/** @param {Options} options */
export async function run({ most, progress }) {
  const { server, kv, secrets } = await keywardForMemory();
  const owner = await new Admin(server.url).setUp(secrets.KEYWARD_SETUP_TOKEN);
  const made = await owner.createKey({ rateLimit: { perMinute: 600, perDay: null } });
  const record = JSON.parse((await published(kv.url, 1))[`key:${hashOf(made.plaintextKey)}`]);
  const results = [];
  await use(server.url, [made.plaintextKey]);
  let count = 1;
  for (const keys of COUNTS.filter((one) => one <= most)) {
    while (count < keys) {
      const batch = Array.from({ length: Math.min(BATCH, keys - count) }, () => newKey(secrets.KEYWARD_SECRET));
      const records = batch.map((key, at) => [
        hashOf(key),
        JSON.stringify({ ...record, id: `${record.id.slice(0, -8)}${String(count + at).padStart(8, "0")}` }),
      ]);
      const stored = Object.fromEntries(records.map(([hash, text]) => [`key:${hash}`, text]));
      await must(`${kv.url}/`, { method: "PUT", body: JSON.stringify(stored) });
      await use(server.url, batch);
      count += batch.length;
      if (count % 10_000 === 0) progress(`${count} keys`);
    }
    const [wasm, ...more] = await (await fetch(`${server.url}/memory`)).json();
    if (wasm === undefined || more.length > 0)
      throw new Failure(`the wasm has ${more.length + (wasm ? 1 : 0)} instances instead of one`);
    results.push({ keys, wasm, process: server.memory() });
  }
  return { results };
}

/** One request with each of these keys. */
async function use(url, keys) {
  const left = [...keys];
  const client = async () => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) {
      const headers = { "CF-Connecting-IP": "192.0.2.1", ...bearer(key) };
      if ((await must(url + ORDERS, { headers })) !== "ok") throw new Failure("the origin has not answered");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
}

async function must(url, init) {
  const answer = await fetch(url, init);
  const text = await answer.text();
  if (!answer.ok) throw new Failure(`${url}: ${answer.status} ${text}`);
  return text;
}

const mebibytes = (/** @type {number} */ bytes) => (bytes / 2 ** 20).toFixed(1);

/** @param {Awaited<ReturnType<typeof run>>} measured */
export const table = ({ results }) =>
  markdown(
    ["keys that were used", "the gate's wasm, MiB", "the whole process, MiB"],
    results.map(({ keys, wasm, process }) => [keys.toLocaleString("en"), mebibytes(wasm), mebibytes(process)]),
  );
