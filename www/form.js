// Forms: a label, a hint and a place for an error with each control; problems shown where they belong.

import { Problem } from "./api.js";
import { button, fill, find, h, uniqueId } from "./dom.js";
import { duration } from "./format.js";

/** @import { Child, Props } from "./dom.js" */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

const PLAIN = { autocomplete: "off", spellcheck: "false" };

/**
 * A text input.
 * @param {string} name
 * @param {Props} [props]
 */
export const input = (name, props) => h("input", { type: "text", name, ...PLAIN, ...props });

/**
 * An input for a time in the person's own zone, to the second.
 * @param {string} name
 * @param {string} label
 * @param {string | null} [iso]
 */
export function localTime(name, label, iso) {
  const at = iso ? new Date(iso) : null;
  // The form that it wants is local time without a zone.
  const value = at ? new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19) : "";
  return input(name, { type: "datetime-local", step: "1", value, "aria-label": label });
}

/**
 * A text area.
 * @param {string} name
 * @param {Props} [props]
 */
export const textArea = (name, props) => h("textarea", { name, ...PLAIN, ...props });

/**
 * A select of `[value, text]` pairs.
 * @param {string} name
 * @param {string[][]} options
 * @param {string} [value]
 * @param {Props} [props]
 */
export function select(name, options, value, props) {
  const choices = options.map(([key, text]) => h("option", { value: key }, text));
  return h("select", { name, ...props, value }, choices);
}

/**
 * A control with its label above, and its hint and error below.
 * @param {string} label
 * @param {Control} control
 * @param {Child} [hint]
 */
export function field(label, control, hint) {
  control.id ||= uniqueId("field");
  const { id } = control;
  const hintNode = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  control.setAttribute("aria-describedby", hint ? `${id}-hint ${id}-error` : `${id}-error`);
  return h(
    "div",
    { class: "field", "data-field": control.name },
    h("label", { for: id }, label),
    control,
    hintNode,
    h("p", { class: "error", id: `${id}-error` }),
  );
}

/**
 * Several controls under one legend, with one place for an error about all of them.
 * @param {string} name
 * @param {string} legend
 * @param {Child[]} children
 */
export function group(name, legend, ...children) {
  const id = uniqueId("group");
  return h(
    "fieldset",
    { class: "field", "data-field": name, "aria-describedby": `${id}-error` },
    h("legend", null, legend),
    children,
    h("p", { class: "error", id: `${id}-error` }),
  );
}

/**
 * A radio button or checkbox with its text beside it and a hint below.
 * @param {"radio" | "checkbox"} type
 * @param {string} name
 * @param {string} value
 * @param {Child} label
 * @param {Child} hint
 * @param {Props} [props]
 */
export function choice(type, name, value, label, hint, props) {
  const id = uniqueId("choice");
  const control = h("input", { type, name, value, id, "aria-describedby": hint ? `${id}-hint` : null, ...props });
  return h(
    "div",
    { class: "choice" },
    control,
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}

/**
 * Whether a `choice` is chosen.
 * @param {HTMLElement} node
 */
export const isChosen = (node) => find(node, "input").checked;

/**
 * A number as people type it: digits only. What is anything else goes to the server as it is, which says what is wrong with it;
 * `Number` would take `0x10` and `1e3`.
 * @param {string} typed
 * @returns {number | string}
 */
export const wholeNumber = (typed) => (/^[0-9]{1,15}$/.test(typed) ? Number(typed) : typed);

/** An empty region in which problems of a form or view appear. */
export const alertRegion = () => h("div", { role: "alert", class: "alerts", "data-testid": "alert" });

/**
 * A problem in words, in a region of its own. With `retry`, offers to try again where that may help.
 * @param {unknown} problem
 * @param {() => unknown} [retry]
 */
export function problemAlert(problem, retry) {
  return fill(alertRegion(), problemNodes(problem, retry));
}

/**
 * @param {unknown} problem
 * @param {() => unknown} [retry]
 */
function problemNodes(problem, retry) {
  if (!(problem instanceof Problem)) {
    // biome-ignore lint/suspicious/noConsole: a mistake of the page itself. Whoever mends it needs the trace.
    console.error(problem);
    return h("div", { class: "alert" }, h("p", null, "The page made a mistake. Reload it and try again."));
  }
  const facts = [
    problem.code && `Code ${problem.code}`,
    problem.requestId && `request ${problem.requestId}`,
    whenToTryAgain(problem),
  ].filter(Boolean);
  return h(
    "div",
    { class: "alert" },
    h("p", null, problem.message),
    facts.length > 0 && h("p", { class: "faint" }, facts.join(" · ")),
    retry && problem.passing && button("Try again", retry, { class: "small" }),
  );
}

/** @param {Problem} problem */
function whenToTryAgain(problem) {
  if (problem.retryAfter) return `try again in ${duration(problem.retryAfter)}`;
  return problem.passing && "try again in a moment";
}

/**
 * A form. `onsubmit` may throw: what is wrong with a field is shown beside it, all else above. While it
 * runs, a second submit does nothing.
 * @param {{ submit: string, onsubmit: () => unknown, cancel?: Child, danger?: boolean }} what
 * @param {Child[]} children
 */
export function form({ submit, onsubmit, cancel, danger }, ...children) {
  const alerts = alertRegion();
  const submitButton = h("button", { type: "submit", class: danger ? "danger" : "primary" }, submit);
  const element = h(
    "form",
    { novalidate: true },
    alerts,
    children,
    h("div", { class: "actions" }, submitButton, cancel),
  );
  let busy = false;

  async function run() {
    if (busy) return;
    busy = true;
    submitButton.setAttribute("aria-disabled", "true");
    clearProblems(element, alerts);
    try {
      await onsubmit();
    } catch (problem) {
      showProblem(element, alerts, problem);
    } finally {
      busy = false;
      submitButton.removeAttribute("aria-disabled");
    }
  }

  element.addEventListener("submit", (event) => {
    event.preventDefault();
    void run();
  });
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {HTMLElement} alerts
 */
function clearProblems(element, alerts) {
  alerts.replaceChildren();
  for (const node of element.querySelectorAll("[data-field]")) {
    find(node, ".error").replaceChildren();
    node.classList.remove("wrong");
  }
  for (const control of element.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

/**
 * @param {HTMLElement} element
 * @param {HTMLElement} alerts
 * @param {unknown} problem
 */
function showProblem(element, alerts, problem) {
  const homeless = [];
  const errors = problem instanceof Problem ? problem.errors : [];
  for (const { field: name, message } of errors) {
    const home = fieldOf(element, name);
    if (!home) {
      homeless.push(`${name}: ${message}`);
      continue;
    }
    home.classList.add("wrong");
    find(home, ".error").append(h("span", null, sentence(name, message)));
    if (home.localName !== "fieldset") controlOf(home).setAttribute("aria-invalid", "true");
  }
  /** @type {HTMLElement | null} */
  const first = element.querySelector("[data-field].wrong");
  if (!first || homeless.length) {
    fill(
      alerts,
      problemNodes(problem),
      homeless.map((text) => h("p", { class: "alert" }, text)),
    );
  }
  if (first) controlOf(first).focus();
}

/**
 * The API's messages go on from the field's name: `must be …`. In a list, say which entry.
 * @param {string} name
 * @param {string} message
 */
function sentence(name, message) {
  const entry = /\[(\d+)\]$/.exec(name);
  if (entry) return `Entry ${Number(entry[1]) + 1} ${message}.`;
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

/**
 * @param {HTMLElement} home
 * @returns {HTMLElement}
 */
const controlOf = (home) =>
  home.querySelector("input:not([type=hidden]):not(:disabled), select, textarea, button") ?? home;

/**
 * The place of `rateLimit.perMinute` or `allowedIps[2]`: the field itself, else what it is a part of.
 * @param {HTMLElement} element
 * @param {string} name
 */
function fieldOf(element, name) {
  for (let part = name; part; part = part.replace(/(^|[.[])[^.[]*$/, "")) {
    /** @type {HTMLElement | null} */
    const home = element.querySelector(`[data-field="${CSS.escape(part)}"]`);
    if (home && !home.closest("[hidden]")) return home;
  }
  return null;
}
