// How long the Registry takes when it has many keys: the real object in workerd, asked through the admin API. Keys are made by
// SQL, as copies of one that the API has made, while workerd is stopped; only what they have in the audit is missing.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { markdown } from "../lib/report.mjs";
import { keyward } from "../lib/servers.mjs";
import { median } from "../lib/stats.mjs";

/** @import { Options } from "../run.mjs" */

const COUNTS = [1_000, 100_000, 1_000_000];
/** Calls of each kind. */
const TIMES = 30;

/** Filters that few keys pass, half of them, and nearly all, in each order. */
const LISTS = [
  "sort=name",
  "sort=lastUsed",
  "sort=expires",
  "status=ACTIVE",
  "status=REVOKED&sort=name",
  "tag=bench",
  "tag=bench&sort=name",
  "tag=half&sort=lastUsed",
  "tag=rare&sort=name",
  "tag=bench&status=REVOKED&sort=name",
  "scope=orders:read&sort=lastUsed",
  "unusedDays=90",
  "prefix=kw_live&sort=name",
  "q=copy&sort=name",
  "nearLimit=true",
  "rotating=true",
];

/** @param {Options} options */
export async function run({ most, progress }) {
  const { server, owner } = await keyward();
  const template = (await owner.createKey({ name: "Copy 0", tags: ["bench"] })).apiKey;
  const results = [];
  for (const keys of COUNTS.filter((one) => one <= most)) {
    await server.stop();
    fill(server.objects, template.id, keys);
    await server.restart();
    await owner.stepUp();
    progress(`${keys} keys`);
    results.push({ keys, calls: await timed(server, owner, keys) });
  }
  return { times: TIMES, results };
}

/** Copies a key until there are `keys` of them. */
function fill(objects, id, keys) {
  const [file] = readdirSync(join(objects, "Registry")).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  const db = new DatabaseSync(join(objects, "Registry", file));
  const columns = db
    .prepare("PRAGMA table_xinfo(keys)")
    .all()
    // What is generated is not written, and SQLite gives the numbers.
    .filter(({ name, hidden }) => hidden === 0 && name !== "number")
    .map(({ name }) => `${name}`);
  const own = {
    id: "lower(substr(id, 1, length(id) - 12) || substr(hex(randomblob(6)), 1, 12))",
    hash: "'sha256:' || lower(hex(randomblob(32)))",
    name: "'Copy ' || i",
    search: "replace(search, 'copy 0', 'copy ' || i)",
    tags: `CASE WHEN i % 1000 = 0 THEN '["bench","rare"]' WHEN i % 2 = 0 THEN '["bench","half"]' ELSE tags END`,
    status: "iif(i % 5 = 0, 'REVOKED', status)",
    last_used_at: "iif(i % 4 = 0, NULL, created_at + i)",
  };
  const { had } = /** @type {{ had: number }} */ (db.prepare("SELECT count(*) AS had FROM keys").get());
  db.exec("BEGIN");
  db.prepare(
    `WITH RECURSIVE copies(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM copies WHERE i < ?)
     INSERT INTO keys (${columns.join(", ")})
     SELECT ${columns.map((name) => own[name] ?? `keys.${name}`).join(", ")} FROM copies, keys WHERE id = ?`,
  ).run(had + 1, keys, id);
  db.exec("COMMIT");
  db.close();
}

/** Milliseconds of calls of each kind. */
async function timed(server, owner, keys) {
  /** @type {Record<string, { times: number[], cpuMs: number }>} */
  const calls = {};
  const call = async (name, work) => {
    const times = [];
    const had = server.cpu();
    for (let i = 0; i < TIMES; i++) {
      const began = performance.now();
      await work(i);
      times.push(performance.now() - began);
    }
    calls[name] = { times, cpuMs: (server.cpu() - had) / 1e3 / TIMES };
  };
  const has = (list, least) => {
    if (list.apiKeys.length < least) throw new Error(`${list.apiKeys.length} keys in the list instead of ${least}`);
    return list;
  };
  // The first call of a process migrates and compiles.
  await owner.must("GET", "/api-keys?limit=1");
  const made = [];
  await call("create", async (i) => made.push((await owner.createKey({ name: `Made ${i}` })).apiKey.id));
  await call("get", (i) => owner.must("GET", `/api-keys/${made[i]}`));
  let cursor = "";
  await call("page of 50", async () => {
    const next = cursor && `&cursor=${encodeURIComponent(cursor)}`;
    cursor = has(await owner.must("GET", `/api-keys?limit=50${next}`), keys < 50 * TIMES ? 1 : 50).nextCursor ?? "";
  });
  // One that was made early, among the last that are looked at.
  await call("search with a hit", async (i) =>
    has(await owner.must("GET", `/api-keys?q=${encodeURIComponent(`copy ${20 + i}`)}`), 1),
  );
  await call("search without one", async (i) => has(await owner.must("GET", `/api-keys?q=nothing${i}`), 0));
  for (const query of LISTS) await call(query, () => owner.must("GET", `/api-keys?${query}`));
  await call("summary", () => owner.must("GET", "/api-keys/summary"));
  await call("export of 1,000", () => owner.call("GET", "/api-keys/export"));
  await call("revoke", async (i) => owner.revoke(made[i]));
  return Object.entries(calls).map(([name, { times, cpuMs }]) => ({
    name,
    p50Ms: median(times),
    p95Ms: times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1],
    maxMs: Math.max(...times),
    cpuMs,
  }));
}

/** @param {Awaited<ReturnType<typeof run>>} measured */
export const table = ({ results }) =>
  markdown(
    [
      "call of the admin API, p50 / p95 / max ms (ms of CPU)",
      ...results.map(({ keys }) => `${keys.toLocaleString("en")} keys`),
    ],
    results[0].calls.map(({ name }) => [
      name,
      ...results.map(({ calls }) => {
        const { p50Ms, p95Ms, maxMs, cpuMs } = calls.find((one) => one.name === name) ?? calls[0];
        return `${p50Ms.toFixed(0)} / ${p95Ms.toFixed(0)} / ${maxMs.toFixed(0)} (${cpuMs.toFixed(1)})`;
      }),
    ]),
  );
