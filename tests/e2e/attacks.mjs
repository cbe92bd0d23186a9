// What the tests of attacks on the gate share.

import assert from "node:assert/strict";

/** @import { RequestToSend } from "../../types/e2e.js" */
/** @import { Gate } from "./harness/gate.mjs" */

/**
 * Requests to a guarded path of the gate that is there when they are sent: `ask` sends one, and `stopped` makes sure, too,
 * that it is refused and that the origin does not see it.
 * @param {() => Gate} gate
 */
export function attacker(gate) {
  const ask = (/** @type {RequestToSend} */ request) => gate().send({ target: "/api/orders", ...request });

  async function stopped(/** @type {RequestToSend} */ request, statuses = [400, 401, 403, 404]) {
    const answer = await ask(request);
    assert.ok(statuses.includes(answer.status), `${JSON.stringify(request)}: ${answer.status} ${answer.text}`);
    assert.equal(gate().origin.requests.length, 0, `the origin saw ${JSON.stringify(request)}`);
    return answer;
  }

  return { ask, stopped };
}
