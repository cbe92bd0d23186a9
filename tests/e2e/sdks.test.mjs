// Client libraries as people use them, against the gate: what a refusal becomes there, and whether they wait
// by themselves. In Node in this process, in Python in one of its own (sdks.py).

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import Anthropic from "@anthropic-ai/sdk";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import OpenAI from "openai";
import Stripe from "stripe";

import { python } from "../../scripts/lib/python.mjs";
import { startGate } from "./harness/gate.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

const COMPLETION = {
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
};
const MESSAGE = {
  id: "m",
  type: "message",
  role: "assistant",
  model: "m",
  content: [{ type: "text", text: "hello" }],
  stop_reason: "end_turn",
  usage: { input_tokens: 1, output_tokens: 1 },
};
const CUSTOMER = { id: "cus_1", object: "customer" };

/** @type {Gate} */
let gate;
/** @type {Admin} */
let admin;
/** The gate's address as the realm's host: that of 127.0.0.1 has the whole host for itself. */
let url;
before(async () => {
  gate = await startGate({ policy: "e2e", page: "/console/page" });
  url = gate.url.replace("127.0.0.1", "localhost");
  admin = gate.admin();
  admin.api = "/console/api";
  await admin.setUp(gate.secrets.KEYWARD_SETUP_TOKEN);
});
after(() => gate.stop());
beforeEach(() => {
  gate.origin.reset();
  gate.origin.answer = asTheApis;
});

/** The origin: each library's API, as far as one call needs it. */
async function asTheApis(request, response, recorded) {
  await recorded.complete;
  if (request.url === "/mcp") return asMcp(request, response, recorded);
  const answer = { "/v1/chat/completions": COMPLETION, "/v1/messages": MESSAGE, "/v1/customers/cus_1": CUSTOMER }[
    request.url
  ];
  response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(answer ?? {}));
}

/** A server of the Model Context Protocol without sessions: a new one for each request. */
async function asMcp(request, response, recorded) {
  const server = new McpServer({ name: "greeter", version: "1" });
  server.registerTool("greet", {}, () => ({ content: [{ type: "text", text: "hello" }] }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  await server.connect(transport);
  await transport.handleRequest(request, response, recorded.body.length ? JSON.parse(recorded.body) : undefined);
}

/** One request with this key, past the libraries. */
const send = (key) =>
  gate.send({ target: "/v1/customers/cus_1", host: new URL(url).host, headers: { Authorization: `Bearer ${key}` } });

/** Takes this key's only request of the window. */
const use = async (key) => assert.equal((await send(key)).status, 200);

const newKey = async (fields = {}) =>
  (await admin.createKey({ realm: "sdks", scopes: ["models:use"], ...fields })).plaintextKey;

/** `fetch`, and the statuses that it was answered with. */
function recording() {
  const statuses = [];
  /** @type {typeof fetch} */
  const recorded = async (input, init) => {
    const answer = await fetch(input, init);
    statuses.push(answer.status);
    return answer;
  };
  return { statuses, fetch: recorded };
}

/** One call of each library in Node, with this many retries; the value. `header` is where the key goes. */
const NODE = {
  async openai({ key, retries, fetch }) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: retries, fetch });
    const answer = await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "hi" }] });
    return answer.choices[0].message.content;
  },
  async anthropic({ key, retries, fetch }) {
    const client = new Anthropic({ baseURL: url, apiKey: key, authToken: null, maxRetries: retries, fetch });
    const answer = await client.messages.create({
      model: "m",
      max_tokens: 9,
      messages: [{ role: "user", content: "hi" }],
    });
    const [content] = answer.content;
    return content.type === "text" && content.text;
  },
  async stripe({ key, retries, fetch }) {
    const client = new Stripe(key, {
      host: "localhost",
      port: Number(new URL(url).port),
      protocol: "http",
      maxNetworkRetries: retries,
      telemetry: false,
      httpClient: Stripe.createFetchHttpClient(fetch),
    });
    return (await client.customers.retrieve("cus_1")).id;
  },
  async mcp({ key, fetch, authProvider }) {
    const client = new Client({ name: "test", version: "1" });
    const requestInit = key === undefined ? {} : { headers: { Authorization: `Bearer ${key}` } };
    try {
      await client.connect(
        new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit, fetch, authProvider }),
      );
      return (await client.callTool({ name: "greet" })).content[0].text;
    } finally {
      await client.close();
    }
  },
};

/** The same in Python: a list of `{ value }` or `{ error, status, message }`. */
async function inPython(calls) {
  const child = promisify(execFile)(python, [fileURLToPath(new URL("sdks.py", import.meta.url))], {
    timeout: 120_000,
    env: { ...process.env, NO_PROXY: "localhost" },
  });
  child.child.stdin.end(JSON.stringify({ url, calls }));
  return JSON.parse((await child).stdout);
}

const LIBRARIES = ["openai", "anthropic", "stripe", "mcp"];
const VALUES = { openai: "hello", anthropic: "hello", stripe: "cus_1", mcp: "hello" };

/** What each library calls an error of each status; one that it has no name for is of its general class. */
const CLASSES = {
  openai: {
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    429: "RateLimitError",
    503: "InternalServerError",
  },
  anthropic: {
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    429: "RateLimitError",
    503: "ServiceUnavailableError",
  },
  stripe: {
    401: "StripeAuthenticationError",
    403: "StripePermissionError",
    429: "StripeRateLimitError",
    503: "StripeAPIError",
  },
};
const CLASSES_IN_PYTHON = {
  ...CLASSES,
  stripe: { 401: "AuthenticationError", 403: "PermissionError", 429: "RateLimitError", 503: "APIError" },
};

/** Each refusal: how a key gets it, and what a person must be able to read. */
const REFUSALS = {
  "an unknown key": {
    status: 401,
    key: async () => "sdk_live_nonsense",
    says: /The API key is too short: its end is missing\. Copy it whole\./,
  },
  "a missing scope": {
    status: 403,
    key: () => newKey({ scopes: ["models:list"] }),
    says: /needs the scope models:use, and the API key does not hold it/,
  },
  "a full window": {
    status: 429,
    key: async () => {
      const key = await newKey({ rateLimit: { perMinute: 1, perDay: null } });
      await use(key);
      return key;
    },
    says: /has used up its 1 request a minute\. Try again in \d+ seconds\./,
  },
  "a store that fails": {
    status: 503,
    key: async () => {
      const key = await newKey();
      await gate.objects.faults({ "KeyGate.fetch": { fail: true } });
      return key;
    },
    says: /The API key cannot be checked at the moment\. Try again after the time in Retry-After\./,
  },
};

describe("client libraries", () => {
  afterEach(() => gate.objects.faults({ "KeyGate.fetch": null }));

  it("work with a key that is in order", async () => {
    const key = await newKey();
    for (const sdk of LIBRARIES) assert.equal(await NODE[sdk]({ key, retries: 0 }), VALUES[sdk], sdk);
    const told = await inPython(LIBRARIES.map((sdk) => ({ sdk, key, retries: 0 })));
    assert.deepEqual(
      told,
      LIBRARIES.map((sdk) => ({ value: VALUES[sdk] })),
    );
  });

  for (const [what, { status, key: keyFor, says }] of Object.entries(REFUSALS)) {
    it(`${status} for ${what}: an error of the right class, whose message says what was wrong`, async (t) => {
      await gate.stopClock(t);
      const key = await keyFor();
      const passed = gate.origin.requests.length;
      for (const sdk of LIBRARIES) {
        const error = await NODE[sdk]({ key, retries: 0 }).then(
          (value) => assert.fail(`${sdk} took ${JSON.stringify(value)} for an answer`),
          (thrown) => thrown,
        );
        assert.match(error.message, says, sdk);
        assert.ok(!error.message.includes(key.slice(9)), "it shows the key");
        if (sdk === "mcp") assert.equal(error.code, status);
        else
          assert.deepEqual(
            [error.constructor.name, error.status ?? error.statusCode],
            [CLASSES[sdk][status], status],
            sdk,
          );
      }
      const told = await inPython(LIBRARIES.map((sdk) => ({ sdk, key, retries: 0 })));
      for (const [index, sdk] of LIBRARIES.entries()) {
        const { error, status: given, message } = told[index];
        assert.match(message ?? JSON.stringify(told[index]), says, `${sdk} in Python`);
        if (sdk === "mcp") assert.equal(error, "MCPError");
        else assert.deepEqual([error, given], [CLASSES_IN_PYTHON[sdk][status], status], `${sdk} in Python`);
      }
      assert.equal(gate.origin.requests.length, passed, "the origin saw it");
    });
  }

  // Of these, stripe does so for a 429 only if the API asks for it with a header of Stripe's own.
  it("that wait by themselves wait for as long as a 429 says, and then succeed", async (t) => {
    /** What `call` comes to if it is refused when the key's window has just over a second to go. */
    const refusedAtFirst = async (call) => {
      await gate.stopClock(t);
      const key = await newKey({ rateLimit: { perMinute: 1, perDay: null } });
      await use(key);
      await gate.advance(58_950);
      await gate.forgetLogs();
      const called = call(key);
      // Time goes on only now, however long the library took to start.
      await Promise.race([called, gate.logged("RATE_LIMITED")]);
      await gate.startClock();
      const value = await called;
      // Not fewer: it was refused; and not more: it did not come back too early.
      await gate.loggedTimes(1, "RATE_LIMITED");
      return value;
    };
    for (const sdk of ["openai", "anthropic"]) {
      assert.equal(await refusedAtFirst((key) => NODE[sdk]({ key, retries: 1 })), VALUES[sdk]);
      assert.deepEqual(await refusedAtFirst((key) => inPython([{ sdk, key, retries: 1 }])), [{ value: VALUES[sdk] }]);
    }
  });

  it("do not try again where the wait is longer than a minute", async () => {
    const key = await newKey({ rateLimit: { perMinute: null, perDay: 1 } });
    await use(key);
    const refused = await send(key);
    assert.deepEqual([refused.status, refused.header("x-should-retry")], [429, "false"]);
    assert.ok(Number(refused.header("retry-after")) > 60);
    for (const sdk of ["openai", "anthropic", "stripe"]) {
      const { statuses, fetch } = recording();
      await assert.rejects(NODE[sdk]({ key, retries: 5, fetch }), /1 request a day/);
      assert.deepEqual(statuses, [429], sdk);
    }
    await gate.forgetLogs();
    for (const { message } of await inPython(
      ["openai", "anthropic", "stripe"].map((sdk) => ({ sdk, key, retries: 5 })),
    ))
      assert.match(message, /1 request a day/);
    await gate.loggedTimes(3, "RATE_LIMITED");
  });

  it("of the Model Context Protocol read a 401 also if they could sign in, and do not go round in circles", async () => {
    const asked = [];
    const watched = async (input, init) => {
      const answer = await fetch(input, init);
      asked.push([new URL(input.url ?? input).pathname, answer.status]);
      return answer;
    };
    const authProvider = {
      redirectUrl: "http://127.0.0.1/callback",
      clientMetadata: { redirect_uris: ["http://127.0.0.1/callback"], client_name: "test" },
      clientInformation: () => undefined,
      tokens: () => undefined,
      saveTokens: () => {},
      saveCodeVerifier: () => {},
      codeVerifier: () => "x",
      saveClientInformation: () => {},
      redirectToAuthorization: () => assert.fail("nobody can sign in here"),
    };
    const error = await NODE.mcp({ key: undefined, fetch: watched, authProvider }).then(
      () => assert.fail("it was let in"),
      (thrown) => thrown,
    );
    assert.ok(asked.length < 12, JSON.stringify(asked));
    for (const [path, status] of asked) if (path.startsWith("/.well-known/")) assert.equal(status, 404, path);
    assert.match(error.message, /No API is served at this host and path|has no credential/);
  });
});
