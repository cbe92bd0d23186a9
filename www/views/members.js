// Who may use the admin side, and what they may do there. For owners.

import { getAll, patch, post, remove } from "../api.js";
import { ask } from "../dialog.js";
import { button, fill, h, link } from "../dom.js";
import { alertRegion, field, input, select } from "../form.js";
import { time } from "../format.js";
import { heading } from "../router.js";
import { me } from "../session.js";
import { acting } from "./parts.js";

/** @import { Member } from "../../types/admin-api.js" */
/** @import { View } from "../router.js" */
/** @typedef {`/members/${string}`} MemberPath */

const ROLES = [
  ["viewer", "Viewer: sees everything, changes nothing"],
  ["admin", "Admin: manages keys"],
  ["owner", "Owner: manages keys and people"],
];

/** @returns {Promise<View>} */
export async function membersView() {
  const list = h("ul", { class: "list" });
  const alerts = alertRegion();

  async function load() {
    const members = await getAll("/members", "members");
    fill(list, members.map(item));
  }

  const act = acting(alerts, load);

  /** @param {Member} member */
  function item(member) {
    const path = /** @type {const} */ (`/members/${encodeURIComponent(member.id)}`);
    const self = member.id === me().id;
    return h(
      "li",
      { "data-testid": "member-row" },
      h(
        "div",
        null,
        h("strong", null, member.email),
        self && " (you)",
        h("div", { class: "faint" }, member.role, ", since ", time(member.createdAt)),
      ),
      !self &&
        h(
          "div",
          { class: "actions" },
          link(`${path}/sessions`, "Sessions", { class: "button", "aria-label": `Sessions of ${member.email}` }),
          button("Change role", () => act(() => askRole(member, path), `The role of ${member.email} is changed.`), {
            "aria-label": `Change role of ${member.email}`,
          }),
          button("Remove", () => act(() => askRemove(member, path), `${member.email} is removed.`), {
            class: "danger",
            "aria-label": `Remove ${member.email}`,
          }),
        ),
    );
  }

  await load();
  const node = [
    h(
      "div",
      { class: "title" },
      heading("Members"),
      button("Add member", () => act(askNew, "The member is added."), { class: "primary" }),
    ),
    alerts,
    list,
  ];
  return { title: "Members", node };
}

function askNew() {
  const email = input("email", { type: "email" });
  const password = input("password", { type: "password", autocomplete: "new-password" });
  const role = select("role", ROLES, "viewer");
  return ask(
    {
      title: "Add a member",
      submit: "Add member",
      onsubmit: () => post("/members", { email: email.value.trim(), password: password.value, role: role.value }),
    },
    field("E-mail address", email),
    field("First password", password, "Pass it on to them securely."),
    field("Role", role),
  );
}

/**
 * @param {Member} member
 * @param {MemberPath} path
 */
function askRole(member, path) {
  const role = select("role", ROLES, member.role);
  return ask(
    {
      title: `Role of ${member.email}`,
      submit: "Change role",
      onsubmit: () => patch(path, { role: role.value }),
    },
    field("Role", role),
  );
}

/**
 * @param {Member} member
 * @param {MemberPath} path
 */
const askRemove = (member, path) =>
  ask(
    { title: `Remove ${member.email}?`, submit: "Remove", danger: true, onsubmit: () => remove(path) },
    h("p", null, "Their sessions end at once. Keys that they made keep working."),
  );
