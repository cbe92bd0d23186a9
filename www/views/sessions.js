// Where the member is signed in, and ending that elsewhere; and for owners, where another member is.

import { get, getAll, patch, remove } from "../api.js";
import { ask } from "../dialog.js";
import { button, fill, h, link } from "../dom.js";
import { alertRegion, field, input } from "../form.js";
import { ago, program, time } from "../format.js";
import { heading } from "../router.js";
import { me } from "../session.js";
import { acting } from "./parts.js";

/** @import { Delete, Session } from "../../types/admin-api.js" */
/** @import { Address, View } from "../router.js" */

/**
 * @param {Address} address
 * @returns {Promise<View>}
 */
export async function sessionsView({ params }) {
  const member = params.id ? /** @type {const} */ (`/members/${encodeURIComponent(params.id)}`) : null;
  const own = member === null || params.id === me().id;
  const whose = own ? null : (await get(member)).member.email;
  const list = h("ul", { class: "list" });
  const none = h("p", { class: "empty" }, "Not signed in anywhere.");
  const alerts = alertRegion();

  async function load() {
    const sessions = await getAll(member ? `${member}/sessions` : "/sessions", "sessions");
    fill(list, sessions.toReversed().map(item));
    list.hidden = sessions.length === 0;
    none.hidden = sessions.length > 0;
    endAll.hidden = !sessions.some(({ current }) => !current);
  }

  const act = acting(alerts, load);
  const end = (/** @type {Parameters<Delete>[0]} */ path) => () => remove(path);
  const endAll = button(
    own ? "End all others" : "End all",
    () =>
      act(
        end(own ? "/sessions" : `${member}/sessions`),
        own ? "All other sessions are ended." : "All sessions are ended.",
      ),
    { class: "danger" },
  );

  /** @param {Session} session */
  function item({ id, current, network, userAgent, createdAt, lastSeenAt }) {
    const what = program(userAgent);
    return h(
      "li",
      { "data-testid": "session-row" },
      h(
        "div",
        null,
        h("strong", { title: userAgent }, what),
        current && [" ", h("span", { class: "badge active" }, "This one")],
        h(
          "div",
          { class: "faint" },
          network && ["From ", h("code", null, network), " · "],
          "last seen ",
          ago(lastSeenAt),
          " · signed in ",
          time(createdAt),
        ),
      ),
      !current &&
        h(
          "div",
          { class: "actions" },
          button("End", () => act(end(`/sessions/${encodeURIComponent(id)}`), "The session is ended."), {
            class: "danger",
            "aria-label": `End the session of ${what}`,
          }),
        ),
    );
  }

  await load();
  const title = own ? "Your sessions" : `Sessions of ${whose}`;
  const node = [
    !own && h("p", { class: "crumbs" }, link("/members", "Members"), " / ", whose),
    h(
      "div",
      { class: "title" },
      heading(title),
      h(
        "div",
        { class: "actions" },
        own &&
          button("Change password", () => act(askPassword, "The password is changed. All other sessions are ended.")),
        endAll,
      ),
    ),
    own &&
      h(
        "p",
        { class: "hint" },
        "Where you are signed in. If you do not recognise one, end it and change your password.",
      ),
    alerts,
    list,
    none,
  ];
  return { title, node };
}

function askPassword() {
  const present = input("currentPassword", { type: "password", autocomplete: "current-password", required: true });
  const password = input("password", { type: "password", autocomplete: "new-password", required: true });
  return ask(
    {
      title: "Change your password",
      submit: "Change password",
      onsubmit: () =>
        patch(`/members/${encodeURIComponent(me().id)}`, {
          currentPassword: present.value,
          password: password.value,
        }),
    },
    // Tells password managers whose password it is.
    h("input", { type: "email", autocomplete: "username", value: me().email, readOnly: true, hidden: true }),
    field("Present password", present),
    field("New password", password, "At least 12 characters. Best made by a password manager."),
  );
}
