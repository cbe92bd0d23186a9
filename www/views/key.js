// One key: everything about it, and what can be done with it.

import { call, post } from "../api.js";
import { deadline } from "../deadline.js";
import { ask } from "../dialog.js";
import { button, fill, h, link } from "../dom.js";
import { field, input } from "../form.js";
import { jsonText, keyText, limits, plural, relative, time } from "../format.js";
import { heading } from "../router.js";
import { held } from "../scopes.js";
import { may, mayWrite, realms } from "../session.js";
import { actorName, facts, scopeChips, statusBadge } from "./parts.js";

/** What an edit leaves behind for the view that comes after it: `{id, iso}`. */
export const edited = { current: null };

export async function keyView({ params }) {
  const path = `/api-keys/${encodeURIComponent(params.id)}`;
  const [{ data }, known] = await Promise.all([call("GET", path), realms()]);
  const statement = h("div");
  const rest = h("div", { class: "stack" });

  function show(key) {
    const realm = known.find(({ id }) => id === key.realm);
    fill(rest, header(key, realm, revoke), details(key, realm, known.length > 1));
  }

  async function revoke(key) {
    const answer = await askToRevoke(key);
    if (!answer) return;
    show(answer.apiKey);
    fill(
      statement,
      deadline("Refused everywhere by", answer.refusedEverywhereBy, "the key works nowhere any more", "refused-by"),
    );
    statement.firstChild.focus();
  }

  const key = data.apiKey;
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

function header(key, realm, revoke) {
  const path = `/keys/${encodeURIComponent(key.id)}`;
  const forOwners = Object.entries({ rotate: "Rotating", revoke: "Revoking" })
    .filter(([action]) => mayWrite() && !may(action, realm))
    .map(([, doing]) => `${doing} it is for owners. `);
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
        may("revoke", realm) && button("Revoke key", () => revoke(key), { class: "danger" }),
      ),
  );
}

function details(key, realm, severalRealms) {
  const implied = realm ? [...held(realm.scopes, key.scopes)].filter((scope) => !key.scopes.includes(scope)) : [];
  const inherits = ["perMinute", "perDay"].every((window) => key.rateLimit?.[window] == null);
  const list = (values, none) =>
    values?.length ? values.map((value) => h("div", null, h("code", null, value))) : none;
  return [
    facts(
      (key.scopes.length > 0 || realm?.scopes.length > 0) && [
        "Scopes",
        scopeChips(key.scopes),
        implied.length > 0 && h("p", { class: "hint" }, `Includes ${implied.join(", ")}.`),
      ],
      ["Rate limit", limits(key.effectiveRateLimit), inherits && h("span", { class: "faint" }, " inherited")],
      ["Kind", key.kind === "publishable" ? "Publishable, for web pages" : "Secret, for servers"],
      ["Mode", key.testMode ? "Test" : "Live"],
      severalRealms && ["Realm", key.realm],
      realm && ["Revoking it", "counts ", whenItCounts(key, realm)],
      ["Allowed addresses", list(key.allowedIps, "Every address")],
      key.kind === "publishable" && ["Allowed origins", list(key.allowedOrigins, "None: the key works nowhere")],
      ["Expires", time(key.expiresAt), key.expiresAt && [" (", relative(key.expiresAt), ")"]],
      key.revokedAt && ["Revoked", time(key.revokedAt)],
      ["Last used", relative(key.lastUsedAt)],
      ["Created", time(key.createdAt), key.createdBy && [" by ", actorName(key.createdBy)]],
      ["Changed", time(key.updatedAt), ` (version ${key.version})`],
      key.rotatedFrom && ["Replaces", keyLink(key.rotatedFrom)],
      key.rotatedTo && ["Replaced by", keyLink(key.rotatedTo)],
      key.tags?.length > 0 && [
        "Tags",
        h(
          "div",
          { class: "chips" },
          key.tags.map((tag) => h("span", { class: "chip" }, tag)),
        ),
      ],
      hasEntries(key.metadata) && ["Metadata", h("pre", null, jsonText(key.metadata, 2))],
      ["Id", h("code", null, key.id)],
    ),
  ];
}

const whenItCounts = (key, { freshnessSeconds: within }) =>
  key.strict || within === 0 ? "from the very next request on" : `everywhere within ${plural(within, "second")}`;
const keyLink = (id) => link(`/keys/${encodeURIComponent(id)}`, id);
const hasEntries = (object) => object && Object.keys(object).length > 0;

function askToRevoke(key) {
  const reason = input("reason");
  return ask(
    {
      title: `Revoke ${key.name}?`,
      submit: "Revoke key",
      danger: true,
      onsubmit: () =>
        post(
          `/api-keys/${encodeURIComponent(key.id)}/revoke`,
          reason.value.trim() ? { reason: reason.value.trim() } : {},
        ),
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
