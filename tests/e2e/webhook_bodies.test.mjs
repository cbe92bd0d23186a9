// Bodies of webhooks, which the gate reads itself before it knows who sends them.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { begin } from "./harness/raw.mjs";
import { waitFor } from "./harness/wait.mjs";
import { code, FORGER, forged, head, inChunks, signature, start } from "./webhooks.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const MIB = 1 << 20;
const BODY = Buffer.from('{"id":"evt_1","note":"gr\u00fc\u00dfe"}\n');
const SENDER = "192.0.2.2";

const deliver = (gate, { from = SENDER, body = BODY, sign = signature(body), sent = body, host = "hooks.test" } = {}) =>
  gate.send({
    method: "POST",
    host,
    target: "/events",
    body: sent,
    headers: { "Stripe-Signature": sign, "CF-Connecting-IP": from },
  });

describe("a webhook's body", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await start();
  });
  after(() => gate?.stop());
  beforeEach(() => gate.origin.reset());

  it("reaches the origin as it was, of any size up to 1 MiB, with its length said or not", async () => {
    for (const size of [0, 1, 16 * 1024, 16 * 1024 + 1, 65_536, 262_144, MIB - 1, MIB]) {
      const body = Buffer.alloc(size, "gr\u00fc\u00dfe");
      for (const sent of [body, inChunks(body)]) {
        const answer = await deliver(gate, { body, sent });
        assert.equal(answer.status, 200, `${size}: ${answer.text}`);
        assert.ok(gate.origin.last.body.equals(body), String(size));
      }
    }
  });

  it("passes with a GET too, which is signed like any other", async () => {
    const answer = await gate.send({
      host: "hooks.test",
      target: "/events",
      headers: { "Stripe-Signature": signature("") },
    });
    assert.equal(answer.status, 200);
    const withBody = await gate.send({
      host: "hooks.test",
      target: "/events",
      body: BODY,
      headers: { "Stripe-Signature": signature(BODY) },
    });
    assert.equal(withBody.status, 200);
    assert.ok(gate.origin.last.body.equals(BODY));
  });

  it("is not waited for when the headers say enough", async () => {
    const old = signature(BODY, Math.floor(Date.now() / 1000) - 301);
    for (const [status, text] of /** @type {[number, string][]} */ ([
      [413, head([`Content-Length: ${MIB + 1}`])],
      [401, head(["Content-Length: 10"], { sign: null })],
      [401, head(["Content-Length: 10"], { sign: old })],
      [401, head(["Content-Length: 10"], { sign: forged().slice(0, -1) })],
      [401, head(["Content-Length: 10", `Stripe-Signature: ${forged()}`])],
      [401, head(["Transfer-Encoding: chunked"], { sign: "t=now,v1=x" })],
    ])) {
      // No byte of the body is ever sent.
      const client = begin(gate.url, "hooks.test", text);
      await waitFor("the answer", () => client.status);
      assert.equal(client.status, status, text);
      client.socket.destroy();
    }
  });

  it("413 in chunks that are too many, and 401 with a wrong signature", async () => {
    const large = Buffer.alloc(MIB + 1, "x");
    assert.deepEqual(code(await deliver(gate, { body: large, sent: inChunks(large) })), [413, "BODY_TOO_LARGE"]);
    assert.deepEqual(code(await deliver(gate, { sign: forged() })), [401, "INVALID_SIGNATURE"]);
    assert.equal(gate.origin.requests.length, 0);
  });

  /**
   * Connections of several networks, each of which begins several bodies of 1 MiB and never ends them.
   * @param {{ networks?: number, each?: number, method?: string, host?: string, text?: (fields: string[], of: { from: string }) => string, size?: number }} what
   */
  function stall({ networks = 1, each = 1, method = "POST", host = "hooks.test", text = head, size = MIB }) {
    return Array.from({ length: networks * each }, (_, i) => {
      const from = networks === 1 ? FORGER : `198.51.100.${i % networks}`;
      const client = begin(gate.url, host, text([`Content-Length: ${size}`], { from }).replace("POST", method));
      client.socket.write(Buffer.alloc(size - 1, "x"));
      return client;
    });
  }
  const refused = (clients) => clients.filter(({ status }) => status === 503);

  it("takes bounded room: 503 for the slowest of those who take most, 408 for what does not end, and a sender passes", async () => {
    const most = 4;
    const clients = stall({ each: 120 });
    await waitFor("the refusals", () => refused(clients).length >= clients.length - most);
    assert.ok(refused(clients).length < clients.length, "as many as there is room for are read");
    for (const client of refused(clients)) assert.match(client.text, /\r\nRetry-After: \d+\r\n[\s\S]*OVERLOADED/i);
    assert.equal((await deliver(gate)).status, 200, "from elsewhere");
    assert.equal((await deliver(gate, { from: FORGER })).status, 200, "from their own network");

    // One that keeps coming has no more time than one that is silent.
    const slow = begin(gate.url, "hooks.test", head([`Content-Length: ${MIB}`], { from: "192.0.2.8" }));
    const drip = setInterval(() => slow.socket.write("x"), 200);
    const held = [...clients.filter(({ status }) => !status), slow];
    await waitFor("408", () => held.every(({ status }) => status));
    clearInterval(drip);
    for (const client of held) assert.match(client.text, /REQUEST_TIMEOUT/);
    for (const { socket } of [...clients, slow]) socket.destroy();
  });

  it("is taken from a sender while forty networks send slowly", async () => {
    const clients = stall({ networks: 40, each: 3 });
    await waitFor("the refusals", () => refused(clients).length >= clients.length - 32);
    const large = Buffer.alloc(MIB, "x");
    for (let i = 0; i < 5; i++) {
      for (const from of [SENDER, "198.51.100.7"])
        assert.equal((await deliver(gate, { from, body: large, sent: inChunks(large) })).status, 200, from);
    }
    for (const { socket } of clients) socket.destroy();
  });

  it("takes no more room than it has while the origin handles it, also in chunks", async () => {
    const release = [];
    gate.origin.answer = async (_, response, recorded) => {
      await recorded.complete;
      await new Promise((resolve) => {
        release.push(resolve);
      });
      response.end("ok");
    };
    const answers = Array.from({ length: 40 }, () => deliver(gate, { sent: inChunks(BODY) }));
    await waitFor("all of them at the origin", () => release.length === answers.length);
    for (const go of release) go();
    assert.deepEqual(
      (await Promise.all(answers)).map(({ status }) => status),
      answers.map(() => 200),
    );
  });

  it("of 26 MB and small ones of its network pass beside each other, and it is in memory once", async () => {
    const host = "large-hooks.test";
    const large = Buffer.alloc(26_000_000, "x");
    assert.equal((await deliver(gate, { host })).status, 200);
    const release = [];
    gate.origin.answer = async (_, response, recorded) => {
      await recorded.complete;
      if (recorded.body.length < large.length) return response.end("ok");
      release.push(() => response.end("ok"));
    };
    const before = gate.memory();
    const answer = deliver(gate, { host, body: large });
    await waitFor("it to be at the origin", () => release.length === 1);
    // The runtime copies what it is given as one buffer.
    assert.ok(gate.memory() - before < 1.8 * large.length, `${Math.round((gate.memory() - before) / MIB)} MiB`);
    for (const sent of [BODY, inChunks(BODY)]) assert.equal((await deliver(gate, { host, sent })).status, 200);
    for (const go of release) go();
    assert.equal((await answer).status, 200);
    gate.origin.reset();
    const whole = await deliver(gate, { host, body: large, sent: inChunks(large, 1_000_000), from: FORGER });
    assert.equal(whole.status, 200, "from a network that has delivered nothing yet, if there is room");
    assert.ok(gate.origin.last.body.equals(large));
  });

  it("holds no room by what its headers say alone", async () => {
    const heads = Array.from({ length: 12 }, (_, i) =>
      begin(gate.url, "large-hooks.test", head(["Content-Length: 26000000"], { from: `198.51.100.${i}` })),
    );
    const large = Buffer.alloc(26_000_000, "x");
    assert.equal((await deliver(gate, { host: "large-hooks.test", body: large, from: "192.0.2.9" })).status, 200);
    assert.ok(heads.every(({ status }) => !status));
    for (const { socket } of heads) socket.destroy();
  });

  it("leaves nothing in memory: what 600 that stall have taken is used again", async () => {
    for (let round = 0; round < 5; round++) {
      const clients = stall({ networks: 40, each: 3 });
      await waitFor("the refusals", () => refused(clients).length >= clients.length - 32);
      for (const { socket } of clients) socket.destroy();
    }
    assert.equal((await deliver(gate)).status, 200);
    // They sent 600 MiB. What the runtime has read for a Worker is its garbage, of which it lets some 250 MiB lie, and which
    // it collects as more is read.
    await waitFor("the garbage to be collected", async () => {
      assert.equal((await deliver(gate)).status, 200);
      assert.ok(gate.memory() < 600 * MIB, `${Math.round(gate.memory() / MIB)} MiB`);
      return true;
    });
  });

  it("of a GET has bounded room for its copy: of those who take most the slowest is 503, and others pass", async () => {
    const text = (fields, { from }) => head(fields, { from, sign: null }).replace("/events", "/open/x");
    const clients = stall({ networks: 1, each: 12, method: "GET", host: "open.test", text });
    await waitFor("the refusals", () => refused(clients).length >= clients.length - 4);
    const more = stall({ networks: 40, each: 1, method: "GET", host: "open.test", text });
    await waitFor("more of them", () => refused([...clients, ...more]).length >= clients.length + more.length - 16);
    for (const client of refused(more)) assert.match(client.text, /\r\nRetry-After: \d+\r\n[\s\S]*OVERLOADED/i);
    for (const from of [FORGER, SENDER]) {
      const body = Buffer.alloc(MIB / 2, "y");
      const answer = await gate.send({
        host: "open.test",
        target: "/open/x",
        body,
        headers: { "CF-Connecting-IP": from },
      });
      assert.equal(answer.status, 200, answer.text);
      assert.ok(gate.origin.last.body.equals(body));
    }
    for (const { socket } of [...clients, ...more]) socket.destroy();
  });

  it("of a GET that has come whole takes no room while the origin thinks", async () => {
    const body = Buffer.alloc(MIB / 4, "y");
    const waiting = [];
    gate.origin.answer = async (_request, response, recorded) => {
      await recorded.complete;
      waiting.push(() => response.end("thought"));
    };
    // 5 MiB of one network, of which 4 have room while they come: a few at a time.
    const answers = [];
    while (answers.length < 20) {
      for (let i = 0; i < 5; i++)
        answers.push(
          gate.send({ host: "open.test", target: "/open/x", body, headers: { "CF-Connecting-IP": SENDER } }),
        );
      await waitFor("these to be at the origin", () => waiting.length === answers.length);
    }
    for (const answer of waiting) answer();
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200, answer.text);
  });
});

describe("forged webhooks", () => {
  /** @type {Gate} */
  let gate;
  before(async () => {
    gate = await start({ failures: { limit: 3, period: 10 } });
  });
  after(() => gate?.stop());

  it("hold their network back, and neither others nor keys", async (t) => {
    // None is tried again, and the network is not let go.
    await gate.stopClock(t);
    const forge = () => deliver(gate, { from: FORGER, sign: forged() });
    const first = await forge();
    assert.equal(first.status, 401);
    // The limiter goes by the machine's clock: its window may end in between.
    await waitFor("the network to be held back", async () => (await forge()).status === 429);
    for (const held of await Promise.all(Array.from({ length: 20 }, forge))) {
      assert.deepEqual(code(held), [429, "RATE_LIMITED"]);
      assert.ok(Number(held.header("retry-after")) <= 10);
    }
    assert.equal((await deliver(gate)).status, 200);
    const keyed = await gate.send({ host: "hooks.test", target: "/keyed/x", headers: { "CF-Connecting-IP": FORGER } });
    assert.equal(keyed.status, 401);
  });

  it("let a sender's own in from their network, of which none came yet", async () => {
    const from = "192.0.2.4";
    const held = async () => (await deliver(gate, { from, sign: forged() })).status === 429;
    await waitFor("the network to be held back", held);
    // The forger goes on, and so does the sender, until one of its own is tried.
    await waitFor("one of the sender's", async () => (await deliver(gate, { from })).status === 200, { everyMs: 50 });
    assert.equal((await deliver(gate, { from, sign: forged() })).status, 401);
    assert.equal((await deliver(gate, { from })).status, 200, "it is known from now on");
  });

  it("do not keep out a sender that has delivered from their network", async () => {
    const from = "192.0.2.3";
    assert.equal((await deliver(gate, { from })).status, 200);
    for (let i = 0; i < 6; i++) {
      assert.equal((await deliver(gate, { from, sign: forged() })).status, 401);
      assert.equal((await deliver(gate, { from })).status, 200);
    }
  });
});
