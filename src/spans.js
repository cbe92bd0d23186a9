// Spans of the gate's own in Cloudflare's traces, for what is waited for. Without tracing (wrangler.toml) they are recorded nowhere.

import * as platform from "cloudflare:workers";

/**
 * Does this within a span.
 * @template Value
 * @param {string} name
 * @param {() => Value} work
 * @returns {Value}
 */
export const inSpan = (name, work) => (platform.tracing ? platform.tracing.enterSpan(name, work) : work());
