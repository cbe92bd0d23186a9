// The admin page: the frame around the views, and who may see which.

import { hooks, Problem } from "./api.js";
import { stepUp } from "./dialog.js";
import { announce, button, fill, find, h, link } from "./dom.js";
import { go, here, replace, route, start } from "./router.js";
import * as session from "./session.js";
import { auditView } from "./views/audit.js";
import { createView } from "./views/create.js";
import { editView } from "./views/edit.js";
import { keyView } from "./views/key.js";
import { keysView } from "./views/keys.js";
import { linkView } from "./views/link.js";
import { membersView } from "./views/members.js";
import { rotateView } from "./views/rotate.js";
import { sessionsView } from "./views/sessions.js";
import { setUpView, takeSetUpToken } from "./views/set-up.js";
import { signInView } from "./views/sign-in.js";
import { tenantsView } from "./views/tenants.js";

route("/set-up", setUpView);
route("/sign-in", signInView);
route("/keys", keysView);
route("/keys/new", createView);
route("/keys/:id", keyView);
route("/keys/:id/edit", editView);
route("/keys/:id/rotate", rotateView);
route("/links/new", linkView);
route("/audit", auditView);
route("/members", membersView);
route("/members/:id/sessions", sessionsView);
route("/sessions", sessionsView);
route("/tenants", tenantsView);

const OPEN = ["/sign-in", "/set-up"];
const isOpen = (/** @type {string} */ path) => OPEN.some((open) => path.split("?")[0] === open);

/**
 * Where a path leads for whoever asks: sign-in for a stranger, and back afterwards.
 * @param {string} path
 */
async function gate(path) {
  if (!session.member && !isOpen(path)) {
    try {
      await session.load();
    } catch (problem) {
      if (!(problem instanceof Problem && problem.status === 401)) throw problem;
      return signInPath(path);
    }
  }
  showFrame(path);
  return path === "/" ? "/keys" : path;
}

const signInPath = (/** @type {string} */ path) =>
  path === "/" || path === "/keys" ? "/sign-in" : `/sign-in?${new URLSearchParams({ next: path })}`;

/** @param {string} path */
function showFrame(path) {
  const current = (path === "/" ? "/keys" : path).split(/[/?]/)[1];
  const place = (/** @type {string} */ name, /** @type {string} */ text) =>
    link(`/${name}`, text, { "aria-current": current === name && "page" });
  fill(
    find(document, "header"),
    h(
      "a",
      { class: "brand", href: "#/keys" },
      h("img", { src: "./icon.svg", alt: "", width: "24", height: "24" }),
      "Keyward",
    ),
    session.member &&
      !isOpen(path) && [
        h(
          "nav",
          { "aria-label": "Main" },
          place("keys", "Keys"),
          place("audit", "Audit"),
          session.mayManageMembers() && place("members", "Members"),
          session.mayManageTenants() && place("tenants", "Tenants"),
        ),
        h(
          "div",
          { class: "who" },
          link("/sessions", session.member.email, { title: `${session.member.email}: your sessions` }),
          h("span", { class: "badge" }, session.member.role),
          button("Sign out", signOut, { class: "small" }),
        ),
      ],
  );
}

async function signOut() {
  try {
    await session.signOut();
    go("/sign-in");
  } catch (problem) {
    announce(`Not signed out: ${problem instanceof Problem ? problem.message : "The page made a mistake."}`);
  }
}

hooks.stepUp = stepUp;
hooks.signedOut = () => {
  session.forget();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  // Several calls may end like this: only the first one comes from a view that is returned to.
  if (!isOpen(here())) replace(signInPath(here()));
};

takeSetUpToken();
// A link with a token, opened while the page is shown already.
addEventListener("hashchange", () => takeSetUpToken() && replace("/set-up"));
start(gate);
