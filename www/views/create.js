// Creates a key, then shows it once.

import { post } from "../api.js";
import { fill, h, link } from "../dom.js";
import { form } from "../form.js";
import { keySettings, realmSelect } from "../key-form.js";
import { newKeyBanner } from "../new-key.js";
import { go, heading } from "../router.js";
import { realms } from "../session.js";

export async function createView() {
  const known = await realms();
  const place = h("div");
  let banner = null;

  function showForm(realm) {
    const settings = keySettings(realm);
    const idempotencyKey = keyPerBody();
    const onsubmit = async () => {
      const body = { realm: realm.id, ...settings.value() };
      const headers = { "Idempotency-Key": idempotencyKey(JSON.stringify(body)) };
      showKey(await post("/api-keys", body, { headers }));
    };
    fill(
      place,
      form(
        { submit: "Create key", onsubmit, cancel: link("/keys", "Cancel", { class: "button" }) },
        realmSelect(known, realm, showForm),
        settings.nodes,
      ),
    );
  }

  function showKey({ apiKey, plaintextKey }) {
    const open = () => go(`/keys/${encodeURIComponent(apiKey.id)}`);
    // A repeat of a create that had succeeded: the server has the key's text no more.
    if (!plaintextKey) return open();
    banner = newKeyBanner(plaintextKey, open);
    fill(
      place,
      h("p", null, "The key ", h("strong", null, apiKey.name), " is made and works from now on."),
      banner.node,
    );
    return banner.focus();
  }

  showForm(known[0]);
  const node = [h("p", { class: "crumbs" }, link("/keys", "Keys")), heading("Create a key"), place];
  return { title: "Create a key", node, leave: () => banner?.leave() ?? true };
}

/** An Idempotency-Key that stays the same while the same body is sent again, after a lost answer say. */
function keyPerBody() {
  let sent = null;
  let key = null;
  return (body) => {
    if (body !== sent) {
      sent = body;
      key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    return key;
  };
}
