// Prometheus, as Debian has it, scrapes a gate: what it then knows is what has happened. The files of examples/prometheus and the
// table of docs/metrics.md name what there is.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { parse } from "yaml";

import { root } from "../../scripts/lib/places.mjs";
import { startGate } from "./harness/gate.mjs";
import { freePort } from "./harness/ports.mjs";
import { waitFor } from "./harness/wait.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const examples = join(root, "examples", "prometheus");
const dashboard = JSON.parse(readFileSync(join(examples, "dashboard.json"), "utf8"));
const { groups } = parse(readFileSync(join(examples, "alerts.yml"), "utf8"));

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/** The key with which Prometheus scrapes. */
let reader = "";
const folder = mkdtempSync(join(tmpdir(), "keyward-prometheus-"));
before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  reader = (await owner.createKey({ name: "prometheus", scopes: ["admin:read"] })).plaintextKey;
});
after(async () => {
  await gate?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const scrape = (key = reader) =>
  gate.send({ target: "/api/admin/metrics", headers: key ? { Authorization: `Bearer ${key}` } : {} });

/** Runs promtool; what it says. */
function promtool(args, input = "") {
  const { status, stdout, stderr, error } = spawnSync("promtool", args, { cwd: examples, input, encoding: "utf8" });
  assert.ifError(error);
  assert.equal(status, 0, `promtool ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout + stderr;
}

/** The metrics of a text: their types, and the labels of their samples. @param {string} text */
function metricsOf(text) {
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  const labels = new Map([...types.keys()].map((name) => [name, /** @type {string[]} */ ([])]));
  for (const [, name, inner = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \d+$/gm))
    labels.set(
      name,
      [...inner.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)].map(([, label]) => label),
    );
  return { types, labels };
}

/** Requests of each kind, and their usage reported. */
async function someTraffic() {
  const { plaintextKey } = await owner.createKey({ scopes: ["orders:read"] });
  const headers = { Authorization: `Bearer ${plaintextKey}` };
  const times = async (count, request) => {
    for (let number = 0; number < count; number += 1) await gate.send(request);
  };
  await times(7, { target: "/api/orders/17", headers });
  await times(3, { method: "POST", target: "/api/orders/17", headers });
  await times(4, { target: "/api/orders/17" });
  const { apiKey } = await owner.createKey({ scopes: ["orders:read"] });
  await owner.must("POST", `/api-keys/${apiKey.id}/revoke`, {});
  await gate.admin().refused([401, "INVALID_CREDENTIALS"], "POST", "/session", {
    email: "owner@example.com",
    password: "a wrong password",
  });
}

/** What is then expected, as Prometheus is asked for it. */
const EXPECTED = {
  'sum(keyward_route_requests_accepted_total{realm="default",method="GET",path="/api/orders*"})': 7,
  'sum(keyward_requests_refused_total{realm="default",code="INSUFFICIENT_SCOPE"})': 3,
  'sum(keyward_route_requests_refused_total{realm="default",method="POST"})': 3,
  'sum(keyward_route_requests_refused_total{realm="default",method="GET"})': 4,
  'sum(keyward_requests_unattributed_total{realm="default",code="MISSING_AUTHORIZATION"})': 4,
  'keyward_keys{realm="default",state="active"}': 2,
  // One of the test before.
  'keyward_keys{realm="default",state="revoked"}': 2,
  'keyward_tenants{state="active"}': 1,
  keyward_sign_in_failures_total: 1,
  keyward_usage_taken: 1,
  'up{job="keyward"}': 1,
};

test("metrics are read with a key of the operator's tenant that may read, in the type of the text format", async () => {
  const answer = await scrape();
  assert.equal(answer.status, 200);
  assert.equal(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(answer.header("cache-control"), "no-store");
  const { apiKey, plaintextKey } = await owner.createKey({ scopes: ["orders:read"] });
  assert.equal((await scrape("")).status, 401);
  assert.equal((await scrape(plaintextKey)).status, 403);
  await owner.must("POST", `/api-keys/${apiKey.id}/revoke`, {});
});

test("a real Prometheus scrapes the gate with a key from a file, and knows what has happened", async (t) => {
  await someTraffic();
  const text = await waitFor(
    "the usage to be reported",
    async () => {
      await gate.advance(60_000);
      const { text } = await scrape();
      const sum = (name) =>
        [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, "gm"))].reduce((all, [, one]) => all + Number(one), 0);
      // What this file itself scrapes is among what is let through.
      return (
        sum("keyward_route_requests_accepted_total") >= 7 && sum("keyward_requests_unattributed_total") >= 4 && text
      );
    },
    { everyMs: 500 },
  );
  assert.equal(promtool(["check", "metrics"], text), "", "promtool has nothing to say");

  const port = await freePort();
  const config = parse(readFileSync(join(examples, "prometheus.yml"), "utf8"));
  config.global.scrape_interval = "1s";
  config.rule_files = [join(examples, "alerts.yml")];
  const [job] = config.scrape_configs;
  job.scheme = "http";
  job.static_configs = [{ targets: [new URL(gate.url).host] }];
  writeFileSync(join(folder, "keyward.key"), `${reader}\n`, { mode: 0o600 });
  const file = join(folder, "prometheus.yml");
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(
    "prometheus",
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  t.after(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await new Promise((done) => child.once("exit", done));
  });
  const ask = async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`).catch(() => undefined);
    return answer && /** @type {any} */ (await answer.json());
  };
  const value = async (query) => {
    const { data } = await ask(`query?query=${encodeURIComponent(query)}`);
    return data.result.map(({ value: [, value] }) => Number(value));
  };
  await waitFor("Prometheus to have scraped", async () => {
    const found = await ask('query?query=up{job="keyward"}');
    return found?.data?.result?.[0]?.value[1] === "1";
  });
  for (const [query, expected] of Object.entries(EXPECTED)) assert.deepEqual(await value(query), [expected], query);
  assert.ok((await value('keyward_requests_accepted_total{realm="default"}'))[0] >= 7);

  // What the dashboard asks, Prometheus can answer.
  for (const query of queriesOfDashboard()) {
    const { status, error } = await ask(`query?query=${encodeURIComponent(query)}`);
    assert.equal(status, "success", `${query}: ${error}`);
  }
  const jobs = await ask("label/job/values");
  assert.deepEqual(jobs.data, ["keyward"]);
  const { data } = await ask("rules");
  assert.deepEqual(
    data.groups.flatMap(({ rules }) => rules.map(({ name }) => name)),
    groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)),
  );
});

/** The queries of the dashboard, with what Grafana puts into them. */
const queriesOfDashboard = () =>
  dashboard.panels
    .flatMap(({ targets }) => targets)
    .map(({ expr }) => expr.replaceAll("$job", "keyward").replaceAll("$__rate_interval", "1m"));

test("the rules of the example are right, and each tells of what it is for", () => {
  promtool(["check", "rules", "alerts.yml"]);
  promtool(["test", "rules", "alerts_test.yml"]);
  writeFileSync(join(folder, "keyward.key"), "key");
  promtool(["check", "config", "--syntax-only", "prometheus.yml"]);
});

test("the dashboard and the alerts name only metrics and labels that there are", async () => {
  const { types, labels } = metricsOf((await scrape()).text);
  const queries = [...queriesOfDashboard(), ...groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))];
  assert.ok(queries.length > 15);
  const named = new Set();
  for (const query of queries) {
    for (const [name] of query.matchAll(/\bkeyward_\w+/g)) {
      assert.ok(types.has(name), `${name} in ${query}`);
      named.add(name);
    }
    const asked = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, of]) => of.split(", "));
    const ofQuery = [...query.matchAll(/\bkeyward_\w+/g)].flatMap(([name]) => labels.get(name) ?? []);
    for (const label of asked) assert.ok(ofQuery.includes(label) || ofQuery.length === 0, `${label} in ${query}`);
  }
  const variables = dashboard.templating.list.map(({ name }) => name);
  const uses = new Set([...JSON.stringify(dashboard).matchAll(/\$\{?(?!__)(\w+)\}?/g)].map(([, name]) => name));
  assert.deepEqual([...uses].sort(), [...variables].sort());
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

test("docs/metrics.md has a row for each metric, with its type and labels", async () => {
  const { types, labels } = metricsOf((await scrape()).text);
  const rows = readFileSync(join(root, "docs", "metrics.md"), "utf8").matchAll(
    /^\| `(keyward_\w+)` \| (\w+) \| (.*?) \|/gm,
  );
  const told = new Map([...rows].map(([, name, type, of]) => [name, [type, of.replaceAll("`", "").trim()]]));
  assert.deepEqual(new Set(told.keys()), new Set(types.keys()));
  for (const [name, [type, of]] of told) {
    assert.equal(type, types.get(name), name);
    const shown = labels.get(name) ?? [];
    // Of some there is no sample yet.
    if (shown.length) assert.equal(of, shown.join(", "), name);
  }
});
