// The gate, and how much memory its wasm has. Never part of a timed run.
//
// Every key's object answers as the first one that was asked: hundreds of thousands of objects in one process would take
// an hour, and the memory that is measured is the gate's.

// First: it sees what the gate makes.
import "./instances.js";

import gate from "./contestant.js";
import { instances } from "./instances.js";

export * from "./contestant.js";

/** @type {Promise<string> | undefined} What an object answers to whoever asks it to admit a request. */
let granted;

const gateObjects = (real) => ({
  idFromName: (name) => name,
  get: (name) => ({
    async fetch(url, init) {
      const { op } = JSON.parse(init.body);
      if (op !== "take") return new Response("{}");
      granted ??= real
        .get(real.idFromName(name))
        .fetch(url, init)
        .then((answer) => answer.text());
      return new Response(await granted);
    },
  }),
});

/** @type {object | undefined} */
let own;

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname === "/memory") {
      return Response.json(instances.map(({ exports }) => exports.memory.buffer.byteLength));
    }
    own ??= { ...env, KEY_GATE: gateObjects(env.KEY_GATE) };
    return gate.fetch(request, own, context);
  },
};
