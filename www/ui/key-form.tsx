// The settings of a key as form controls, for creating one and for editing one. What is typed is a draft, which stays when
// the realm is changed, when the session ends, and when somebody else has changed the key meanwhile.

import type { ApiKey, Realm, TypedKeySettings } from "../../types/admin-api.js";
import { Problem } from "../api.ts";
import { isInherited } from "../format.tsx";
import { Addresses } from "./addresses.tsx";
import { AT_A_TIME, Expiry, type Lifetime, lifetimeOf, SUGGESTED } from "./expiry.tsx";
import { AreaField, Choice, FOCUS, Folded, Group, Select, TextField } from "./form.tsx";
import { type LimitDraft, LimitFields, limitDraft, limitOf } from "./limits.tsx";
import { Reach } from "./reach.tsx";
import { holdable, ScopePicker } from "./scopes.tsx";

/** What stands in the form. */
export interface Draft extends Lifetime {
  name: string;
  kind: ApiKey["kind"];
  scopes: string[];
  rateLimit: LimitDraft;
  allowedIps: string;
  allowedOrigins: string;
  tags: string;
  /** A line each: `name = value`; null where that cannot be written so. */
  metadata: string | null;
  testMode: boolean;
  strict: boolean;
}

/** The draft of an edit of a key, or of a new one. */
export const draftOf = (key?: ApiKey): Draft => ({
  name: key?.name ?? "",
  kind: key?.kind ?? "secret",
  scopes: key?.scopes ?? [],
  rateLimit: limitDraft(key?.rateLimit),
  allowedIps: (key?.allowedIps ?? []).join("\n"),
  allowedOrigins: (key?.allowedOrigins ?? []).join("\n"),
  ...(key ? { lifetime: key.expiresAt ? AT_A_TIME : "", expiresAt: key.expiresAt } : lifetimeOf(SUGGESTED)),
  tags: (key?.tags ?? []).join(", "),
  metadata: linesOf(key?.metadata),
  testMode: key?.testMode ?? false,
  strict: key?.strict ?? false,
});

const parts = (text: string, separator: string) =>
  text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean);

/** Metadata as lines; null where lines would say something else. */
function linesOf(metadata: ApiKey["metadata"] = {}) {
  const pairs = Object.entries(metadata);
  const isPlain = pairs.every(([, value]) => !/^\s|\s$|\n/.test(value));
  return isPlain ? pairs.map((pair) => pair.join(" = ")).join("\n") : null;
}

function metadataOf(lines: string) {
  const found = new Map<string, string>();
  for (const line of parts(lines, "\n")) {
    const at = line.indexOf("=");
    const name = line.slice(0, at).trim();
    if (at < 0 || found.has(name))
      throw new Problem({ status: 422 }).at("metadata", `must be one name = value a line; this is not: ${line}`);
    found.set(name, line.slice(at + 1).trim());
  }
  return Object.fromEntries(found);
}

/** What a draft says of a key. */
export const settingsOf = (draft: Draft): TypedKeySettings & { name: string } => ({
  name: draft.name,
  scopes: draft.scopes,
  rateLimit: limitOf((window) => draft.rateLimit[window]),
  allowedIps: parts(draft.allowedIps, "\n"),
  allowedOrigins: draft.kind === "publishable" ? parts(draft.allowedOrigins, "\n") : [],
  expiresAt: draft.expiresAt,
  tags: parts(draft.tags, ","),
  ...(draft.metadata !== null && { metadata: metadataOf(draft.metadata) }),
  testMode: draft.testMode,
  strict: draft.strict,
});

/** The draft of a new key, as far as a realm has what it says. */
export function fitted(draft: Draft, realm: Realm): Draft {
  const known = holdable(realm.scopes);
  return {
    ...draft,
    scopes: draft.scopes.filter((scope) => realm.scopes.length > 0 && known.has(scope)),
    kind: realm.publishable ? draft.kind : "secret",
    strict: draft.strict && realm.freshnessSeconds !== 0,
  };
}

/** What an edit changes: the fields of a draft that say something else than the key. */
export function changes(key: ApiKey, draft: Draft): TypedKeySettings {
  const before = new Map(Object.entries(settingsOf(draftOf(key))));
  return Object.fromEntries(
    Object.entries(settingsOf(draft)).filter(([name, value]) => comparable(value) !== comparable(before.get(name))),
  );
}

// Lists of a key are sets: their order says nothing.
const comparable = (value: unknown) => JSON.stringify(Array.isArray(value) ? [...value].sort() : (value ?? null));

/** What the fields of a draft are called. */
const LABELS: Partial<Record<keyof Draft, string>> = {
  name: "Name",
  scopes: "Scopes",
  rateLimit: "Rate limit",
  allowedIps: "Allowed addresses",
  allowedOrigins: "Allowed origins",
  expiresAt: "Expires",
  tags: "Tags",
  metadata: "Metadata",
  testMode: "Test key",
  strict: "Strict",
};

/**
 * A draft that was begun on an older version of its key, on the present one: what was changed in it stays, all else is as
 * the key is now. `overlap` names the fields that both changed.
 */
export function rebased(draft: Draft, older: ApiKey, now: ApiKey) {
  const begun = draftOf(older);
  const theirs = draftOf(now);
  const isOther = (one: unknown, other: unknown) => comparable(one) !== comparable(other);
  const names = Object.keys(draft) as (keyof Draft)[];
  const isMine = (name: keyof Draft) => isOther(draft[name], begun[name]);
  // How a time was chosen belongs to the time.
  const mine = names.filter((name) => isMine(name === "lifetime" ? "expiresAt" : name));
  const merged: Draft = { ...theirs, ...Object.fromEntries(mine.map((name) => [name, draft[name]])) };
  const both = mine.filter((name) => isOther(theirs[name], begun[name]) && isOther(theirs[name], draft[name]));
  const overlap = both.flatMap((name) => {
    const label = LABELS[name];
    return label ? [{ label, theirs: inWords(theirs[name]) }] : [];
  });
  return { draft: merged, overlap };
}

function inWords(value: Draft[keyof Draft]) {
  if (value === null || value === "") return "nothing";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  const list = Array.isArray(value) ? value : Object.values(value);
  return list.filter(Boolean).join(", ") || "nothing";
}

interface SettingsProps {
  draft: Draft;
  onChange: (changed: Partial<Draft>) => void;
  /** What the policy says; nothing, where it no longer names the key's realm. */
  realm: Realm | undefined;
  /** Of an edit, which cannot change the kind. */
  of?: ApiKey;
  /** What the key may do is for others to change. */
  onlyNames?: boolean;
}

export function KeySettings({ draft, onChange: set, realm, of: key, onlyNames }: SettingsProps) {
  const typed = (name: "name" | "tags" | "metadata" | "allowedOrigins") => ({
    name,
    value: draft[name] ?? "",
    onInput: ({ currentTarget }: { currentTarget: { value: string } }) => set({ [name]: currentTarget.value }),
  });
  // Nothing to pick from, in a realm without scopes.
  const catalogue = realm?.scopes ?? [];
  const hasScopes = catalogue.length > 0 || Boolean(key?.scopes.length);
  const ownPrefix = realm?.keyPrefixes.test;
  const isPublishable = draft.kind === "publishable";
  const kind = (value: Draft["kind"], label: string, hint: string) => (
    <Choice
      type="radio"
      name="kind"
      value={value}
      label={label}
      hint={hint}
      checked={draft.kind === value}
      onChange={() => set({ kind: value })}
    />
  );

  const rights = (
    <>
      {!key && realm?.publishable && (
        <Group name="kind" legend="Kind">
          {kind("secret", "Secret", "For servers. Never put it into a web page or an app.")}
          {kind(
            "publishable",
            "Publishable",
            "For web pages: works only on the routes that allow it, and from the origins listed here.",
          )}
        </Group>
      )}
      {(!key || isPublishable) && (
        <AreaField
          label="Allowed origins"
          hint="One per line, such as https://shop.example.com."
          hidden={!isPublishable}
          {...typed("allowedOrigins")}
        />
      )}
      {hasScopes && <ScopePicker catalogue={catalogue} picked={draft.scopes} onChange={(scopes) => set({ scopes })} />}
      {realm && !onlyNames && <Reach realm={realm} draft={draft} onChange={(scopes) => set({ scopes })} />}
      <Expiry value={draft} set={set} hasNever />
      <Addresses value={draft.allowedIps} onChange={(allowedIps) => set({ allowedIps })} />
      <Folded title="More settings" isOpen={key !== undefined && isUnusual(key)}>
        <LimitFields draft={draft.rateLimit} limits={realm?.limits} onChange={(rateLimit) => set({ rateLimit })} />
        <Group name="testMode" legend="Mode">
          <Choice
            type="checkbox"
            name="testMode"
            value="true"
            label="Test key"
            hint={testModeHint(ownPrefix, key)}
            checked={draft.testMode}
            disabled={Boolean(key && ownPrefix)}
            onChange={(testMode) => set({ testMode })}
          />
          {/* A realm may be strict itself: then there is nothing to choose. */}
          {realm?.freshnessSeconds !== 0 && (
            <Choice
              type="checkbox"
              name="strict"
              value="true"
              label="Strict"
              hint="Every request checks that the key is still valid: revoking it takes effect with the very next one. Takes a little longer."
              checked={draft.strict}
              onChange={(strict) => set({ strict })}
            />
          )}
        </Group>
        {draft.metadata !== null && (
          <AreaField label="Metadata" hint="Your own, one a line, such as owner = team-7." {...typed("metadata")} />
        )}
      </Folded>
    </>
  );

  return (
    <div class="fields beside">
      <TextField
        label="Name"
        hint="What uses this key, so that you know what stops working when you revoke it."
        aria-required
        {...typed("name")}
        {...(!key && FOCUS)}
      />
      {onlyNames ? (
        <fieldset class="fields" disabled>
          {rights}
        </fieldset>
      ) : (
        rights
      )}
      <TextField label="Tags" hint="Separated by commas." {...typed("tags")} />
    </div>
  );
}

/** Whether something is set of what is folded. */
const isUnusual = ({ rateLimit, testMode, strict, metadata }: ApiKey) =>
  !isInherited(rateLimit) || testMode || strict || linesOf(metadata) !== "";

function testModeHint(ownPrefix: string | null | undefined, key: ApiKey | undefined) {
  const what = "For testing: restricted as the policy says.";
  if (!ownPrefix) return what;
  return key ? `${what} Cannot be changed: its prefix says which it is.` : `${what} Begins with ${ownPrefix}.`;
}

interface RealmFieldProps {
  realms: Realm[];
  value: string;
  onChange: (realm: Realm) => void;
}

/** A select of realms; nothing where there is only one. */
export function RealmField({ realms, value, onChange }: RealmFieldProps) {
  if (realms.length < 2) return null;
  return (
    <div class="field" data-field="realm">
      <label for="realm">Realm</label>
      <Select
        id="realm"
        name="realm"
        options={realms.map(({ id }) => [id, id] as const)}
        value={value}
        onChange={(chosen) => {
          const realm = realms.find(({ id }) => id === chosen);
          if (realm) onChange(realm);
        }}
      />
      <p class="hint">The API that the key is for.</p>
      <p class="error" />
    </div>
  );
}
