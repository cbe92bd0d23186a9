// What wrangler.toml still has to say before the gate can be deployed, or run with a policy.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./places.mjs";
import { realmsOf } from "./policy.mjs";

const DEMO = "DemoOrigin";

/** What stands behind a realm: `url`; or `service`, which is undefined if wrangler.toml has no such binding; `isDemo`. */
export function originOf(realm, config) {
  const { url, binding } = realm.origin ?? {};
  if (url) return { url, isDemo: false };
  const service = config.services?.find((entry) => entry.binding === binding);
  return { binding, service, isDemo: service?.entrypoint === DEMO };
}

/** wrangler.toml, as it is written. */
export async function readConfig() {
  // Set-up installs it, and may run in the same process before.
  const { parse } = await import("smol-toml");
  return parse(readFileSync(join(root, "wrangler.toml"), "utf8"));
}

/** What a deployment with these policies would lack, a line each. */
export async function openEnds(policies) {
  const config = await readConfig();
  const lines = [];
  for (const realm of realmsOf(policies)) {
    const { url, binding, service, isDemo } = originOf(realm, config);
    if (isDemo) lines.push(`the origin of realm ${realm.id} is the demo, which is not deployed: name your Worker in [[services]] of wrangler.toml, or a url in the policy.`);
    else if (!url && !service) lines.push(`the origin of realm ${realm.id} is the binding ${binding}, which wrangler.toml does not have: add it under [[services]].`);
  }
  if (config.kv_namespaces?.some(({ id = "" }) => /^0*$/.test(id))) {
    lines.push("the KV namespace has no id yet: npx wrangler kv namespace create KEYS, and put the id into wrangler.toml.");
  }
  if (!config.routes && !config.route && !config.workers_dev) lines.push("no routes: nothing reaches the Worker until wrangler.toml lists some.");
  return lines;
}
