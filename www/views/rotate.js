// Rotates a key: a new one with the same settings, and a choice of what becomes of the old one.

import { get, idempotencyKeys, post } from "../api.js";
import { deadline } from "../deadline.js";
import { fill, h, link } from "../dom.js";
import { choice, field, form, group, input } from "../form.js";
import { keyText, relative, time } from "../format.js";
import { go, heading } from "../router.js";
import { realms } from "../session.js";
import { shownOnce } from "../shown-once.js";

const HOUR = 3600;

export async function rotateView({ params }) {
  const path = `/api-keys/${encodeURIComponent(params.id)}`;
  const back = `/keys/${encodeURIComponent(params.id)}`;
  const [{ apiKey: key }, known] = await Promise.all([get(path), realms()]);
  const revokes = known.find(({ id }) => id === key.realm)?.rotation === "revoke-old";
  const place = h("div", { class: "stack" });
  const idempotencyKey = idempotencyKeys();
  let banner = null;

  const hours = input("graceSeconds", { inputmode: "decimal", value: "24" });
  const hoursField = field(
    "Hours",
    hours,
    key.expiresAt && ["Never longer than its own expiry, ", relative(key.expiresAt), "."],
  );
  hoursField.hidden = true;
  const old = group(
    "old",
    `The old key, ${keyText(key)}`,
    choice("radio", "old", "keep", "keeps working", "until you revoke it. Choose this to move over at your own pace.", {
      checked: !revokes,
    }),
    choice(
      "radio",
      "old",
      "grace",
      "works for some more hours",
      "and is then refused, without anybody having to remember it.",
    ),
    hoursField,
    choice(
      "radio",
      "old",
      "revoke",
      "is revoked at once",
      "Choose this if the key may be in the wrong hands. Whatever uses it stops until it has the new key.",
      { checked: revokes },
    ),
  );
  const chosen = () => old.querySelector("input[name=old]:checked").value;
  old.addEventListener("change", () => {
    hoursField.hidden = chosen() !== "grace";
  });

  const body = () =>
    ({
      keep: { revokeOld: false },
      revoke: { revokeOld: true },
      grace: { graceSeconds: seconds(hours.value) },
    })[chosen()];

  function showKey({ apiKey, plaintextKey, previous }) {
    const open = () => go(`/keys/${encodeURIComponent(apiKey.id)}`);
    banner = shownOnce("key", plaintextKey, open);
    fill(place, h("p", null, "The new key is made and works from now on."), banner.node, fate(previous));
    banner.focus();
  }

  fill(
    place,
    h("p", null, "Makes a new key with the same name, scopes and limits."),
    form(
      {
        submit: "Rotate key",
        onsubmit: async () => showKey(await post(`${path}/rotate`, body(), { headers: idempotencyKey(body()) })),
        cancel: link(back, "Cancel", { class: "button" }),
      },
      old,
    ),
  );
  const node = [
    h("p", { class: "crumbs" }, link("/keys", "Keys"), " / ", link(back, key.name)),
    heading(`Rotate ${key.name}`),
    place,
  ];
  return { title: `Rotate ${key.name}`, node, leave: () => banner?.leave() ?? true };
}

// What is not a number goes to the server as it is, which says what is wrong with it.
function seconds(hours) {
  const number = Number(hours.trim().replace(",", ".") || Number.NaN);
  return Number.isFinite(number) ? Math.round(number * HOUR) : hours;
}

/** What becomes of the old key, in words. */
function fate(previous) {
  if (previous.status === "REVOKED") {
    return previous.refusedEverywhereBy
      ? deadline(
          "Old key refused everywhere by",
          previous.refusedEverywhereBy,
          "the old key works nowhere any more",
          "refused-by",
        )
      : h("p", null, "The old key is revoked.");
  }
  if (previous.expiresAt)
    return h(
      "p",
      { class: "deadline" },
      h("strong", null, "The old key works until ", time(previous.expiresAt)),
      " · ",
      relative(previous.expiresAt),
    );
  const oldKey = link(`/keys/${encodeURIComponent(previous.id)}`, "the old key");
  return h("p", { class: "deadline" }, "The old key keeps working. Revoke ", oldKey, " once nothing uses it any more.");
}
