// The harness does what it says: a fault that is never injected would let every test of it pass.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";

import { withPage } from "./browser.mjs";
import { startGate } from "./gate.mjs";
import { open, send } from "./http.mjs";
import { startOrigin } from "./origin.mjs";
import { freePort, onFreePort } from "./ports.mjs";
import { run } from "./project.mjs";
import { objects } from "./stored.mjs";
import { inTime, waitFor } from "./wait.mjs";

describe("the harness", () => {
  let gate;
  let admin;
  before(async () => {
    gate = await startGate({ isolates: 2 });
    admin = await gate.owner();
  });
  after(() => gate?.stop());
  beforeEach(() => gate.origin.reset());

  const use = (isolate, key, request = {}) =>
    isolate.send({
      target: "/api/orders",
      ...request,
      headers: [["Authorization", `Bearer ${key}`], ...(request.headers ?? [])],
    });

  test("isolates have addresses and faults of their own, and share what is stored", async () => {
    const [first, second] = gate.isolates;
    const { plaintextKey } = await admin.createKey();
    assert.notEqual(first.url, second.url);
    await second.faults({ "kv.get": { fail: true } });
    await gate.objects.faults({ "KeyGate.fetch": { fail: true } });
    assert.equal((await use(second, plaintextKey)).status, 503);
    await gate.objects.faults({ "KeyGate.fetch": null });
    assert.equal((await use(first, plaintextKey)).status, 200);
    await second.faults({ "kv.get": null });
    assert.equal((await use(second, plaintextKey)).status, 200);
  });

  test("a fault can be meant for one name, and end after a number of calls", async () => {
    await gate.isolates[0].putKv("a", "1");
    // Each request asks its object.
    const [one, two] = [await admin.createKey({ strict: true }), await admin.createKey({ strict: true })];
    for (const { plaintextKey } of [one, two]) assert.equal((await use(gate.isolates[0], plaintextKey)).status, 200);
    await gate.objects.resetCounts();
    await use(gate.isolates[0], one.plaintextKey);
    const [name] = Object.keys((await gate.objects.counts()).objects.KeyGate);
    await gate.objects.faults({ "KeyGate.fetch": { fail: true, name, times: 1 } });
    assert.equal((await use(gate.isolates[0], two.plaintextKey)).status, 200);
    assert.equal((await use(gate.isolates[0], one.plaintextKey)).status, 503);
    assert.equal((await use(gate.isolates[0], one.plaintextKey)).status, 200);
  });

  test("a lag is waited for", async () => {
    const { plaintextKey } = await admin.createKey();
    await gate.objects.faults({ "KeyGate.fetch": { lagMs: 300, times: 1 } });
    const started = performance.now();
    // Not by a request, for which no object is waited for any longer where the machine is busy.
    await gate.objects.call("KeyGate", gate.objectName(plaintextKey), { op: "find" });
    assert.ok(performance.now() - started >= 290);
  });

  test("stale KV answers one isolate from the past, also that there was nothing", async () => {
    await gate.isolates[0].putKv("stale-test", "old");
    await gate.isolates[1].staleKv(60_000);
    const { plaintextKey } = await admin.createKey();
    await gate.isolates[1].resetCounts();
    await use(gate.isolates[1], plaintextKey);
    assert.equal((await gate.isolates[1].counts()).kv.get, 1);
    await gate.isolates[1].staleKv(0);
  });

  test("moving the clock expires a key, on every isolate", async () => {
    const expiresAt = new Date(gate.now() + 3_600_000).toISOString();
    const { plaintextKey } = await admin.createKey({ expiresAt });
    for (const isolate of gate.isolates) assert.equal((await use(isolate, plaintextKey)).status, 200);
    await gate.advance(3_600_001);
    for (const isolate of gate.isolates)
      assert.equal((await use(isolate, plaintextKey)).json().code, "EXPIRED_API_KEY");
  });

  test("a killed runtime is gone at once, and comes back at its address with what was stored", async () => {
    const { plaintextKey } = await admin.createKey();
    const { url } = gate;
    await gate.kill();
    await assert.rejects(send(url, { target: "/healthz", timeoutMs: 1_000 }));
    await gate.restart();
    assert.equal(gate.url, url);
    assert.equal((await use(gate.isolates[0], plaintextKey)).status, 200);
  });

  test("what is stored can be read: KV, the objects' rows, and any byte of it", async () => {
    const { apiKey, plaintextKey } = await admin.createKey({ name: "Findable by this name" });
    const kv = await waitFor("the key in KV", async () => {
      const all = await gate.storedKv();
      return [...all.values()].some((value) => value.includes(apiKey.id)) && all;
    });
    assert.ok(kv.size > 0);
    const rows = gate
      .storedObjects()
      .filter(({ className }) => className === "Registry")
      .flatMap(({ tables }) => Object.values(tables).flat());
    assert.ok(rows.some((row) => Object.values(row).includes(apiKey.id)));
    assert.notDeepEqual(gate.grep("Findable by this name"), []);
    assert.deepEqual(gate.grep(plaintextKey), []);
  });

  test("whatever was logged before has come once that was waited for", async () => {
    const ids = [];
    for (let i = 0; i < 20; i++)
      ids.push((await use(gate.isolates[i % 2], `kw_live_${"a".repeat(36)}`)).header("x-request-id"));
    await gate.allLogged();
    const logged = JSON.stringify(gate.logs);
    for (const id of ids) assert.ok(logged.includes(id));
    assert.ok(!logged.includes("everything before"));
  });

  test("the origin has the raw request, repeated headers and the body's bytes included", async () => {
    const { plaintextKey } = await admin.createKey({ scopes: ["orders:write"] });
    const body = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 251));
    const answer = await use(gate.isolates[0], plaintextKey, {
      method: "PUT",
      target: "/api/orders/1?a=%20b&c",
      headers: [
        ["X-Twice", "1"],
        ["X-Twice", "2"],
      ],
      body: (async function* () {
        yield body.subarray(0, 10);
        yield body.subarray(10);
      })(),
    });
    assert.equal(answer.status, 200, answer.text);
    const { method, url, rawHeaders, bodySha256, body: received } = gate.origin.last;
    assert.deepEqual([method, url], ["PUT", "/api/orders/1?a=%20b&c"]);
    assert.match(JSON.stringify(rawHeaders), /X-Twice/i);
    assert.equal(received.compare(body), 0);
    assert.equal(answer.json().bodySha256, bodySha256);
  });

  test("the origin answers as scripted, in pieces that arrive one by one", async () => {
    const { plaintextKey } = await admin.createKey();
    let goOn;
    gate.origin.answer = {
      headers: [
        ["content-type", "text/event-stream"],
        ["x-twice", "1"],
        ["x-twice", "2"],
      ],
      body: (async function* () {
        yield "data: 1\n\n";
        await new Promise((resolve) => {
          goOn = resolve;
        });
        yield "data: 2\n\n";
      })(),
    };
    const answer = await open(gate.url, {
      target: "/api/orders",
      headers: { Authorization: `Bearer ${plaintextKey}` },
    });
    assert.equal(answer.status, 200);
    const chunks = answer.chunks();
    assert.equal((await chunks.next()).value.toString(), "data: 1\n\n");
    goOn();
    assert.equal((await chunks.next()).value.toString(), "data: 2\n\n");
    answer.socket.destroy();
  });

  test("an origin that refuses connections is a 502 of the gate's own", async () => {
    const { plaintextKey } = await admin.createKey();
    await gate.origin.refuse();
    try {
      assert.equal((await use(gate.isolates[0], plaintextKey)).status, 502);
    } finally {
      await gate.origin.listen();
    }
    assert.equal((await use(gate.isolates[0], plaintextKey)).status, 200);
  });

  test("a WebSocket reaches the origin, which echoes", async () => {
    const { plaintextKey } = await admin.createKey();
    const { hostname, port } = new URL(gate.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      [
        "GET /api/orders/live HTTP/1.1",
        `Host: ${hostname}:${port}`,
        `Authorization: Bearer ${plaintextKey}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "",
        "",
      ].join("\r\n"),
    );
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
    });
    await waitFor("101", () => received.includes("\r\n\r\n"));
    assert.match(received.toString("latin1"), /^HTTP\/1\.1 101 /);
    // A masked text frame "hi", with a mask of zeroes.
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    await waitFor("the echo", () => received.subarray(-4).equals(Buffer.from([0x81, 0x02, 0x68, 0x69])));
    socket.destroy();
  });

  test("the browser opens the page, and an error on a page is not overlooked", async () => {
    const title = await withPage({ expectedErrors: [/401/] }, async (page) => {
      await page.goto(`${gate.url}/admin/`);
      return page.title();
    });
    assert.match(title, /Keyward/);
    await assert.rejects(
      withPage({}, (page) =>
        page.evaluate(
          () =>
            new Promise((resolve) => {
              setTimeout(() => {
                setTimeout(resolve);
                throw new Error("on the page");
              });
            }),
        ),
      ),
      /on the page/,
    );
  });
});

test("gates that start at the same time each end their own runtime", async (t) => {
  const gates = await Promise.all([startGate(), startGate(), startGate()]);
  t.after(() => Promise.all(gates.map((one) => one.stop())));
  for (const killed of gates) {
    await killed.kill();
    const others = await Promise.all(
      gates.filter((one) => one !== killed).map((one) => one.send({ target: "/healthz" })),
    );
    assert.deepEqual(
      others.map(({ status }) => status),
      [200, 200],
    );
    await killed.restart();
  }
});

test("a condition that is never answered is waited for no longer than one that is not met", async () => {
  await assert.rejects(
    waitFor("the answer", () => new Promise(() => {}), { timeoutMs: 50 }),
    /the answer: not within 50 ms/,
  );
  await assert.rejects(inTime("the answer", new Promise(() => {}), { timeoutMs: 50 }), /the answer: not within 50 ms/);
});

test("a program that a test runs ends, whatever it does and leaves behind", async () => {
  const deaf = run("sh", ["-c", "trap '' TERM; echo begun; sleep 1000 & while :; do wait; sleep 1; done"], {
    detached: true,
    stoppedWithinMs: 500,
  });
  await waitFor("its beginning", () => deaf.text() === "begun\n");
  assert.equal(await deaf.stop(), "SIGKILL");
  const parent = run("sh", ["-c", "sleep 1000 & echo $!"], { stoppedWithinMs: 500 });
  assert.equal(await parent.ended, 0);
  process.kill(Number(parent.text()));
  await assert.rejects(run("sleep", ["1000"], { withinMs: 50 }).ended, /sleep 1000: not ended within 50 ms/);
});

test("a server whose port a program has taken meanwhile gets another one", async (t) => {
  const tried = [];
  const origin = await onFreePort(async (port) => {
    if (tried.push(port) === 1) {
      const program = await startOrigin({ port });
      t.after(() => program.stop());
    }
    return startOrigin({ port });
  });
  t.after(() => origin.stop());
  assert.equal(tried.length, 2);
  assert.equal(origin.port, tried[1]);
});

test("what is stored is read as it was at one moment, while it is written and its log is begun anew", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-stored-"));
  const persist = join(folder, "do", "x-KeyGate");
  mkdirSync(persist, { recursive: true });
  const path = join(persist, `${"a".repeat(64)}.sqlite`);
  const writer = run(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    "--input-type=module",
    "--eval",
    `import { DatabaseSync } from "node:sqlite";
    const db = new DatabaseSync(${JSON.stringify(path)});
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE pages (n INTEGER, text TEXT)");
    for (let i = 0; i < 300; i++) db.exec("INSERT INTO pages VALUES (0, hex(randomblob(2000)))");
    console.log("begun");
    for (let i = 1; ; i++) {
      db.exec("UPDATE pages SET n = n + 1");
      if (i % 2) db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }`,
  ]);
  t.after(async () => {
    await writer.stop();
    rmSync(folder, { recursive: true });
  });
  await waitFor("the beginning", () => writer.text().includes("begun"));
  for (let i = 0; i < 40; i++) {
    const [{ tables }] = objects(folder);
    assert.equal(tables.pages.length, 300);
    assert.equal(new Set(tables.pages.map(({ n }) => n)).size, 1, "a part of a change is missing");
  }
});

test("a port that one test was given, no other process gets while it runs", async () => {
  const port = await freePort();
  const other = run(process.execPath, [
    "--input-type=module",
    "--eval",
    `import { claim } from ${JSON.stringify(import.meta.resolve("./ports.mjs"))}; console.log(await claim(${port}));`,
  ]);
  assert.equal(await other.ended, 0, other.text());
  assert.equal(other.text(), "false\n");
});
