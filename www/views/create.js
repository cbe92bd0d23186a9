// Creates a key, then shows it once.

import { idempotencyKeys, post } from "../api.js";
import { fill, h, link } from "../dom.js";
import { form } from "../form.js";
import { keySettings, realmSelect } from "../key-form.js";
import { keyPage } from "../paths.js";
import { quotaNote } from "../quota-note.js";
import { go, heading } from "../router.js";
import { may, realms } from "../session.js";
import { shownOnceMade } from "../shown-once.js";

/** @import { CreatedKey, Realm, TypedKeySettings } from "../../types/admin-api.js" */
/** @import { View } from "../router.js" */

/** @returns {Promise<View>} */
export async function createView() {
  const all = await realms();
  const known = all.filter((realm) => may("create", realm));
  const place = h("div");
  const made = shownOnceMade("key");

  const fields = h("div", { class: "fields" });
  const idempotencyKey = idempotencyKeys();
  /** @type {() => TypedKeySettings & { realm: string }} */
  let body;

  /**
   * What can be chosen depends on the realm.
   * @param {Realm} realm
   */
  function showFields(realm) {
    const settings = keySettings(realm);
    body = () => ({ realm: realm.id, ...settings.value() });
    fill(fields, settings.nodes);
  }

  const onsubmit = () =>
    made.make(async (show) => {
      const wanted = body();
      /** @type {CreatedKey} */
      const { apiKey, plaintextKey } = await post("/api-keys", wanted, { headers: idempotencyKey(wanted) });
      const banner = show(plaintextKey, () => go(keyPage(apiKey.id)));
      fill(place, h("p", null, "Key ", h("strong", null, apiKey.name), " created. It works now."), banner.node);
      banner.focus();
    });

  const others = all.filter((realm) => !known.includes(realm)).map(({ id }) => id);
  const reason = `Only owners can create keys for ${others.join(" and ")}.`;
  const note = others.length > 0 && h("p", { class: "hint" }, reason);
  // The form does not wait for it.
  const nearlyFull = h("div");
  quotaNote().then(
    (line) => fill(nearlyFull, line),
    () => {},
  );
  const [first] = known;
  if (first) {
    showFields(first);
    const cancel = link("/keys", "Cancel", { class: "button" });
    fill(
      place,
      form({ submit: "Create key", onsubmit, cancel }, nearlyFull, note, realmSelect(known, showFields), fields),
    );
  } else {
    fill(place, note);
  }
  const node = [h("p", { class: "crumbs" }, link("/keys", "Keys")), heading("Create a key"), place];
  return { title: "Create a key", node, leave: made.leave };
}
