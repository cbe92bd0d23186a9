// A crowd that is made up: calls to a key's object that say they come from a hundred isolates.

import { sleep } from "./traffic.mjs";
import { waitFor } from "./wait.mjs";

/** @import { Gate } from "./gate.mjs" */

const CROWD = 100;
/** @type {Set<() => Promise<void>>} */
const crowds = new Set();

/**
 * Makes the key's object believe in a crowd, until the function that it resolves to is called.
 * @param {Gate} gate
 * @param {string} key
 */
export async function gather(gate, key) {
  const name = gate.objectName(key);
  const { version } = (await gate.objects.call("KeyGate", name, { op: "find" })).record;
  const take = (/** @type {object} */ more) => gate.objects.call("KeyGate", name, { op: "take", version, ...more });
  const all = () => Promise.all(Array.from({ length: CROWD }, (_, asker) => take({ asker: asker + 1 })));
  // Within one second by the object's clock, however long this machine takes.
  await gate.whileObjectsStand(() => waitFor("a crowd", async () => (await all()).some(({ via }) => via.relay)));
  let isOver = false;
  const going = (async () => {
    while (!isOver) {
      await take({ asker: 1, isolates: CROWD });
      await sleep(1_000);
    }
  })();
  const leave = async () => {
    isOver = true;
    crowds.delete(leave);
    await going;
  };
  crowds.add(leave);
  return leave;
}

/** Ends every crowd. */
export async function scatter() {
  await Promise.all([...crowds].map((leave) => leave()));
}
