// Hash routing: which view belongs to an address, and what happens on the way from one to the next.

import { Problem } from "./api.js";
import { fill, find, h } from "./dom.js";
import { problemAlert } from "./form.js";

/** @import { Child } from "./dom.js" */
/**
 * What is shown at an address. `leave` is asked before another view takes its place, and may say no.
 * @typedef {{ title: string, node: Child, leave?: () => boolean | Promise<boolean> }} View
 */
/** @typedef {{ params: Record<string, string>, query: URLSearchParams }} Address */
/** @typedef {(address: Address) => View | Promise<View>} ViewMaker */

/** @type {{ expression: RegExp, names: string[], view: ViewMaker }[]} */
const routes = [];
/** @type {{ path: string | null, leave: View["leave"] | null }} */
let current = { path: null, leave: null };
/**
 * The address that is being loaded, if one is.
 * @type {string | null}
 */
let loading = null;
let navigation = 0;
/** @type {(path: string) => Promise<string>} */
let around = async (path) => path;

/**
 * Adds a view for a path like `/keys/:id`.
 * @param {string} pattern
 * @param {ViewMaker} view
 */
export function route(pattern, view) {
  /** @type {string[]} */
  const names = [];
  const source = pattern.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  routes.push({ expression: new RegExp(`^${source}$`), names, view });
}

/** Where we are: `/keys?status=ACTIVE`. */
export const here = () => location.hash.slice(1) || "/";

/**
 * Goes to a view.
 * @param {string} path
 */
export function go(path) {
  if (here() === path) void render();
  else location.hash = path;
}

/**
 * Goes to a view that takes the place of this one in the history.
 * @param {string} path
 */
export function replace(path) {
  history.replaceState(null, "", `#${path}`);
  void render();
}

/**
 * Changes the address of the view that is shown, without showing it anew. The address of a view that is being left stays.
 * @param {string} path
 */
export function rename(path) {
  if (loading !== null) return;
  history.replaceState(null, "", `#${path}`);
  current.path = path;
}

/**
 * Shows the view of the address, and each one that follows.
 * @param {(path: string) => Promise<string>} before may answer with another path
 */
export function start(before) {
  around = before;
  addEventListener("hashchange", onHashChange);
  void render();
}

async function onHashChange() {
  if (here() === "main") {
    // The skip link: a place in this view, not another view.
    history.replaceState(null, "", `#${loading ?? current.path}`);
    find(document, "main").focus();
    return;
  }
  // Back at what is shown, while another view was being loaded.
  if (here() === current.path) return stay();
  if (current.leave) {
    const wanted = here();
    history.replaceState(null, "", `#${current.path}`);
    if (!(await current.leave())) return;
    current.leave = null;
    history.replaceState(null, "", `#${wanted}`);
  }
  void render();
}

/** Whatever is being loaded is not shown any more. */
function stay() {
  navigation += 1;
  loading = null;
  find(document, "main").removeAttribute("aria-busy");
}

async function render() {
  const turn = ++navigation;
  const first = current.path === null;
  const main = find(document, "main");
  const wanted = here();
  loading = wanted;
  main.setAttribute("aria-busy", "true");
  const { path, view } = await load(wanted);
  // The address has changed meanwhile: another turn shows what it says now. Its event may not have come yet.
  if (turn !== navigation || here() !== wanted) return;
  loading = null;
  if (path !== here()) history.replaceState(null, "", `#${path}`);
  current = { path, leave: view.leave ?? null };
  document.title = `${view.title} · Keyward`;
  fill(main, view.node);
  main.removeAttribute("aria-busy");
  // A new view begins at its top, for eyes and for screen readers.
  scrollTo(0, 0);
  /** @type {HTMLElement | null} */
  const target = main.querySelector("[data-focus]") ?? (first ? null : main.querySelector("h1"));
  target?.focus({ preventScroll: true });
}

/**
 * What an address shows, once `around` has had its say.
 * @param {string} wanted
 * @returns {Promise<{ path: string, view: View }>}
 */
async function load(wanted) {
  let path = wanted;
  try {
    path = await around(wanted);
    const [pathname, search] = path.split("?");
    for (const { expression, names, view } of routes) {
      const match = expression.exec(pathname);
      if (!match) continue;
      const params = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(match[index + 1])]));
      return { path, view: await view({ params, query: new URLSearchParams(search) }) };
    }
    return { path, view: notFound("There is no such page here.") };
  } catch (problem) {
    if (problem instanceof URIError) return { path, view: notFound("There is no such page here.") };
    if (problem instanceof Problem && problem.status === 404) return { path, view: notFound(problem.message) };
    const node = [heading("This cannot be shown"), problemAlert(problem, render)];
    return { path, view: { title: "Problem", node } };
  }
}

/** @param {string} text */
const notFound = (text) => ({ title: "Not found", node: [heading("Not found"), h("p", null, text)] });

/**
 * The heading that gets the focus when its view is shown.
 * @param {Child[]} children
 */
export const heading = (...children) => h("h1", { tabindex: "-1" }, ...children);
