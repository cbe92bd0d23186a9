// Whatever a decision depends on fails, hangs, is slow, or answers garbage or `{}`: what a client gets whose key the
// isolate meets for the first time, and that nobody waits for long. Every fault is made where a binding is called.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Admin } from "./harness/admin.mjs";
import { gather, scatter } from "./harness/crowd.mjs";
import { startGate } from "./harness/gate.mjs";
import { begin } from "./harness/raw.mjs";
import { waitFor } from "./harness/wait.mjs";
import { ask, newTenant, startSystems } from "./systems.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

/** The deadline of a decision is 2 s, and what hangs does so for 60 s; this machine may be busy. */
const BOUND = 30_000;
/** What is told at once: less than one wait for what hangs. */
const AT_ONCE = 1_500;
/** A busy machine may take that long now and then; one of these requests is quick, and none where each waits. */
const TRIES = 5;

const FAULTS = {
  fails: { fail: true },
  hangs: { lagMs: 60_000 },
  "is slow": { lagMs: 300 },
  "answers garbage": { answer: "<html>out of order</html>" },
  "answers {}": { answer: "{}" },
};

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  // One for each fault, so that none has left anything alone because of another.
  gate = await startGate({ isolates: Object.keys(FAULTS).length + 1 });
  owner = await gate.owner();
});
after(async () => {
  await scatter();
  await gate?.stop();
});

const passed = [200];
const unavailable = [503, "STORE_UNAVAILABLE"];

/** One request: what it got, and after how many milliseconds. */
async function timed(send) {
  const sentAt = performance.now();
  const answer = await send();
  if (answer.status === 503) assert.ok(Number(answer.header("retry-after")) >= 1);
  const took = performance.now() - sentAt;
  if (answer.status < 300) return { got: [answer.status], took };
  const problem = answer.json();
  return { got: [answer.status, problem.code ?? problem.error.code], took };
}

const request = (key, isolate = gate.isolates.at(-1)) =>
  timed(() => isolate.send({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` } }));

/** What is answered at once, each time with this. */
async function isAtOnce(expected, send) {
  const all = [];
  while (all.length < TRIES) {
    const { got, took } = await send();
    assert.deepEqual(got, expected, `after ${took} ms`);
    if (took < AT_ONCE) return;
    all.push(took);
  }
  assert.fail(`it took ${all} ms`);
}

const newKey = async (fields) => (await owner.createKey(fields)).plaintextKey;

/** Sends with a new key each time while a fault lasts; in the end all is well again. */
async function suffer(isolate, operation, fault, expected, rounds = 5) {
  const worker = operation === "kv.get" ? isolate : gate.objects;
  const keys = [];
  for (let i = 0; i < rounds; i++) keys.push(await newKey());
  await worker.faults({ [operation]: fault });
  try {
    for (const [round, key] of keys.entries()) {
      const { got, took } = await request(key, isolate);
      assert.deepEqual(got, expected, `round ${round}, after ${took} ms`);
      assert.ok(took < BOUND, `round ${round} took ${took} ms`);
    }
    if (rounds > 4 && !(fault.lagMs < 1_000)) await isAtOnce(expected, () => request(keys[0], isolate));
  } finally {
    await worker.faults({ [operation]: null });
  }
  await waitFor("all to be well", async () => (await request(keys[0], isolate)).got[0] === 200);
  if (operation !== "kv.get") return;
  // Where KV is left alone objects are asked whose keys they are, on account of the network that asks.
  const reads = async () => (await isolate.counts()).kv.get ?? 0;
  const before = await reads();
  await waitFor(
    "KV to be asked again",
    async () => {
      await request(await newKey(), isolate);
      return (await reads()) > before;
    },
    { everyMs: 500 },
  );
}

for (const [number, [what, fault]] of Object.entries(FAULTS).entries()) {
  const isolate = () => gate.isolates[number];

  it(`KV that ${what}: the key's object answers`, () => suffer(isolate(), "kv.get", fault, passed));

  it(`a key's object that ${what}: ${fault.lagMs < 1_000 ? "200" : "503"}`, () =>
    suffer(isolate(), "KeyGate.fetch", fault, fault.lagMs < 1_000 ? passed : unavailable, 6));

  it(`a relay that ${what}: the key's object answers, and is asked from the second time on`, async () => {
    const key = await newKey({ rateLimit: { perMinute: 100_000, perDay: null } });
    const leave = await gather(gate, key);
    assert.deepEqual((await request(key, isolate())).got, passed);
    await gate.objects.faults({ "Relay.fetch": fault });
    const before = (await gate.callsFor(key)).relays;
    try {
      for (let round = 0; round < 4; round++) {
        const { got, took } = await request(key, isolate());
        assert.deepEqual(got, passed);
        assert.ok(took < BOUND, `round ${round} took ${took} ms`);
      }
      await isAtOnce(passed, () => request(key, isolate()));
      const asked = (await gate.callsFor(key)).relays - before;
      // Twice for requests, and once perhaps to tell what was counted.
      if (fault.lagMs !== 300) assert.ok(asked === 2 || asked === 3, `${asked} calls`);
    } finally {
      await gate.objects.faults({ "Relay.fetch": null });
      await leave();
    }
  });
}

it("an object that hangs is not waited for again and again, and other keys' objects are asked all the same", async () => {
  const [hanging, other] = [await newKey(), await newKey()];
  await gate.objects.faults({ "KeyGate.fetch": { lagMs: 60_000, name: gate.objectName(hanging) } });
  try {
    for (let round = 0; round < 6; round++) {
      assert.deepEqual((await request(hanging)).got, unavailable);
      assert.deepEqual((await request(other)).got, passed);
    }
    await isAtOnce(unavailable, () => request(hanging));
  } finally {
    await gate.objects.faults({ "KeyGate.fetch": null });
  }
  await waitFor("it to pass again", async () => (await request(hanging)).got[0] === 200);
});

it("requests that come while another one waits for a hanging object wait no longer than it does", async () => {
  const key = await newKey();
  await gate.objects.faults({ "KeyGate.fetch": { lagMs: 60_000, name: gate.objectName(key) } });
  try {
    for (const { got, took } of await Promise.all(Array.from({ length: 12 }, () => request(key)))) {
      assert.deepEqual(got, unavailable);
      assert.ok(took < BOUND, `${took} ms`);
    }
  } finally {
    await gate.objects.faults({ "KeyGate.fetch": null });
  }
});

it("KV and the key's object that both hang: 503 within one deadline", async () => {
  const key = await newKey();
  await gate.isolates.at(-1).faults({ "kv.get": FAULTS.hangs });
  await gate.objects.faults({ "KeyGate.fetch": FAULTS.hangs });
  try {
    const { got, took } = await request(key);
    assert.deepEqual(got, unavailable);
    assert.ok(took < BOUND, `${took} ms`);
  } finally {
    await gate.isolates.at(-1).faults({ "kv.get": null });
    await gate.objects.faults({ "KeyGate.fetch": null });
  }
});

it("an object that is reset under a call, as by a deployment, is asked once more and answers", async () => {
  const key = await newKey({ strict: true });
  assert.deepEqual((await request(key)).got, passed);
  await gate.objects.resetCounts();
  await gate.objects.faults({ "KeyGate.fetch": { reset: true, times: 1, name: gate.objectName(key) } });
  assert.deepEqual((await request(key)).got, passed);
  assert.equal((await gate.callsFor(key)).keyGate, 2);
});

for (const [error, tries] of [
  [{ retryable: true }, 2],
  [{ durableObjectReset: true }, 2],
  [{ retryable: true, overloaded: true }, 1],
  [{}, 1],
]) {
  it(`an error with ${JSON.stringify(error)} is ${tries === 2 ? "no reason to give up: a stub of its own is asked once more" : "not met a second time"}`, async () => {
    const isolate = gate.isolates.at(-1);
    const key = await newKey({ strict: true });
    const name = gate.objectName(key);
    await isolate.faults({ "KEY_GATE.fetch": { fail: true, error, name, times: 1 } });
    assert.deepEqual((await request(key)).got, tries === 2 ? passed : unavailable);
    await isolate.faults({ "KEY_GATE.fetch": { fail: true, error, name, times: tries } });
    assert.deepEqual((await request(key)).got, unavailable, "once more and not twice");
    assert.deepEqual((await request(key)).got, passed, "and that was all");
  });
}

describe("a client that hangs up while stores are called for it", () => {
  const isolate = () => gate.isolates.at(-1);
  const calls = async (className) =>
    Object.values((await gate.objects.counts()).objects[className] ?? {}).reduce((sum, { fetch }) => sum + fetch, 0);

  /** Sends a request, and hangs up as soon as an object of this class is asked for it; whether it had no answer yet. */
  async function hangUp(className, text) {
    const before = await calls(className);
    const client = begin(isolate().url, "HOST", text);
    await waitFor("an object to be asked", async () => client.text || (await calls(className)) > before);
    client.socket.resetAndDestroy();
    return !client.text;
  }

  it("does not keep the Registry from others, whose call it was that tried", async () => {
    const stranger = JSON.stringify({ email: "nobody@example.com", password: "not the password of anybody" });
    const signIn = `POST /api/admin/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${stranger.length}\r\n\r\n${stranger}`;
    const status = async () => (await new Admin(isolate().url).call("POST", "/session", stranger)).status;
    await gate.objects.faults({ "Registry.fetch": { fail: true } });
    for (let failures = 0; failures < 3; failures++) assert.equal(await status(), 503);
    await gate.objects.faults({ "Registry.fetch": FAULTS.hangs });
    await waitFor("a stranger's call to be the one that tries", () => hangUp("Registry", signIn));
    await gate.objects.faults({ "Registry.fetch": null });
    // Far less than the 10 s for which a call of the admin API is waited for.
    await waitFor("the Registry to be asked again", async () => (await status()) !== 503);
  });

  it("does not keep others with the same key waiting", async () => {
    // A call that is never heard of again is waited for as long as a decision may take.
    await isAtOnce(passed, async () => {
      const key = await waitFor("a client that hangs up before it is answered", async () => {
        const key = await newKey();
        await gate.objects.faults({ "KeyGate.fetch": { ...FAULTS.hangs, name: gate.objectName(key) } });
        try {
          const head = `GET /api/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\n\r\n`;
          return (await hangUp("KeyGate", head)) ? key : undefined;
        } finally {
          await gate.objects.faults({ "KeyGate.fetch": null });
        }
      });
      return request(key);
    });
  });
});

describe("a binding that throws, is missing, or is of another type", () => {
  const isolate = () => gate.isolates.at(-1);
  const logged = (pattern) =>
    waitFor(`the log to say ${pattern}`, () => gate.logs.some(({ message }) => pattern.test(message)));

  for (const [name, expected] of [
    ["KEYS", passed],
    ["KEY_GATE", unavailable],
  ]) {
    for (const [what, value, says] of /** @type {[string, unknown, string][]} */ ([
      ["missing", undefined, `the binding ${name} is missing`],
      ["a text", "x", `the binding ${name} is of another type`],
      ["an object", {}, `the binding ${name} is of another type`],
    ])) {
      it(`${name}, ${what}: ${expected[0]} at once, and the log names it`, async () => {
        const key = await newKey();
        await gate.forgetLogs();
        await isolate().withoutBinding(name, value);
        try {
          await isAtOnce(expected, () => request(key));
          await logged(new RegExp(says));
        } finally {
          await isolate().withBinding(name);
        }
      });
    }
  }

  it("KV that throws where a promise belongs", async () => {
    await suffer(isolate(), "kv.get", { throws: true }, passed, 2);
  });

  for (const value of [7, { id: "key" }, true]) {
    it(`KV that answers ${JSON.stringify(value)}, which is no text`, () =>
      suffer(isolate(), "kv.get", { answer: value }, passed, 2));
  }
});

describe("the limiter of failing networks, where a key's form has no check", () => {
  const all = [...Object.entries(FAULTS), ["throws", { throws: true }], ["answers {} as an object", { answer: {} }]];
  let own;
  before(async () => {
    own = await startGate({ policy: "e2e", isolates: all.length });
    await new Admin(own.url, "/console/api").setUp(own.secrets.KEYWARD_SETUP_TOKEN);
  });
  after(() => own?.stop());

  let guesses = 0;
  const guess = (isolate) =>
    timed(() =>
      isolate.send({
        target: "/things/1",
        host: "strict.test",
        headers: { "X-API-Key": `sk_${String(guesses++).padStart(43, "A")}`, "CF-Connecting-IP": "192.0.2.77" },
      }),
    );

  for (const [number, [what, fault]] of all.entries()) {
    it(`that ${what}: a key that there is not is 401 all the same, and its network is not held back`, async () => {
      const isolate = own.isolates[number];
      await isolate.faults({ "FAILURES.limit": fault });
      try {
        for (let round = 0; round < 3; round++) {
          const { got, took } = await guess(isolate);
          assert.deepEqual(got, [401, "INVALID_API_KEY"]);
          assert.ok(took < BOUND, `round ${round} took ${took} ms`);
        }
        await isAtOnce([401, "INVALID_API_KEY"], () => guess(isolate));
      } finally {
        await isolate.faults({ "FAILURES.limit": null });
      }
    });
  }
});

describe("the Registry, where a link is followed", () => {
  /** @type {Admin} */
  let owner;
  let systems;
  before(async () => {
    systems = await startSystems();
    ({ owner } = await newTenant(systems.gate, systems.operator, { name: "Acme", code: "acme", plan: "integrations" }));
  });
  after(() => systems?.gate.stop());

  for (const [what, fault] of Object.entries(FAULTS)) {
    const isSlow = fault.lagMs < 1_000;
    it(`that ${what}: ${isSlow ? "303" : "503, and never that the link is not valid"}`, async () => {
      const { gate } = systems;
      const link = await waitFor("a link", () =>
        owner.must("POST", "/links", { url: "https://shop.gw.example/checkout" }),
      );
      const follow = () => ask(gate, "shop.gw.example", `/checkout?token=${link.token}`, { tls: "TLSv1.3" });
      await gate.objects.faults({ "Registry.fetch": fault });
      try {
        for (let round = 0; round < (isSlow ? 1 : 4); round++) {
          const sentAt = performance.now();
          const answer = await follow();
          assert.equal(answer.status, isSlow ? 303 : 503, answer.text);
          const took = performance.now() - sentAt;
          assert.ok(took < BOUND, `round ${round} took ${took} ms`);
        }
        if (!isSlow) await isAtOnce([503, "STORE_UNAVAILABLE"], () => timed(follow));
      } finally {
        await gate.objects.faults({ "Registry.fetch": null });
      }
      if (!isSlow) await waitFor("the link to be followed", async () => (await follow()).status === 303);
    });
  }
});
