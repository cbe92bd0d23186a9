// Counts what a contestant asks for: reads of KV and calls of objects. Never part of a timed run.
import contestant from "./contestant.js";

export * from "./contestant.js";

const counts = { kv: 0, objects: 0, requests: 0 };

const counted = (namespace) => ({
  idFromName: (name) => namespace.idFromName(name),
  get: (id) => {
    const stub = namespace.get(id);
    return {
      fetch: (...call) => {
        counts.objects += 1;
        return stub.fetch(...call);
      },
    };
  },
});

function countingEnv(env) {
  const { KEYS } = env;
  const own = { ...env };
  if (KEYS) {
    own.KEYS = {
      get: (...call) => {
        counts.kv += 1;
        return KEYS.get(...call);
      },
    };
  }
  for (const name of ["KEY_GATE", "RELAY", "COUNTER"]) if (env[name]) own[name] = counted(env[name]);
  return own;
}

/** @type {object | undefined} */
let own;

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname === "/counts") {
      const answer = Response.json(counts);
      counts.kv = counts.objects = counts.requests = 0;
      return answer;
    }
    counts.requests += 1;
    own ??= countingEnv(env);
    return contestant.fetch(request, own, context);
  },
};
