// Tokens in links such as `/admin/#setup=…`: the page takes one out of the address bar and the history as soon as it sees it,
// and holds it until it has been used.

/** The screen that a link leads to, by what stands before its token. */
const SCREENS = { setup: "/set-up", invitation: "/join", reset: "/new-password" };

const isKind = (kind: string): kind is keyof typeof SCREENS => Object.hasOwn(SCREENS, kind);

let held = { screen: "", token: "" };

/** Takes the token out of the address. The screen that it is for, or null if there is none. */
export function takeToken(): string | null {
  const [, kind = "", token = ""] = /^#(\w+)=(.+)$/.exec(location.hash) ?? [];
  if (!isKind(kind)) return null;
  const screen = SCREENS[kind];
  history.replaceState(null, "", `#${screen}`);
  held = { screen, token: decoded(token) };
  return screen;
}

/** The token that this screen was opened with; empty if there is none. */
export const tokenFor = (screen: string) => (held.screen === screen ? held.token : "");

/** It has been used. */
export function forgetToken() {
  held = { screen: "", token: "" };
}

/** A token that is not percent-encoded, or not as it should be, is taken as it stands: the server says if it is wrong. */
function decoded(text: string) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
