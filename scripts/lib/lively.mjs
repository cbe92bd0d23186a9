// Made-up data for the pictures of the admin page: keys, people, tenants, and a month of requests.

import { waitFor } from "../../tests/e2e/harness/wait.mjs";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const DAYS = 29;

const KEYS = [
  { name: "Warehouse sync", scopes: ["orders:read", "orders:write"], tags: ["warehouse", "team-logistics"] },
  { name: "Mobile app, staging", scopes: ["orders:read"], testMode: true, tags: ["mobile"] },
  { name: "Invoice export", scopes: ["orders:read"], rateLimit: { perMinute: 60, perDay: 5_000 }, expiresInDays: 12 },
  { name: "Partner: Northwind", scopes: ["orders:*"], allowedIps: ["203.0.113.0/24"], tags: ["partner"] },
  { name: "Nightly report", scopes: ["orders:read"], expiresInDays: 90, isRotated: true },
  { name: "Old web shop", scopes: ["orders:read", "orders:write"], isRevoked: true },
  { name: "متجر الرياض", scopes: ["orders:read"], tags: ["riyadh"] },
  { name: "Support tool", scopes: ["orders:read"], tags: ["support"] },
];

/** Requests of a quiet hour with each key. The last ones are of no key. */
const CALLS = [
  { name: "Warehouse sync", method: "POST", count: 9 },
  { name: "Warehouse sync", count: 6 },
  { name: "Mobile app, staging", count: 2 },
  { name: "Invoice export", count: 8 },
  { name: "Nightly report", count: 3 },
  { name: "Support tool", count: 2 },
  { name: "Support tool", method: "POST", count: 1 },
  { name: "متجر الرياض", count: 3 },
  { name: "Partner: Northwind", count: 1 },
  { name: "Old web shop", count: 1 },
  { key: "", count: 1 },
  { key: "kw_live_8wJq2rT5mZx1cV7bN4pLkH9dSf3gYa6eUo0i", count: 2 },
];

/** Fills a gate, and answers with the keys that the pictures are of. */
export async function fill(gate) {
  await gate.setClock(-DAYS * DAY_MS);
  const owner = await gate.owner();
  await owner.stepUp();
  /** @type {Record<string, string>} */
  const texts = {};
  const made = [];
  let replaced;
  for (const { isRevoked, isRotated, expiresInDays, ...fields } of KEYS.toReversed()) {
    const expiresAt = expiresInDays && new Date(Date.now() + expiresInDays * DAY_MS).toISOString();
    const { apiKey, plaintextKey } = await owner.createKey({ ...fields, ...(expiresAt && { expiresAt }) });
    if (isRevoked) await owner.revoke(apiKey.id, "Found in a public repository");
    if (isRotated) {
      await owner.rotate(apiKey.id, { revokeOld: false });
      replaced = apiKey;
    }
    texts[fields.name] = plaintextKey;
    made.push(apiKey);
  }
  for (const [name, role] of [
    ["nadia", "admin"],
    ["tom", "viewer"],
  ]) {
    await owner.must("POST", "/members", { email: `${name}@example.com`, role, password: "a long first password" });
  }
  await owner.must("POST", "/tenants", {
    name: "Northwind",
    plan: "pro",
    rateLimit: { perMinute: 1_000, perDay: null },
  });
  await owner.must("POST", "/tenants", { name: "Contoso" });
  await requests(gate, texts);
  return { key: made.at(-1), replaced };
}

/** A month of them, the last day by the hour. */
async function requests(gate, texts) {
  const hours = Array.from({ length: 24 }, (_, hour) => hour * HOUR_MS);
  const days = Array.from({ length: DAYS - 1 }, (_, day) => (day + 1) * DAY_MS + HOUR_MS);
  for (const [turn, ago] of [...days.reverse(), ...hours.reverse()].entries()) {
    await gate.setClock(-ago);
    // More by day, and on weekdays; now and then much more.
    const at = new Date(gate.now());
    const ofHour = 0.4 + 0.4 * Math.sin(((at.getUTCHours() - 9) / 12) * Math.PI);
    const ofDay = at.getUTCDay() % 6 === 0 ? 4 : 9;
    const busy = (ago > DAY_MS ? ofDay : ofHour) * (turn % 11 === 7 ? 1.4 : 1);
    await Promise.all(
      CALLS.flatMap(({ name, key, method = "GET", count }) => {
        const text = name ? texts[name] : key;
        const send = () =>
          gate.send({
            method,
            target: "/api/orders",
            headers: { "CF-Connecting-IP": "198.51.100.7", ...(text && { Authorization: `Bearer ${text}` }) },
          });
        return Array.from({ length: Math.round(count * busy) }, send);
      }),
    );
  }
  await gate.setClock(0);
}

/** Until what was sent is told. What belongs to no key comes last. */
export async function told(gate) {
  const owner = await gate.admin().signIn();
  const isTold = async () => {
    const { points } = await owner.must("GET", "/usage?scope=deployment");
    return points.some(({ unattributed }) => unattributed.INVALID_API_KEY > 0);
  };
  await waitFor("what was sent to be told", isTold, { everyMs: 1_000 });
}
