// The admin page: the frame around the screens, and who may see which.

import "./style.css";
import "./controls.css";
import "./messages.css";
import "./lists.css";
import "./overview.css";
import "./charts.css";

import { render } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";

import { hooks, Problem } from "./api.ts";
import { invalidate } from "./cache.ts";
import { takeReturned } from "./issuer.ts";
import { takeToken } from "./link-token.ts";
import { type Address, HOME, here, replace, route, type Screen, type Shown, start } from "./router.ts";
import { auditScreen } from "./screens/audit.tsx";
import { createScreen } from "./screens/create.tsx";
import { editScreen } from "./screens/edit.tsx";
import { importScreen } from "./screens/import.tsx";
import { joinScreen, newPasswordScreen } from "./screens/join.tsx";
import { keyScreen } from "./screens/key.tsx";
import { keysScreen } from "./screens/keys.tsx";
import { linkScreen } from "./screens/link.tsx";
import { overviewScreen } from "./screens/overview.tsx";
import { peopleScreen } from "./screens/people.tsx";
import { rotateScreen } from "./screens/rotate.tsx";
import { routesScreen } from "./screens/routes.tsx";
import { sessionsScreen } from "./screens/sessions.tsx";
import { recoverScreen, setUpScreen } from "./screens/set-up.tsx";
import { settingsScreen } from "./screens/settings.tsx";
import { signInScreen } from "./screens/sign-in.tsx";
import { signedInScreen } from "./screens/signed-in.tsx";
import { tenantsScreen } from "./screens/tenants.tsx";
import * as session from "./session.ts";
import { signOut } from "./sign-out.ts";
import { closeDialogs, signInAgain, stepUp } from "./ui/dialog.tsx";
import { openPalette } from "./ui/palette.tsx";
import { Alerts, Heading, ProblemText } from "./ui/parts.tsx";
import { places, Rail } from "./ui/rail.tsx";

/** A screen that changes something, and what a viewer sees in its place. */
const changes =
  (screen: (address: Address) => Screen | Promise<Screen>) =>
  (address: Address): Screen | Promise<Screen> =>
    session.member && !session.mayWrite()
      ? { title: "Not for viewers", node: <Heading>Viewers change nothing: ask an owner to make you an admin</Heading> }
      : screen(address);

route("/set-up", setUpScreen);
route("/recover", recoverScreen);
route("/sign-in", signInScreen);
route("/signed-in", signedInScreen);
route("/join", joinScreen);
route("/new-password", newPasswordScreen);
route("/overview", overviewScreen);
route("/keys", keysScreen);
route("/keys/new", changes(createScreen));
route("/keys/import", changes(importScreen));
route("/keys/:id", keyScreen);
route("/keys/:id/edit", changes(editScreen));
route("/keys/:id/rotate", changes(rotateScreen));
route("/links/new", changes(linkScreen));
route("/routes", routesScreen);
route("/audit", auditScreen);
route("/members", peopleScreen);
route("/members/:id/sessions", sessionsScreen);
route("/settings", settingsScreen);
route("/tenants", tenantsScreen);

const OPEN = ["/sign-in", "/signed-in", "/set-up", "/recover", "/join", "/new-password"];
const isOpen = (path: string) => OPEN.some((open) => path.split("?")[0] === open);

/** Where a path leads for whoever asks: sign-in for a stranger, and back afterwards. */
async function gate(path: string) {
  if (!session.member && !isOpen(path)) {
    try {
      await session.load();
    } catch (problem) {
      if (!(problem instanceof Problem && problem.status === 401)) throw problem;
      if (!(await session.signInAtOnce())) return signInPath(path);
    }
  }
  return path === "/" ? HOME : path;
}

const signInPath = (path: string) =>
  path === "/" || path === HOME ? "/sign-in" : `/sign-in?${new URLSearchParams({ next: path })}`;

/** What stands in the place of a screen that there is not (null), or that cannot be shown. */
function failed(problem: unknown, retry: () => void): Screen {
  const isMissing =
    problem === null || problem instanceof URIError || (problem instanceof Problem && problem.status === 404);
  if (!isMissing) {
    const node = (
      <>
        <Heading>This cannot be shown</Heading>
        <Alerts>
          <ProblemText problem={problem} retry={retry} />
        </Alerts>
      </>
    );
    return { title: "Problem", node };
  }
  const text = problem instanceof Problem ? problem.message : "There is no such page here.";
  const node = (
    <>
      <Heading>Not found</Heading>
      <p>{text}</p>
    </>
  );
  return { title: "Not found", node };
}

function Frame() {
  const [{ shown, isLoading }, setState] = useState<{ shown: Shown | null; isLoading: boolean }>({
    shown: null,
    isLoading: true,
  });
  useEffect(() => start(gate, failed, (next, loading) => setState({ shown: next, isLoading: loading })), []);
  const turn = shown?.turn;
  // A new screen begins at its top, for eyes and for screen readers; one that is gone back to, where it was.
  useLayoutEffect(() => {
    if (!shown) return;
    scrollTo(0, shown.top);
    const main = document.getElementById("main");
    const target = main?.querySelector<HTMLElement>("[data-focus]");
    const heading = shown.isFirst ? null : main?.querySelector<HTMLElement>("h1");
    (target ?? heading)?.focus({ preventScroll: true });
    // Once for each screen.
  }, [turn]);
  const hasRail = shown !== null && session.member !== null && !isOpen(shown.path);
  return (
    <div class={hasRail ? "frame" : undefined}>
      {hasRail ? <Rail path={shown.path} signOut={signOut} /> : <Brand />}
      <main id="main" tabIndex={-1} aria-busy={isLoading || undefined}>
        <div key={turn} class="screen">
          {shown?.screen.node}
        </div>
      </main>
    </div>
  );
}

const Brand = () => (
  <header class="top">
    <a class="brand" href="#/">
      <img src="./icon.svg" alt="" width="24" height="24" />
      Keyward
    </a>
  </header>
);

/** Sign-in over the screen, once for all calls that find the session ended. */
let signingIn: Promise<boolean> | null = null;

/** Whether the same person has signed in again. Whoever else signs in begins anew. */
async function signedInAgain() {
  const before = session.member?.id;
  const done = await signInAgain();
  if (done && session.member?.id === before) return true;
  const isOther = done !== null;
  const path = here();
  session.forget();
  closeDialogs();
  if (isOther) location.reload();
  else replace(signInPath(path));
  return false;
}

hooks.stepUp = stepUp;
hooks.changed = invalidate;
hooks.signedOut = async (problem) => {
  // What is read ahead, for somebody who may not be signed in.
  if (!session.member) throw problem;
  signingIn ??= signedInAgain().finally(() => {
    signingIn = null;
  });
  if (!(await signingIn)) throw problem;
};

addEventListener("keydown", (event) => {
  if (event.key !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  if (!session.member || isOpen(here())) return;
  event.preventDefault();
  void openPalette(places());
});

takeReturned();
takeToken();
// A link with a token, opened while the page is shown already.
addEventListener("hashchange", () => {
  const screen = takeToken();
  if (screen !== null) replace(screen);
});

const page = document.getElementById("page");
if (page) {
  page.replaceChildren();
  render(<Frame />, page);
}
