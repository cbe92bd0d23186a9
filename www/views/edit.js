// Edits a key. If-Match keeps one editor from overwriting what another one has just saved.

import { get, Problem, patch } from "../api.js";
import { announce, fill, h, link } from "../dom.js";
import { form, problemAlert } from "../form.js";
import { changes, keySettings } from "../key-form.js";
import { keyApi, keyPage } from "../paths.js";
import { go, heading } from "../router.js";
import { may, realms } from "../session.js";
import { edited } from "./key.js";

/** @import { ApiKey } from "../../types/admin-api.js" */
/** @import { Address, View } from "../router.js" */

/**
 * @param {Address} address
 * @returns {Promise<View>}
 */
export async function editView({ params }) {
  const known = await realms();
  const path = keyApi(params.id);
  const back = keyPage(params.id);
  const note = h("div");
  const place = h("div");
  const title = heading("Edit key");
  const crumb = link(back, "Key");

  async function load() {
    const { apiKey: key } = await get(path);
    const realm = known.find(({ id }) => id === key.realm);
    const onlyNames = !may("create", realm);
    const settings = keySettings(realm, key, { onlyNames });
    fill(title, `Edit ${key.name}`);
    fill(crumb, key.name);
    fill(
      place,
      form(
        {
          submit: "Save",
          onsubmit: () => save(key, settings),
          cancel: link(back, "Cancel", { class: "button" }),
        },
        onlyNames &&
          h("p", { class: "hint" }, "Only owners can change what this key may do. You can change its name and tags."),
        settings.nodes,
      ),
    );
  }

  /**
   * @param {ApiKey} key
   * @param {ReturnType<typeof keySettings>} settings
   */
  async function save(key, settings) {
    note.replaceChildren();
    const body = changes(key, settings.value());
    if (Object.keys(body).length === 0) {
      announce("Nothing was changed.");
      return go(back);
    }
    try {
      // The version in the body: what stands between may change an ETag.
      const { effectiveEverywhereBy } = await patch(path, body, { headers: { "If-Match": `"${key.version}"` } });
      edited.current = { id: key.id, iso: effectiveEverywhereBy };
      return go(back);
    } catch (problem) {
      if (!(problem instanceof Problem && problem.status === 412)) throw problem;
      await load();
      const detail =
        "Someone else changed this key while you were editing it. You see it as it is now; your changes were not saved.";
      fill(note, problemAlert(problem.reworded(detail)));
      return title.focus();
    }
  }

  await load();
  const node = [h("p", { class: "crumbs" }, link("/keys", "Keys"), " / ", crumb), title, note, place];
  return { title: "Edit key", node };
}
