// One key: everything about it, and what can be done with it.

import { get, post } from "../api.js";
import { deadline } from "../deadline.js";
import { ask } from "../dialog.js";
import { button, fill, h, link } from "../dom.js";
import { field, input } from "../form.js";
import { jsonText, keyText, limits, plural, relative, time } from "../format.js";
import { keyApi, keyPage } from "../paths.js";
import { heading } from "../router.js";
import { held } from "../scopes.js";
import { may, mayWrite, realms } from "../session.js";
import { actorName, facts, scopeChips, statusBadge } from "./parts.js";

/** @import { ApiKey, KeyAction, Realm } from "../../types/admin-api.js" */
/** @import { Address, View } from "../router.js" */

/**
 * What an edit leaves behind for the view that comes after it: which key, and when the change holds everywhere.
 * @type {{ current: { id: string, iso: string } | null }}
 */
export const edited = { current: null };

/**
 * @param {Address} address
 * @returns {Promise<View>}
 */
export async function keyView({ params }) {
  const [{ apiKey: key }, known] = await Promise.all([get(keyApi(params.id)), realms()]);
  const statement = h("div");
  const rest = h("div", { class: "stack" });

  /** @param {ApiKey} key as it is now */
  function show(key) {
    const realm = known.find(({ id }) => id === key.realm);
    fill(
      rest,
      header(key, realm, () => revoke(key)),
      details(key, realm, known.length > 1),
    );
  }

  /** @param {ApiKey} key */
  async function revoke(key) {
    const revoked = await askToRevoke(key);
    if (!revoked) return;
    const { apiKey, refusedEverywhereBy } = revoked.answer;
    show(apiKey);
    const by = deadline("Refused everywhere by", refusedEverywhereBy, "the key works nowhere any more", "refused-by");
    fill(statement, by);
    by.focus();
  }

  show(key);
  if (edited.current?.id === key.id) {
    fill(
      statement,
      deadline("Saved. In effect everywhere by", edited.current.iso, "the change holds everywhere", "effective-by"),
    );
  }
  edited.current = null;
  return { title: key.name, node: [h("p", { class: "crumbs" }, link("/keys", "Keys")), statement, rest] };
}

/**
 * @param {ApiKey} key
 * @param {Realm | undefined} realm
 * @param {() => Promise<void>} revoke
 */
function header(key, realm, revoke) {
  const path = keyPage(key.id);
  /** @type {KeyAction[]} */
  const actions = ["rotate", "revoke"];
  const forOwners = actions
    .filter((action) => mayWrite() && !may(action, realm))
    .map((action) => `Only owners can ${action} it. `);
  return h(
    "div",
    { class: "title" },
    h(
      "div",
      null,
      heading(key.name),
      h("p", { class: "under" }, statusBadge(key), h("code", null, keyText(key))),
      forOwners.length > 0 && h("p", { class: "hint" }, forOwners),
    ),
    mayWrite() &&
      key.status !== "REVOKED" &&
      h(
        "div",
        { class: "actions" },
        link(`${path}/edit`, "Edit", { class: "button" }),
        key.status === "ACTIVE" && may("rotate", realm) && link(`${path}/rotate`, "Rotate", { class: "button" }),
        may("revoke", realm) && button("Revoke key", revoke, { class: "danger" }),
      ),
  );
}

/**
 * @param {ApiKey} key
 * @param {Realm | undefined} realm
 * @param {boolean} severalRealms
 */
function details(key, realm, severalRealms) {
  const implied = realm ? [...held(realm.scopes, key.scopes)].filter((scope) => !key.scopes.includes(scope)) : [];
  const inherits = key.rateLimit.perMinute === null && key.rateLimit.perDay === null;
  const list = (/** @type {string[]} */ values, /** @type {string} */ none) =>
    values.length > 0 ? values.map((value) => h("div", null, h("code", null, value))) : none;
  return [
    facts(
      (key.scopes.length > 0 || Boolean(realm?.scopes.length)) && [
        "Scopes",
        scopeChips(key.scopes),
        implied.length > 0 && h("p", { class: "hint" }, `Includes ${implied.join(", ")}.`),
      ],
      ["Rate limit", limits(key.effectiveRateLimit), inherits && h("span", { class: "faint" }, " inherited")],
      ["Kind", key.kind === "publishable" ? "Publishable, for web pages" : "Secret, for servers"],
      ["Mode", key.testMode ? "Test" : "Live"],
      severalRealms && ["Realm", key.realm],
      realm && ["Revoking it", "takes effect ", whenItCounts(key, realm)],
      ["Allowed addresses", list(key.allowedIps, "Every address")],
      key.kind === "publishable" && ["Allowed origins", list(key.allowedOrigins, "None: the key works nowhere")],
      ["Expires", time(key.expiresAt), key.expiresAt && [" (", relative(key.expiresAt), ")"]],
      key.revokedAt !== null && ["Revoked", time(key.revokedAt)],
      key.revokeReason !== null && ["Why", key.revokeReason],
      ["Last used", relative(key.lastUsedAt)],
      ["Created", time(key.createdAt), " by ", actorName(key.createdBy)],
      ["Changed", time(key.updatedAt), ` (version ${key.version})`],
      key.rotatedFrom !== null && ["Replaces", keyLink(key.rotatedFrom)],
      key.rotatedTo !== null && ["Replaced by", keyLink(key.rotatedTo)],
      key.tags.length > 0 && [
        "Tags",
        h(
          "div",
          { class: "chips" },
          key.tags.map((tag) => h("span", { class: "chip" }, tag)),
        ),
      ],
      Object.keys(key.metadata).length > 0 && ["Metadata", h("pre", null, jsonText(key.metadata, 2))],
      ["Id", h("code", null, key.id)],
    ),
  ];
}

/**
 * @param {ApiKey} key
 * @param {Realm} realm
 */
const whenItCounts = (key, { freshnessSeconds: within }) =>
  key.strict || within === 0 ? "with the very next request" : `everywhere within ${plural(within, "second")}`;
const keyLink = (/** @type {string} */ id) => link(keyPage(id), id);

/** @param {ApiKey} key */
function askToRevoke(key) {
  const reason = input("reason");
  return ask(
    {
      title: `Revoke ${key.name}?`,
      submit: "Revoke key",
      danger: true,
      onsubmit: () => post(`${keyApi(key.id)}/revoke`, reason.value.trim() ? { reason: reason.value.trim() } : {}),
    },
    h(
      "p",
      null,
      "Requests with ",
      h("code", null, keyText(key)),
      " will be refused everywhere, for good. This cannot be undone.",
    ),
    field("Reason (optional)", reason, "Kept in the audit log."),
  );
}
