// The one moment in which the text of a key, or of a link, is on the page. It is held by the banner's node alone,
// and gone with it: when the banner is closed, when the page is left, when the page goes into the back-forward cache.

import { ask } from "./dialog.js";
import { announce, button, h } from "./dom.js";

/**
 * Makes a key or a link and shows it. Whoever wants to leave meanwhile stays until it is there, or until it is known why it is not:
 * otherwise it would be made, and never shown.
 * @param {"key" | "link"} what
 */
export function shownOnceMade(what) {
  /** @type {ReturnType<typeof shownOnce> | null} */
  let banner = null;
  /** @type {Promise<void> | null} */
  let underWay = null;

  /** @param {BeforeUnloadEvent} event */
  const warn = (event) => event.preventDefault();

  /**
   * Runs `work`, which makes it and shows it with the function that it is given.
   * @param {(show: (secret: string, onsaved: () => void) => ReturnType<typeof shownOnce>) => Promise<void>} work
   */
  async function make(work) {
    addEventListener("beforeunload", warn);
    underWay = work((secret, onsaved) => {
      banner = shownOnce(what, secret, onsaved);
      return banner;
    });
    try {
      await underWay;
    } finally {
      underWay = null;
      removeEventListener("beforeunload", warn);
    }
  }

  /** As a view's. */
  async function leave() {
    if (underWay) {
      announce(`The ${what} is being made. It will be shown in a moment.`);
      try {
        await underWay;
      } catch {
        // The form says why.
        return false;
      }
    }
    return banner?.leave() ?? true;
  }

  return { make, leave };
}

/**
 * The banner: its node, a function that puts the focus on it, and `leave` for the router.
 * @param {"key" | "link"} what
 * @param {string} secret
 * @param {() => void} onsaved called when the owner says that it is saved
 */
function shownOnce(what, secret, onsaved) {
  const text = h(
    "code",
    { class: "new-key", "data-testid": `new-${what}`, tabindex: "0", "aria-label": `The new ${what}` },
    secret,
  );
  const copyButton = button(`Copy ${what}`, copy, { class: "primary", "data-testid": `copy-${what}` });
  const title = h("h2", { id: "new-key-title", tabindex: "-1" }, `Copy this ${what} now`);
  const node = h(
    "section",
    { class: "banner", "aria-labelledby": "new-key-title" },
    title,
    h("p", null, "It is shown only once. Only a hash of it is kept, so nobody can show it again."),
    text,
    h("div", { class: "actions" }, copyButton, button("I have saved it", saved)),
  );

  async function copy() {
    try {
      await navigator.clipboard.writeText(text.textContent ?? "");
      copyButton.textContent = "Copied";
      announce(`The ${what} is in the clipboard.`);
    } catch {
      // No permission, or no secure context: select it, so that one keystroke copies it.
      getSelection()?.selectAllChildren(text);
      announce(`The browser did not allow copying. The ${what} is selected: copy it with Ctrl+C or ⌘C.`);
    }
  }

  function saved() {
    close();
    onsaved();
  }

  function close() {
    text.textContent = "";
    node.remove();
    removeEventListener("beforeunload", warn);
    removeEventListener("pagehide", close);
  }

  /** @param {BeforeUnloadEvent} event */
  function warn(event) {
    if (node.isConnected) event.preventDefault();
  }

  async function leave() {
    if (!node.isConnected) return true;
    const sure = await ask(
      {
        title: `Leave without saving the ${what}?`,
        submit: "Leave",
        danger: true,
        dismiss: "Stay",
        onsubmit: () => undefined,
      },
      h(
        "p",
        null,
        `The ${what} is shown only once. If you have not saved it, it is lost, and you will need another one.`,
      ),
    );
    if (sure) close();
    return Boolean(sure);
  }

  addEventListener("beforeunload", warn);
  addEventListener("pagehide", close);
  return { node, leave, focus: () => title.focus() };
}
