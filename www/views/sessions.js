// Where the member is signed in, and ending that elsewhere.

import { call, getAll } from "../api.js";
import { button, fill, h } from "../dom.js";
import { alertRegion } from "../form.js";
import { time } from "../format.js";
import { heading } from "../router.js";
import { acting } from "./parts.js";

export async function sessionsView() {
  const list = h("ul", { class: "list" });
  const alerts = alertRegion();

  async function load() {
    const sessions = await getAll("/sessions", "sessions");
    fill(list, sessions.toReversed().map(item));
  }

  const act = acting(alerts, load);
  const end = (path) => () => call("DELETE", path);

  function item({ id, current, network, userAgent, createdAt, lastSeenAt }) {
    const what = userAgent ?? "An unknown program";
    return h(
      "li",
      { "data-testid": "session-row" },
      h(
        "div",
        null,
        h("strong", null, what),
        current && " (this one)",
        h("div", { class: "faint" }, network && `${network}, `, "since ", time(createdAt), ", last seen ", time(lastSeenAt)),
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
  const node = [
    h(
      "div",
      { class: "title" },
      heading("Your sessions"),
      button("End all others", () => act(end("/sessions"), "All other sessions are ended."), { class: "danger" }),
    ),
    h("p", { class: "hint" }, "Where you are signed in. If you do not know one, end it and change your password."),
    alerts,
    list,
  ];
  return { title: "Your sessions", node };
}
