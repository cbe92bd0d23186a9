// A statement about a time that the server promised: `Refused everywhere by 14:03:25`, with what is
// left of it counted down, and said once it has passed.

import { untilServerTime } from "./api.js";
import { fill, h } from "./dom.js";
import { clock } from "./format.js";

/**
 * The statement.
 * @param {string} label
 * @param {string} iso
 * @param {string} passed what holds from that time on
 * @param {string} testId
 */
export function deadline(label, iso, passed, testId) {
  const rest = h("span", { class: "rest", "aria-hidden": "true" });
  const done = h("span");
  const node = h(
    "p",
    { class: "deadline", role: "status", tabindex: "-1", "data-testid": testId },
    h("strong", null, `${label} `, h("time", { datetime: iso }, clock(iso))),
    rest,
    done,
  );

  function tick() {
    const seconds = Math.ceil(untilServerTime(iso) / 1000);
    if (seconds > 0) {
      fill(rest, ` · in ${seconds} s`);
      setTimeout(() => node.isConnected && tick(), 250);
      return;
    }
    rest.replaceChildren();
    node.classList.add("passed");
    fill(done, ` · ${passed}`);
  }

  // The node is connected by whoever asked for it, after this.
  queueMicrotask(tick);
  return node;
}
