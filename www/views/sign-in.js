// Sign-in, and back to where one was.

import { Problem } from "../api.js";
import { fill, h, link } from "../dom.js";
import { alertRegion, field, form, input } from "../form.js";
import { duration } from "../format.js";
import { heading, replace } from "../router.js";
import { signIn } from "../session.js";

/** @import { Address, View } from "../router.js" */

/**
 * @param {Address} address
 * @returns {View}
 */
export function signInView({ query }) {
  const email = input("email", { type: "email", autocomplete: "username", required: true, "data-focus": true });
  const password = input("password", { type: "password", autocomplete: "current-password", required: true });
  const next = query.get("next");
  const waiting = alertRegion();

  const node = h(
    "div",
    { class: "narrow" },
    heading("Sign in"),
    next && h("p", null, "Your session has ended, or you are not signed in yet. Sign in to go on where you were."),
    form(
      {
        submit: "Sign in",
        async onsubmit() {
          waiting.replaceChildren();
          try {
            await signIn(email.value.trim(), password.value);
          } catch (problem) {
            password.value = "";
            if (!(problem instanceof Problem)) throw problem;
            if (problem.status === 429) return countDown(waiting, problem.retryAfter ?? 60);
            if (problem.status !== 401) throw problem;
            password.focus();
            throw problem.reworded("The e-mail address or the password is wrong.");
          }
          // Only ever a path of this page: it becomes a hash, never another address.
          return replace(next?.startsWith("/") ? next : "/keys");
        },
      },
      waiting,
      field("E-mail address", email),
      field("Password", password),
    ),
    h("p", { class: "aside" }, "A new deployment? ", link("/set-up", "Set up the first owner"), "."),
  );
  return { title: "Sign in", node };
}

/**
 * Says how long to wait; read out once, then only the number changes.
 * @param {HTMLElement} region
 * @param {number} seconds
 */
function countDown(region, seconds) {
  const end = Date.now() + seconds * 1000;
  const rest = h("span", { "aria-live": "off" });
  const box = h("div", { class: "alert" }, h("p", null, "Too many failed attempts. Try again in ", rest, "."));

  function tick() {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left <= 0) return fill(region, h("p", null, "You can try again now."));
    rest.textContent = duration(left);
    return setTimeout(() => box.isConnected && tick(), 1000);
  }

  fill(region, box);
  tick();
}
