// Makes a link that carries a person into a session, once, and shows it once.

import { post } from "../api.js";
import { fill, h, link } from "../dom.js";
import { field, form, input } from "../form.js";
import { time } from "../format.js";
import { go, heading } from "../router.js";
import { shownOnceMade } from "../shown-once.js";

/** @import { Link } from "../../types/admin-api.js" */
/** @import { View } from "../router.js" */

/** @returns {View} */
export function linkView() {
  const place = h("div", { class: "stack" });
  const made = shownOnceMade("link");

  const url = input("url", { type: "url", "aria-required": "true", "data-focus": true });
  const subject = input("subject");
  const sessionId = input("sessionId");
  const body = () => ({
    url: url.value.trim(),
    ...(subject.value && { subject: subject.value }),
    ...(sessionId.value && { sessionId: sessionId.value }),
  });

  const onsubmit = () =>
    made.make(async (show) => {
      /** @type {{ link: Link, url: string }} */
      const created = await post("/links", body());
      const banner = show(created.url, () => go("/keys"));
      fill(place, h("p", null, "The link works once, until ", time(created.link.expiresAt), "."), banner.node);
      banner.focus();
    });

  fill(
    place,
    h("p", null, "Whoever opens the link is let in, once. Send it to one person."),
    form(
      {
        submit: "Create link",
        onsubmit,
        cancel: link("/keys", "Cancel", { class: "button" }),
      },
      field("Page", url, "A page that takes sessions, such as https://shop.example.com/checkout?cart=7."),
      field("Subject (optional)", subject, "Whom the link is for, such as a cart or a customer. The origin is told."),
      field("Session id (optional)", sessionId, "What the session belongs to. The origin is told this, too."),
    ),
  );
  const node = [h("p", { class: "crumbs" }, link("/keys", "Keys")), heading("Create a link"), place];
  return { title: "Create a link", node, leave: made.leave };
}
