// Rotates a key: a new one with the same settings, and a choice of what happens to the old one.

import { get, idempotencyKeys, Problem, post, untilServerTime } from "../api.js";
import { deadline } from "../deadline.js";
import { fill, h, link } from "../dom.js";
import { choice, form, group, isChosen, localTime, select } from "../form.js";
import { keyText, relative, time } from "../format.js";
import { keyApi, keyPage } from "../paths.js";
import { go, heading } from "../router.js";
import { realms } from "../session.js";
import { shownOnceMade } from "../shown-once.js";

/** @import { CreatedKey, PreviousKey } from "../../types/admin-api.js" */
/** @import { Address, View } from "../router.js" */

const HOUR_S = 3600;
const GRACES = [
  [String(HOUR_S), "For an hour"],
  [String(24 * HOUR_S), "For 24 hours"],
  [String(7 * 24 * HOUR_S), "For 7 days"],
  ["date", "Until a time of my choice"],
];

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
  const made = shownOnceMade("key");

  const length = graceFields(key.expiresAt);
  length.node.hidden = true;
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
    "works for some more time",
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
  const old = group("old", `The old key, ${keyText(key)}`, keep, grace, length.node, revoke);
  old.addEventListener("change", () => {
    length.node.hidden = !isChosen(grace);
  });

  const body = () => (isChosen(grace) ? { graceSeconds: length.seconds() } : { revokeOld: isChosen(revoke) });

  const onsubmit = () =>
    made.make(async (show) => {
      const sent = body();
      /** @type {CreatedKey & { previous: PreviousKey }} */
      const created = await post(`${path}/rotate`, sent, { headers: idempotencyKey(sent) });
      const banner = show(created.plaintextKey, () => go(keyPage(created.apiKey.id)));
      fill(place, h("p", null, "New key created. It works now."), banner.node, fate(created.previous));
      banner.focus();
    });

  fill(
    place,
    h("p", null, "Makes a new key with the same name, scopes and limits."),
    form(
      {
        submit: "Rotate key",
        onsubmit,
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
  return { title: `Rotate ${key.name}`, node, leave: made.leave };
}

/**
 * `{node, seconds()}` for how long the old key works, with the end of it in words.
 * @param {string | null} expiresAt its own expiry, which stays if it is earlier
 */
function graceFields(expiresAt) {
  const length = select("length", GRACES, String(24 * HOUR_S), { onchange: show, "aria-label": "For how long" });
  const when = localTime("when", "Time from which it is refused");
  when.addEventListener("change", show);
  const hint = h("p", { class: "hint", role: "status" });
  /** Counted from the choice, so that a form that is sent twice says the same. */
  let seconds = 0;

  function show() {
    when.hidden = length.value !== "date";
    const chosen = when.hidden ? undefined : when.value;
    seconds = chosen === undefined ? Number(length.value) : secondsUntil(chosen);
    const end = new Date(Date.now() + seconds * 1000).toISOString();
    const own = expiresAt && Date.parse(expiresAt) < Date.parse(end) ? expiresAt : end;
    fill(
      hint,
      seconds > 0 && ["The old key is refused from ", time(own), " on", own === expiresAt && ", when it expires", "."],
    );
  }

  show();
  return {
    node: group("graceSeconds", "The old key works", h("div", { class: "pair" }, length, when), hint),
    seconds() {
      if (seconds > 0) return seconds;
      const errors = [{ field: "graceSeconds", message: "must be a time in the future" }];
      throw new Problem({ status: 422, detail: "The old key's end is missing.", errors });
    },
  };
}

/**
 * Whole seconds from now until a local time; 0 without one.
 * @param {string} local
 */
const secondsUntil = (local) => (local ? Math.ceil(untilServerTime(new Date(local).toISOString()) / 1000) : 0);

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
