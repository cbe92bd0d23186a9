// Rotates a key: a new one with the same settings, and a choice of what happens to the old one.

import { get, idempotencyKeys, post } from "../api.js";
import { deadline } from "../deadline.js";
import { fill, h, link } from "../dom.js";
import { choice, field, form, group, input, isChosen } from "../form.js";
import { keyText, relative, time } from "../format.js";
import { keyApi, keyPage } from "../paths.js";
import { go, heading } from "../router.js";
import { realms } from "../session.js";
import { shownOnce } from "../shown-once.js";

/** @import { CreatedKey, PreviousKey } from "../../types/admin-api.js" */
/** @import { Address, View } from "../router.js" */

const HOUR_S = 3600;

/**
 * @param {Address} address
 * @returns {Promise<View>}
 */
export async function rotateView({ params }) {
  const path = keyApi(params.id);
  const back = keyPage(params.id);
  const [{ apiKey: key }, known] = await Promise.all([get(path), realms()]);
  const revokes = known.find(({ id }) => id === key.realm)?.rotation === "revoke-old";
  const place = h("div", { class: "stack" });
  const idempotencyKey = idempotencyKeys();
  /** @type {ReturnType<typeof shownOnce> | null} */
  let banner = null;

  const hours = input("graceSeconds", { inputmode: "decimal", value: "24" });
  const hoursField = field(
    "Hours",
    hours,
    key.expiresAt && ["Never longer than its own expiry, ", relative(key.expiresAt), "."],
  );
  hoursField.hidden = true;
  const keep = choice(
    "radio",
    "old",
    "keep",
    "keeps working",
    "until you revoke it. Choose this to move over at your own pace.",
    { checked: !revokes },
  );
  const grace = choice(
    "radio",
    "old",
    "grace",
    "works for some more hours",
    "and is then refused, without anybody having to remember it.",
  );
  const revoke = choice(
    "radio",
    "old",
    "revoke",
    "is revoked at once",
    "Choose this if the key may be in the wrong hands. Whatever uses it stops until it has the new key.",
    { checked: revokes },
  );
  const old = group("old", `The old key, ${keyText(key)}`, keep, grace, hoursField, revoke);
  old.addEventListener("change", () => {
    hoursField.hidden = !isChosen(grace);
  });

  const body = () => (isChosen(grace) ? { graceSeconds: seconds(hours.value) } : { revokeOld: isChosen(revoke) });

  /** @param {CreatedKey & { previous: PreviousKey }} created */
  function showKey({ apiKey, plaintextKey, previous }) {
    banner = shownOnce("key", plaintextKey, () => go(keyPage(apiKey.id)));
    fill(place, h("p", null, "New key created. It works now."), banner.node, fate(previous));
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

/**
 * What is not a number goes to the server as it is, which says what is wrong with it.
 * @param {string} hours
 */
function seconds(hours) {
  const number = Number(hours.trim().replace(",", ".") || Number.NaN);
  return Number.isFinite(number) ? Math.round(number * HOUR_S) : hours;
}

/**
 * What happens to the old key, in words.
 * @param {PreviousKey} previous
 */
function fate(previous) {
  const { id, status, expiresAt, refusedEverywhereBy } = previous;
  if (status === "REVOKED") {
    if (!refusedEverywhereBy) return h("p", null, "The old key is revoked.");
    const passed = "the old key works nowhere any more";
    return deadline("Old key refused everywhere by", refusedEverywhereBy, passed, "refused-by");
  }
  if (expiresAt) {
    const until = h("strong", null, "The old key works until ", time(expiresAt));
    return h("p", { class: "deadline" }, until, " · ", relative(expiresAt));
  }
  const oldKey = link(keyPage(id), "the old key");
  return h("p", { class: "deadline" }, "The old key keeps working. Revoke ", oldKey, " once nothing uses it any more.");
}
