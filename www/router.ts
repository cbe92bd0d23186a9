// Hash routing: which screen belongs to an address, and what happens on the way from one to the next.

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

/** What is shown at an address. */
export interface Screen {
  title: string;
  node: ComponentChildren;
}

export interface Address {
  params: Record<string, string>;
  query: URLSearchParams;
}

type ScreenMaker = (address: Address) => Screen | Promise<Screen>;

/** What the frame shows: a screen, and whether another one is being loaded. */
export interface Shown {
  path: string;
  screen: Screen;
  /** Grows with each screen that is shown. */
  turn: number;
  isFirst: boolean;
  /** How far down it was when it was left, if it is gone back to. */
  top: number;
}

const routes: { expression: RegExp; names: string[]; screen: ScreenMaker }[] = [];
/** What is shown; null before the first screen. */
let shown: Shown | null = null;
/** The address that is being loaded, if one is. */
let loading: string | null = null;
let navigation = 0;
let around: (path: string) => Promise<string> = async (path) => path;
let failed: (problem: unknown, retry: () => void) => Screen;
let tell: (shown: Shown | null, isLoading: boolean) => void = () => {};

/** Adds a screen for a path like `/keys/:id`. */
export function route(pattern: string, screen: ScreenMaker) {
  const names: string[] = [];
  const source = pattern.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  routes.push({ expression: new RegExp(`^${source}$`), names, screen });
}

/** Where we are: `/keys?status=ACTIVE`. */
export const here = () => location.hash.slice(1) || "/";

// Each entry of the history has a number, under which its place on the screen is remembered while the page is open.
const tops = new Map<number, number>();
// From now on: numbers of before a reload mean nothing.
let places = Date.now();
let place = places;

const placeOf = (state: unknown) => (typeof state === "number" ? state : null);

/** Remembers how far down the screen is that is about to be left. */
const remember = () => tops.set(place, scrollY);

/** Goes to a screen. */
export function go(path: string) {
  if (here() === path) void render();
  else location.hash = path;
}

/** Goes to a screen that takes the place of this one in the history. */
export function replace(path: string) {
  places += 1;
  history.replaceState(places, "", `#${path}`);
  void render();
}

/** Changes the address of the screen that is shown, without showing it anew. The address of one that is being left stays. */
export function rename(path: string) {
  if (loading !== null || shown === null) return;
  history.replaceState(place, "", `#${path}`);
  shown.path = path;
}

/** Shows the screen of the address anew. */
export const reload = () => void render();

/**
 * Shows the screen of the address, and each one that follows. `before` may answer with another path; `problem` shows what
 * has failed; `show` is told of each change.
 */
export function start(before: typeof around, problem: typeof failed, show: typeof tell) {
  around = before;
  failed = problem;
  tell = show;
  history.scrollRestoration = "manual";
  history.replaceState(place, "");
  addEventListener("hashchange", () => void onHashChange());
  void render();
}

/** Where whoever is signed in begins. */
export const HOME = "/overview";

/** Asks whether a screen may be left. */
type Guard = () => boolean | Promise<boolean>;
const guards = new Set<Guard>();

/** While a component is there, `guard` is asked before another screen takes the place of its own. */
export function useGuard(guard: Guard) {
  useEffect(() => {
    guards.add(guard);
    return () => {
      guards.delete(guard);
    };
  }, [guard]);
}

async function mayLeave() {
  for (const guard of guards) if (!(await guard())) return false;
  return true;
}

async function onHashChange() {
  const shownPath = shown?.path ?? "/";
  if (here() === "main") {
    // The skip link: a place on this screen, not another one.
    history.replaceState(place, "", `#${loading ?? shownPath}`);
    document.getElementById("main")?.focus();
    return;
  }
  // Back at what is shown, while another screen was being loaded.
  if (shown && here() === shownPath) return stay();
  if (guards.size > 0) {
    const wanted = here();
    const state: unknown = history.state;
    history.replaceState(place, "", `#${shownPath}`);
    if (!(await mayLeave())) return;
    history.replaceState(state, "", `#${wanted}`);
  }
  void render();
}

/** Whatever is being loaded is not shown any more. */
function stay() {
  navigation += 1;
  loading = null;
  tell(shown, false);
}

async function render() {
  navigation += 1;
  const turn = navigation;
  const wanted = here();
  loading = wanted;
  remember();
  tell(shown, true);
  const { path, screen } = await load(wanted);
  // The address has changed meanwhile: another turn shows what it says now. Its event may not have come yet.
  if (turn !== navigation || here() !== wanted) return;
  loading = null;
  // A screen begins at its top; one that is gone back to, where it was.
  const known = placeOf(history.state);
  if (known === null) places += 1;
  place = known ?? places;
  const top = known === null ? 0 : (tops.get(place) ?? 0);
  history.replaceState(place, "", `#${path}`);
  document.title = `${screen.title} · Keyward`;
  shown = { path, screen, turn, top, isFirst: shown === null };
  tell(shown, false);
}

/** What an address shows, once `around` has had its say. */
async function load(wanted: string): Promise<{ path: string; screen: Screen }> {
  let path = wanted;
  try {
    // What the first screen reads is asked for while it is found out who asks.
    if (shown === null) made(wanted === "/" ? HOME : wanted).catch(() => {});
    path = await around(wanted);
    return { path, screen: (await made(path)) ?? failed(null, reload) };
  } catch (problem) {
    return { path, screen: failed(problem, reload) };
  }
}

/** The screen of a path, if there is one. */
async function made(path: string) {
  const [pathname = "", search] = path.split("?");
  for (const { expression, names, screen } of routes) {
    const match = expression.exec(pathname);
    if (!match) continue;
    const params = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(match[index + 1])]));
    return screen({ params, query: new URLSearchParams(search) });
  }
  return null;
}
