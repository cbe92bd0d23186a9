// An entry of the audit as a sentence: who did what to what, and what that changed.

import type { AuditEntry } from "../../types/admin-api.js";
import { ActorName, Ago, jsonText, Typed } from "../format.tsx";
import { keyPage } from "../paths.ts";
import { Link } from "./parts.tsx";

/** What an action is in words. One that is not here is shown as it is. */
const WORDS: Record<string, string> = {
  "audit.leftOut": "left out entries that were too many for a day",
  "backup.read": "read a backup",
  "backup.restore": "restored the backup",
  "invitation.accept": "accepted an invitation",
  "invitation.create": "invited",
  "invitation.delete": "ended the invitation of",
  "key.cancel": "took back key",
  "key.create": "created key",
  "key.edit": "changed key",
  "key.found": "found, after a restore, key",
  "key.import": "imported key",
  "key.pause": "paused key",
  "key.replay": "got once more the answer with key",
  "key.resume": "resumed key",
  "key.revoke": "revoked key",
  "key.rotate": "rotated key",
  "link.create": "created link",
  "member.create": "added",
  "member.delete": "removed",
  "member.edit": "changed",
  "member.reset": "made a link for a new password for",
  "passkey.create": "added a passkey",
  "passkey.delete": "removed a passkey",
  recovery: "recovered the account of",
  "session.create": "signed in",
  "session.delete": "signed out",
  "session.end": "ended a session of",
  "session.refused": "failed to sign in",
  "session.stepUp": "confirmed the password",
  setup: "set up Keyward",
  "tenant.create": "created tenant",
  "tenant.edit": "changed tenant",
  "tenant.endSessions": "ended all sessions of tenant",
};

export type Names = Record<string, string>;

interface SentenceProps {
  entry: AuditEntry;
  /** What ids are called. */
  names: Names;
}

/** Entries about this, or (`actor`) by this person or key. */
export const auditOf = (id: string, by: "object" | "actor" = "object") => `/audit?${new URLSearchParams({ [by]: id })}`;

/** `Ada revoked key Billing …1a2b: “leaked”` */
export function Sentence({ entry: { actor, action, target, before, after }, names }: SentenceProps) {
  const who = actor.id ?? actor.email;
  const isOwn = target === "" || target === actor.id;
  const reason = action === "key.revoke" && after?.revokeReason;
  return (
    <>
      {who ? (
        <Link class="name" to={auditOf(who, "actor")}>
          <ActorName actor={actor.email ? actor : { ...actor, email: names[who] ?? null }} />
        </Link>
      ) : (
        <ActorName actor={actor} />
      )}{" "}
      {WORDS[action] ?? <code>{action}</code>}{" "}
      {!isOwn && (
        <Link to={target.startsWith("key_") ? keyPage(target) : auditOf(target)}>
          <Target id={target} name={names[target] ?? after?.name ?? after?.email ?? before?.name ?? before?.email} />
        </Link>
      )}
      {reason && (
        <>
          : “<Typed>{String(reason)}</Typed>”
        </>
      )}
    </>
  );
}

/** An entry in a line. */
export const ChangeRow = ({ entry, names }: SentenceProps) => (
  <li data-testid="change-row">
    <div>
      <Sentence entry={entry} names={names} />
      {entry.before && entry.after && <Change entry={entry} />}
    </div>
    <div class="aside">
      <Ago at={entry.time} />
    </div>
  </li>
);

function Target({ id, name }: { id: string; name: unknown }) {
  if (typeof name !== "string") return <code>{id}</code>;
  // Of a key, with its last four characters.
  const [, own, last4] = /^(.+) (\u2026\S{4})$/s.exec(name) ?? [null, name];
  return (
    <>
      <Typed>{own}</Typed>
      {last4 && <code> {last4}</code>}
    </>
  );
}

/** Of no interest: they change with everything, or the sentence says so. */
const LEFT_OUT = new Set(
  "createdAt createdBy effectiveRateLimit id importedAt pausedAt revokedAt revokedBy revokeReason tenantId updatedAt version".split(
    " ",
  ),
);

type View = AuditEntry["before"];

/** The fields of a view; what is in an object as `rateLimit perMinute`. */
const fieldsOf = (view: View, before = ""): [string, unknown][] =>
  Object.entries(view ?? {}).flatMap(([name, value]): [string, unknown][] => {
    if (LEFT_OUT.has(name)) return [];
    const isView = value !== null && typeof value === "object" && !Array.isArray(value);
    return isView ? fieldsOf(value as View, `${before}${name} `) : [[before + name, value]];
  });

const isNothing = (value: unknown) => value === undefined || value === null || String(value) === "";

const text = (value: unknown) => (isNothing(value) ? <span class="faint">none</span> : jsonText(value));

/** `perMinute` in words. */
const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** What an entry changed, folded: `rate limit per minute: 600 → 5`, and of a list what was added and removed. */
export function Change({ entry: { action, before, after } }: { entry: AuditEntry }) {
  const [old, now] = [new Map(fieldsOf(before)), new Map(fieldsOf(after))];
  const changed = [...new Set([...old.keys(), ...now.keys()])].filter((name) => {
    const [was, is] = [old.get(name), now.get(name)];
    if (name === "status" && action.startsWith("key.")) return false;
    return JSON.stringify(was) !== JSON.stringify(is) && !(isNothing(was) && isNothing(is));
  });
  if (changed.length === 0) return null;
  const isEdit = before !== null && after !== null;
  const ofWhole = before ? "as it was" : "as made";
  return (
    <details>
      <summary>{isEdit ? changed.map(words).join(", ") : ofWhole}</summary>
      <ul class="diff">
        {changed.map((name) => (
          <li key={name}>
            {words(name)}: <Difference was={old.get(name)} is={now.get(name)} isEdit={isEdit} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function Difference({ was, is, isEdit }: { was: unknown; is: unknown; isEdit: boolean }) {
  if (!isEdit) return text(isNothing(was) ? is : was);
  if (Array.isArray(was) && Array.isArray(is))
    return (
      <>
        {was
          .filter((one) => !is.includes(one))
          .map((one) => (
            <del key={one}>− {jsonText(one)} </del>
          ))}
        {is
          .filter((one) => !was.includes(one))
          .map((one) => (
            <ins key={one}>+ {jsonText(one)} </ins>
          ))}
      </>
    );
  return (
    <>
      <del>{text(was)}</del> → <ins>{text(is)}</ins>
    </>
  );
}
