// The table of docs/origin.md, line by line: each field, each way, in its own spelling and in others, by a service binding,
// by a handler and by a URL. A line that cannot be read, or says what is not so, fails.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { startOrigin } from "./harness/origin.mjs";
import { handled, originPort } from "./harness/policies.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const docs = readFileSync(new URL("../../docs/origin.md", import.meta.url), "utf8");

/** The outcome that a cell begins with: `removed with limits, else passes: why`. */
function outcome(cell) {
  const [, first, situation, other] =
    cell.match(/^(passes|removed|replaced|merged)(?: ([^:]*?), else (passes|removed|replaced|merged)\b)?/) ?? [];
  assert.ok(first, `no outcome: ${cell}`);
  return { first, situation, other };
}

const ROWS = docs
  .split("| field | to the origin | to the client |\n| --- | --- | --- |\n")[1]
  .split("\n\n")[0]
  .split("\n")
  .map((line) => {
    const [fields, request, answer] = line.slice(2, -2).split(" | ");
    const names = [...fields.matchAll(/`([^`]+)`/g)]
      .map(([, name]) => name.replaceAll("*", "Probe"))
      .filter((name) => !/[^$A-Za-z0-9-]/.test(name) && name !== "credentials");
    assert.ok(names.length, `no field: ${line}`);
    return { fields, names, request: outcome(request), answer: outcome(answer) };
  });
// What has a word in it may have it first, last or alone.
for (const row of ROWS)
  row.names.push(
    ...row.names.flatMap((name) =>
      /^Probe-.*-Probe$/.test(name) ? [name.slice(6), name.slice(0, -6), name.slice(6, -6)] : [],
    ),
  );
const NAMES = ROWS.flatMap(({ names }) => names);

/** Other ways to write a name that CGI, WSGI or PHP make one of, and of case. */
const SPELLINGS = [
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => name.toLowerCase(),
  ...["_", ".", "~", "|", "*", "!", "'", "+", "$", "`", "^", "%", "&", "#"].map(
    (sign) => (name) => name.replaceAll("-", sign),
  ),
  (name) => name.replace("-", "_"),
  (name) => name.replace(/-(?=[^-]*$)/, "."),
];

/** What is sent, where a mere mark would be no value, or end the connection. */
const REQUEST = {
  cookie: (mark) => `${mark}=1; __Host-keyward-session=kws_secret`,
  connection: (mark) => `close, ${mark}`,
};
const ANSWER = {
  "set-cookie": (mark) => `${mark}=1`,
  "www-authenticate": (mark) => `${mark} x="y"`,
  connection: (mark) => mark,
};

/** @type {[string, { policy: string, realm: string, host?: string, target: string, keyed?: boolean, url?: boolean, holds: string[] }][]} */
const CONTEXTS = [
  [
    "by a service binding",
    { policy: "e2e", realm: "open", host: "open.test", target: "/open/x", holds: ["by service binding or handler"] },
  ],
  [
    "by a service binding, with a key",
    {
      policy: "e2e",
      realm: "open",
      host: "open.test",
      target: "/keyed/x",
      keyed: true,
      holds: ["by service binding or handler", "for a key with limits", "with a credential asked for"],
    },
  ],
  [
    "by a handler",
    {
      policy: "handled",
      realm: "open",
      host: "open.test",
      target: "/open/x",
      holds: ["by service binding or handler"],
    },
  ],
  [
    "by a handler, with a key",
    {
      policy: "handled",
      realm: "open",
      host: "open.test",
      target: "/keyed/x",
      keyed: true,
      holds: ["by service binding or handler", "for a key with limits", "with a credential asked for"],
    },
  ],
  [
    "by a URL",
    {
      policy: "e2e",
      realm: "table",
      host: "table.test",
      target: "/open/x",
      holds: ["with `forwarded = true`"],
      url: true,
    },
  ],
  [
    "by a URL, with a key",
    {
      policy: "e2e",
      realm: "table",
      host: "table.test",
      target: "/keyed/x",
      keyed: true,
      url: true,
      holds: ["with `forwarded = true`", "for a key with limits", "with a credential asked for"],
    },
  ],
  [
    "of a realm with CORS",
    {
      policy: "default",
      realm: "default",
      target: "/api/public/x",
      holds: ["by service binding or handler", "with `[realm.cors]`"],
    },
  ],
  [
    "of a realm with CORS, with a key",
    {
      policy: "default",
      realm: "default",
      target: "/api/orders",
      keyed: true,
      holds: [
        "by service binding or handler",
        "with `[realm.cors]`",
        "for a key with limits",
        "with a credential asked for",
      ],
    },
  ],
];
/** Situations that are a matter of what is sent, and have tests of their own below. */
const SENT = [
  "with a credential in it",
  "in another spelling",
  "where it names the gate's realm",
  "for a WebSocket by GET",
];

describe("docs/origin.md", () => {
  const gates = {};
  let remote;
  before(async () => {
    remote = await startOrigin({ port: originPort(18187) });
    for (const [policy, base, scope] of [
      ["e2e", "/console/api", "things:read"],
      ["handled", "/console/api", "things:read"],
      ["default", "/api/admin", "orders:read"],
    ]) {
      const gate = await startGate(policy === "handled" ? await handled("e2e") : { policy });
      const admin = gate.admin();
      admin.api = base;
      await admin.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
      gates[policy] = {
        gate,
        keys: {},
        async key(realm) {
          this.keys[realm] ??= (await admin.createKey({ realm, scopes: [scope] })).plaintextKey;
          return this.keys[realm];
        },
      };
    }
  });
  after(async () => {
    await remote?.stop();
    for (const { gate } of Object.values(gates)) await gate.stop();
  });

  it("names every situation that its lines speak of", () => {
    const known = new Set([...SENT, ...CONTEXTS.flatMap(([, { holds }]) => holds)]);
    for (const { fields, request, answer } of ROWS) {
      for (const { situation } of [request, answer]) {
        const plain = situation?.replace(/ \(.*/, "").replace(/^by the host.*/, "by the gate");
        assert.ok(plain === undefined || known.has(plain), `${fields}: ${situation}`);
      }
    }
  });

  const expected = ({ first, situation, other }, holds) =>
    situation === undefined || holds.includes(situation) ? first : other;

  function check(way, { name, sent, got, all, mark, is }) {
    const says = `${name} is not ${is} on its way to the ${way}: ${JSON.stringify(sent)} became ${JSON.stringify(got)}`;
    if (is === "passes") assert.deepEqual(got, [sent], says);
    else if (is === "merged") assert.ok(got.join(", ").includes(mark) && !got.join().includes("kws_secret"), says);
    else assert.ok(!all.includes(mark), `${says}: ${all}`);
  }

  for (const [what, { policy, realm, host, target, keyed, url, holds }] of CONTEXTS) {
    describe(what, () => {
      /** @type {Gate} */
      let gate;
      let origin, own;
      before(async () => {
        gate = gates[policy].gate;
        origin = url ? remote : gate.origin;
        own = keyed ? { Authorization: `Bearer ${await gates[policy].key(realm)}` } : {};
      });

      it("a request's fields, in each spelling", async () => {
        for (const [number, spelled] of SPELLINGS.entries()) {
          const fields = NAMES.map((name, i) => ({ name: spelled(name), plain: name, mark: `probe-${i}-` }))
            // In another one it is the same.
            .filter(({ name, plain }) => number === 0 || name !== plain)
            // The default policy does not name it.
            .filter(({ plain }) => !(policy === "default" && plain === "X-API-Key"))
            .filter(({ plain }) => plain !== "Host" && !(keyed && plain === "Authorization"));
          const isOther = (name, plain) => name.toLowerCase() !== plain.toLowerCase();
          const headers = fields.map(({ name, plain, mark }) => [
            name,
            (isOther(name, plain) ? undefined : REQUEST[plain.toLowerCase()])?.(mark) ?? mark,
          ]);
          origin.reset();
          const answer = await gate.send({ host, target, headers: [...Object.entries(own), ...headers] });
          assert.equal(answer.status, 200, answer.text);
          const { rawHeaders } = origin.last;
          assert.equal(origin.last.headers.host[0], url ? origin.address : (host ?? new URL(gate.url).host));
          const all = JSON.stringify(rawHeaders);
          for (const [i, { name, plain, mark }] of fields.entries()) {
            const row = ROWS.find(({ names }) => names.includes(plain));
            const got = rawHeaders
              .filter(([given]) => given.toLowerCase() === name.toLowerCase())
              .map(([, value]) => value);
            const also = isOther(name, plain) ? ["in another spelling"] : [];
            // A header of the policy's in another spelling is removed, as what frames a message is.
            const is =
              also.length && row.request.situation === "with a credential in it"
                ? "removed"
                : expected(row.request, [...holds, ...also]);
            const isMerged = is === "merged" && also.length === 0;
            check("origin", {
              name,
              sent: headers[i][1],
              got,
              all,
              mark,
              is: is === "merged" && !isMerged ? "passes" : is,
            });
          }
        }
      });

      it("an answer's fields, in each spelling", async () => {
        for (const [number, spelled] of SPELLINGS.entries()) {
          const fields = NAMES.map((name, i) => ({ name: spelled(name), plain: name, mark: `probe-${i}-` })).filter(
            ({ name, plain }) => number === 0 || name !== plain,
          );
          const isOther = (name, plain) => name.toLowerCase() !== plain.toLowerCase();
          const headers = fields.map(({ name, plain, mark }) => [
            name,
            (isOther(name, plain) ? undefined : ANSWER[plain.toLowerCase()])?.(mark) ?? mark,
          ]);
          origin.reset();
          origin.answer = { status: 200, headers, body: "x" };
          const answer = await gate.send({ host, target, headers: Object.entries(own) });
          assert.equal(answer.status, 200, answer.text);
          const all = JSON.stringify(answer.rawHeaders);
          for (const [i, { name, plain, mark }] of fields.entries()) {
            const row = ROWS.find(({ names }) => names.includes(plain));
            const is = expected(row.answer, holds);
            const other = isOther(name, plain);
            check("client", {
              name,
              sent: headers[i][1],
              got: answer.all(name),
              all,
              mark,
              is: is === "merged" && other ? "passes" : is,
            });
          }
        }
      });
    });
  }
});
