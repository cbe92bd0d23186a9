// The gate, and behind it the app: one Worker.

import { keyward } from "keyward";
import policy from "./.keyward/policy.json" with { type: "json" };
import app from "./app.js";

export { KeyGate, Registry, Relay } from "keyward";
export default keyward(policy, { origin: { app } });
