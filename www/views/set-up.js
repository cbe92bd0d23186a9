// The first owner, made with the deployment's one-time token.

import { Problem, post } from "../api.js";
import { h, link } from "../dom.js";
import { field, form, input } from "../form.js";
import { heading, replace } from "../router.js";
import { signIn } from "../session.js";

/** @import { View } from "../router.js" */

let tokenFromLink = "";

/** Takes the token out of `/admin/#setup=…`, and out of the address bar and the history. Whether there was one. */
export function takeSetUpToken() {
  const match = /^#setup=(.+)$/.exec(location.hash);
  if (!match) return false;
  history.replaceState(null, "", "#/set-up");
  tokenFromLink = decoded(match[1]);
  return true;
}

/**
 * A token that is not percent-encoded, or not as it should be, is taken as it stands: the server says if it is wrong.
 * @param {string} text
 */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @returns {View} */
export function setUpView() {
  const token = input("token", { value: tokenFromLink, required: true, "data-focus": !tokenFromLink });
  const email = input("email", {
    type: "email",
    autocomplete: "username",
    required: true,
    "data-focus": Boolean(tokenFromLink),
  });
  const password = input("password", { type: "password", autocomplete: "new-password", required: true });
  const place = h("div");

  place.append(
    form(
      {
        submit: "Create the owner",
        async onsubmit() {
          try {
            await post(
              "/setup",
              { token: token.value.trim(), email: email.value.trim(), password: password.value },
              { anonymous: true },
            );
          } catch (problem) {
            if (!(problem instanceof Problem)) throw problem;
            if (problem.status === 409) return place.replaceChildren(alreadyDone());
            if (problem.status === 401) throw wrongToken(problem);
            throw problem;
          }
          tokenFromLink = "";
          await signIn(email.value.trim(), password.value);
          return replace("/keys");
        },
      },
      field("Set-up token", token, "The secret KEYWARD_SETUP_TOKEN of this deployment. It works once."),
      field("E-mail address", email, "You sign in with it."),
      field("Password", password, "At least 12 characters. Best made by a password manager."),
    ),
  );

  const node = h(
    "div",
    { class: "narrow" },
    heading("Set up Keyward"),
    h("p", null, "This makes the first owner, who can then create keys and invite others."),
    place,
    h("p", { class: "aside" }, "Already set up? ", link("/sign-in", "Sign in"), "."),
  );
  return { title: "Set up", node };
}

/** @param {Problem} problem */
const wrongToken = (problem) =>
  problem.reworded(problem.message, [{ field: "token", message: "This is not the set-up token of this deployment." }]);

function alreadyDone() {
  tokenFromLink = "";
  return h(
    "div",
    { class: "alert", role: "alert" },
    h("p", null, "This deployment is set up already, and the token works only once."),
    h("p", null, link("/sign-in", "Sign in"), " instead, or ask an owner to add you."),
  );
}
