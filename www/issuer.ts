// Sign-in at the issuer's own page (OpenID Connect's authorization code flow): in this window, or in one beside it, which hands
// over what it comes back with.

import { Problem, post } from "./api.ts";
import { signIn as issuer } from "./settings.js";

/** What the API exchanges for a token. */
export interface Code {
  code: string;
  state: string;
}

/** Where to go on, in the window that has left for the issuer: a screen of this page. */
const NEXT = "keyward-next";
const CHANNEL = "keyward-sign-in";

/** What the issuer has sent this window back with, and where it goes on; `next` is null for a window beside another. */
let returned: { query: URLSearchParams; next: string | null } | null = null;

/** Takes what the issuer has sent back out of the address and the history. */
export function takeReturned() {
  if (!location.pathname.endsWith("/signed-in")) return;
  returned = { query: new URLSearchParams(location.search), next: sessionStorage.getItem(NEXT) };
  sessionStorage.removeItem(NEXT);
  history.replaceState(null, "", "./#/signed-in");
}

/** The same, once. */
export function returnedOnce() {
  const taken = returned;
  returned = null;
  return taken;
}

const failed = (detail: string) => new Problem({ status: 400, detail });

/** The code, or the issuer's error in words. Its own words are shown only where its answer was awaited. */
export function codeOf(query: URLSearchParams): Code {
  const [error, description, code, state] = ["error", "error_description", "code", "state"].map(
    (name) => query.get(name) ?? "",
  );
  if (error === "access_denied") throw failed(`${issuer?.name} did not let you in, or you stopped there. Try again.`);
  // RFC 6749, section 4.1.2.1: ASCII that can be seen.
  const words = (description || error).replace(/[^ -~]/g, "").slice(0, 200);
  if (error) throw failed(`${issuer?.name} answered: “${words}”.`);
  return { code, state };
}

const asked = (purpose: "sign-in" | "step-up") =>
  post("/session/code/options", { purpose }, { anonymous: true, isQuestion: true });

/** Leaves for the issuer, which sends this window back to go on at `next`. */
export async function leave(next: string): Promise<never> {
  const { url } = await asked("sign-in");
  sessionStorage.setItem(NEXT, next);
  location.assign(url);
  return new Promise((_, reject) => {
    addEventListener("pageshow", () => reject(failed("You came back before you had signed in.")), { once: true });
  });
}

/**
 * Has the person sign in at the issuer in a window beside this one. Browsers open one only in a click. Since the issuer may cut
 * the two windows apart, they talk by a channel; that this one was gone back to is a sign that the other one was closed.
 */
export async function inWindow(purpose: "sign-in" | "step-up"): Promise<Code> {
  sessionStorage.removeItem(NEXT);
  const beside = open("about:blank", "", "popup,width=500,height=700");
  if (!beside) throw failed("Your browser has blocked the window. Allow this page to open windows, and try again.");
  const channel = new BroadcastChannel(CHANNEL);
  const over = new AbortController();
  try {
    const { url } = await asked(purpose);
    const own = new URL(url).searchParams.get("state");
    if (beside.closed) throw failed("You have closed the window before you had signed in.");
    beside.location.replace(url);
    const query = await new Promise<URLSearchParams>((resolve, reject) => {
      channel.onmessage = ({ data }: MessageEvent<string>) => {
        const query = new URLSearchParams(data);
        if (query.get("state") !== own) return;
        channel.postMessage(`taken=${own}`);
        resolve(query);
      };
      addEventListener("focus", () => reject(failed("You came back before you had signed in.")), over);
    });
    return codeOf(query);
  } catch (problem) {
    beside.close();
    throw problem;
  } finally {
    over.abort();
    channel.close();
  }
}

/** Hands over to the window beside which this one was opened, and closes once that has taken it. */
export function handOver(query: URLSearchParams) {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = ({ data }: MessageEvent<string>) => data === `taken=${query.get("state")}` && close();
  channel.postMessage(`${query}`);
  return () => channel.close();
}
