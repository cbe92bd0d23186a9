// Forms: a label, a hint and a place for an error with each control; problems shown where they belong.

import { Problem } from "./api.js";
import { button, fill, h, uniqueId } from "./dom.js";
import { duration } from "./format.js";

/** A text input, or with `rows` a text area. */
export function input(name, props) {
  const plain = { name, autocomplete: "off", spellcheck: "false", ...props };
  return props?.rows ? h("textarea", plain) : h("input", { type: "text", ...plain });
}

/** A select of `[value, text]` pairs. */
export function select(name, options, value, props) {
  const choices = options.map(([key, text]) => h("option", { value: key }, text));
  return h("select", { name, ...props, value }, choices);
}

/** A control with its label above, and its hint and error below. */
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

/** Several controls under one legend, with one place for an error about all of them. */
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

/** A radio button or checkbox with its text beside it and a hint below. */
export function choice(type, name, value, label, hint, props) {
  const id = uniqueId("choice");
  const control = h("input", { type, name, value, id, "aria-describedby": hint && `${id}-hint`, ...props });
  return h(
    "div",
    { class: "choice" },
    control,
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}

/** An empty region in which problems of a form or view appear. */
export const alertRegion = () => h("div", { role: "alert", class: "alerts", "data-testid": "alert" });

/** A problem in words, in a region of its own. With `retry`, offers to try again where that may help. */
export function problemAlert(problem, retry) {
  return fill(alertRegion(), problemNodes(problem, retry));
}

function problemNodes(problem, retry) {
  const known = problem instanceof Problem;
  // biome-ignore lint/suspicious/noConsole: a mistake of the page itself; it is said so, and the trace is here.
  if (!known) console.error(problem);
  const facts = [
    known && problem.code && `Code ${problem.code}`,
    known && problem.requestId && `request ${problem.requestId}`,
    known && whenToTryAgain(problem),
  ].filter(Boolean);
  return h(
    "div",
    { class: "alert" },
    h("p", null, known ? problem.message : "The page made a mistake. Reload it and try again."),
    facts.length > 0 && h("p", { class: "faint" }, facts.join(" · ")),
    retry && problem.passing && button("Try again", retry, { class: "small" }),
  );
}

function whenToTryAgain(problem) {
  if (problem.retryAfter) return `try again in ${duration(problem.retryAfter)}`;
  return problem.passing && "try again in a moment";
}

/**
 * A form. `onsubmit` gets the form and may throw: what is wrong with a field is shown beside it, all
 * else above. While it runs, a second submit does nothing.
 */
export function form({ onsubmit, submit, cancel, danger, ...props }, ...children) {
  const alerts = alertRegion();
  const submitButton = h("button", { type: "submit", class: danger ? "danger" : "primary" }, submit);
  const element = h(
    "form",
    { novalidate: true, ...props },
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
      await onsubmit(element);
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

function clearProblems(element, alerts) {
  alerts.replaceChildren();
  for (const node of element.querySelectorAll("[data-field]")) {
    node.querySelector(".error").replaceChildren();
    node.classList.remove("wrong");
  }
  for (const control of element.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

function showProblem(element, alerts, problem) {
  const homeless = [];
  for (const { field: name, message } of problem.errors ?? []) {
    const home = fieldOf(element, name);
    if (!home) {
      homeless.push(`${name}: ${message}`);
      continue;
    }
    home.classList.add("wrong");
    home.querySelector(".error").append(h("span", null, sentence(name, message)));
    if (home.localName !== "fieldset") controlOf(home).setAttribute("aria-invalid", "true");
  }
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

/** The API's messages go on from the field's name: `must be …`. In a list, say which entry. */
function sentence(name, message) {
  const entry = /\[(\d+)\]$/.exec(name);
  if (entry) return `Entry ${Number(entry[1]) + 1} ${message}.`;
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
}

const controlOf = (home) =>
  home.querySelector("input:not([type=hidden]):not(:disabled), select, textarea, button") ?? home;

/** The place of `rateLimit.perMinute` or `allowedIps[2]`: the field itself, else what it is a part of. */
function fieldOf(element, name) {
  for (let part = name; part; part = part.replace(/(^|[.[])[^.[]*$/, "")) {
    const home = element.querySelector(`[data-field="${CSS.escape(part)}"]`);
    if (home && !home.closest("[hidden]")) return home;
  }
  return null;
}
