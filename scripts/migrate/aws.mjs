// Makes a file for `POST /api-keys/import` of keys of AWS API Gateway (docs/migrating/aws.md has the commands that export them):
//   node scripts/migrate/aws.mjs aws-export --scope "Basic=orders:read" > keys.ndjson
// The folder has api-keys.json, usage-plans.json, and usage-plan-keys/PLAN-ID.json of each plan.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { ImportFile, readExport, records, timeOf } from "../lib/import_file.mjs";
import { Failure, runMain } from "../lib/progress.mjs";

const USAGE = "node scripts/migrate/aws.mjs FOLDER [--scopes A,B] [--scope PLAN=A,B]… [--prefix P]… [--realm ID]";

/** @typedef {{ id: string, name: string, throttle?: any, quota?: any, apiStages?: any[] }} Plan */

await runMain(() => {
  const file = new ImportFile(USAGE);
  const items = (/** @type {string} */ path) => {
    const whole = join(file.from, path);
    const page = readExport(whole, (text) => JSON.parse(text));
    if (page?.NextToken ?? page?.position)
      throw new Failure(
        `${whole} is not all: it says that there is more`,
        "Export without --max-items and --no-paginate.",
      );
    return records(page?.items, `"items" in ${whole}`);
  };
  /** @type {Plan[]} */
  const plans = items("usage-plans.json");
  /** @type {Map<string, Plan[]>} Plans by the ids of their keys. */
  const plansOf = new Map();
  for (const plan of plans) {
    const path = join("usage-plan-keys", `${plan.id}.json`);
    if (!existsSync(join(file.from, path)))
      throw new Failure(
        `${join(file.from, path)} is not there: the keys of the plan ${plan.name}`,
        `aws apigateway get-usage-plan-keys --usage-plan-id ${plan.id} > ${join(file.from, path)}`,
      );
    for (const { id } of items(path)) plansOf.set(id, [...(plansOf.get(id) ?? []), plan]);
  }
  for (const key of items("api-keys.json")) add(file, key, plansOf.get(key.id) ?? []);
  file.print();
});

/**
 * @param {ImportFile} file
 * @param {any} key
 * @param {Plan[]} plans
 */
function add(file, key, plans) {
  const where = `${key.name ?? "a key"} (${key.id})`;
  if (typeof key.value !== "string") throw new Failure(`${where} has no value`, "Export with --include-values.");
  if (!key.enabled) return file.leave(where, "disabled there");
  const [plan, ...others] = plans;
  if (!plan) return file.leave(where, "in no usage plan, so it opens nothing there");
  if (others.length)
    throw new Failure(
      `${where} is in several plans: ${plans.map(({ name }) => name).join(", ")}`,
      "A key has one limit here. Take it out of the files in usage-plan-keys/ of all but one.",
    );
  if (plan.apiStages?.some((stage) => stage.throttle)) file.lose(plan.name, "limits of single methods");
  file.add(
    where,
    { key: key.value },
    {
      name: key.name || key.id,
      scopes: file.scopesOf([plan.name]),
      createdAt: key.createdDate
        ? timeOf(typeof key.createdDate === "number" ? key.createdDate * 1000 : key.createdDate, where)
        : undefined,
      rateLimit: limitsOf(file, plan),
      metadata: JSON.parse(
        JSON.stringify({
          ...key.tags,
          usagePlan: plan.name,
          customerId: key.customerId,
          description: key.description || undefined,
        }),
      ),
    },
  );
}

/**
 * What a plan limits. A token bucket lets `burst + rate × seconds` requests through in any span: with that in the windows, nothing is
 * refused that passed there.
 * @param {ImportFile} file
 * @param {Plan} plan
 */
function limitsOf(file, { name, throttle, quota }) {
  /** @type {Record<string, number>} */
  const limits = {};
  if (throttle?.rateLimit) {
    const within = (/** @type {number} */ seconds) =>
      Math.ceil((throttle.burstLimit ?? 0) + throttle.rateLimit * seconds);
    limits.perSecond = within(1);
    limits.perMinute = within(60);
  }
  if (quota?.period === "DAY") limits.perDay = quota.limit;
  else if (quota?.period === "MONTH") limits.perMonth = quota.limit;
  else if (quota) file.lose(name, `a quota of a ${String(quota.period).toLowerCase()}`);
  return Object.keys(limits).length ? limits : undefined;
}
