// Edits a key. If-Match keeps one editor from overwriting what another one has just saved.

import { call, get, Problem } from "../api.js";
import { announce, fill, h, link } from "../dom.js";
import { form, problemAlert } from "../form.js";
import { changes, keySettings } from "../key-form.js";
import { go, heading } from "../router.js";
import { may, realms } from "../session.js";
import { edited } from "./key.js";

export async function editView({ params }) {
  const known = await realms();
  const path = `/api-keys/${encodeURIComponent(params.id)}`;
  const back = `/keys/${encodeURIComponent(params.id)}`;
  const note = h("div");
  const place = h("div");
  const title = heading("Edit key");
  const crumb = link(back, "Key");

  async function load() {
    const { apiKey: key } = await get(path);
    const realm = known.find(({ id }) => id === key.realm) ?? { scopes: [] };
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
          h("p", { class: "hint" }, "What this key may do is for owners to change. You can change its name and tags."),
        settings.nodes,
      ),
    );
  }

  async function save(key, settings) {
    note.replaceChildren();
    const body = changes(key, settings.value());
    if (Object.keys(body).length === 0) {
      announce("Nothing was changed.");
      return go(back);
    }
    try {
      // The version in the body: what stands between may change an ETag.
      const { data } = await call("PATCH", path, { body, headers: { "If-Match": `"${key.version}"` } });
      edited.current = { id: key.id, iso: data.effectiveEverywhereBy };
      return go(back);
    } catch (problem) {
      if (problem.status !== 412) throw problem;
      await load();
      fill(
        note,
        problemAlert(
          new Problem({
            ...problem,
            detail:
              "Someone else changed this key while you were editing it. You see it as it is now; your changes were not saved.",
          }),
        ),
      );
      return title.focus();
    }
  }

  await load();
  const node = [h("p", { class: "crumbs" }, link("/keys", "Keys"), " / ", crumb), title, note, place];
  return { title: "Edit key", node };
}
