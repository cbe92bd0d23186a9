// The gate as a Worker. What it protects, and how, stands in keyward.toml.

import { keyward } from "keyward";
// Answers with what it received. Your own takes its place: see `origin` in keyward.toml.
import demo from "keyward/demo";
import policy from "./.keyward/policy.json" with { type: "json" };

export { KeyGate, Registry, Relay } from "keyward";
export default keyward(policy, { origin: { demo } });
