// How much a tenant has of what it may have.

import type { Quota } from "../../types/admin-api.js";
import { useQuery } from "../cache.ts";
import { number } from "../format.tsx";
import { quotasQuery } from "../queries.ts";

const NEARLY = 0.8;

const size = (bytes: number) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${number(Math.round(bytes / 1e6))} MB`;

interface Counted {
  name: string;
  title: string;
  /** As it goes on after `3 of 10`. */
  what: string;
  shown: (value: number) => string;
}

/** Those of the quotas of which people make something on this page. */
const COUNTED: Counted[] = [
  { name: "keys", title: "Keys in use", what: "keys that are neither revoked nor expired", shown: number },
  { name: "keyBytes", title: "Room for settings of keys", what: "room for what is set on keys", shown: size },
  { name: "auditEntries", title: "Audit entries", what: "entries of the audit", shown: number },
];

const present = (quotas: Record<string, Quota>) =>
  COUNTED.flatMap((counted) => {
    const quota = quotas[counted.name];
    return quota ? [{ ...counted, ...quota, isNear: quota.used >= quota.limit * NEARLY }] : [];
  });

/** A line where something is made, if quotas are nearly used up. The form does not wait for it. */
export function QuotaNote() {
  const [quotas = {}] = useQuery(quotasQuery).pages;
  const nearly = present(quotas).filter(({ isNear }) => isNear);
  if (nearly.length === 0) return null;
  const lines = nearly.map(({ used, limit, what, shown }) => `${shown(used)} of ${shown(limit)} ${what}`);
  const isFull = nearly.some(({ used, limit }) => used >= limit);
  const verdict = isFull ? "There is no room for more" : "Nearly used up";
  return (
    <p class="warning" data-testid="quota-note">
      {verdict}: {lines.join("; ")}. The operator of this deployment can raise it.
    </p>
  );
}

/** Each of them, with how much of it is used. */
export function Quotas() {
  const [quotas = {}] = useQuery(quotasQuery).pages;
  return (
    <dl class="tiles">
      {present(quotas).map(({ name, title, used, limit, shown, isNear }) => (
        <div key={name} class={isNear ? "tile near" : "tile"}>
          <dt>{title}</dt>
          <dd>
            <strong>{shown(used)}</strong> <span class="faint">of {shown(limit)}</span>
            <meter min={0} max={limit} value={used} aria-label={title} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
