// Picks scopes from a realm's catalogue: `area:action` by area, what a scope includes shown as held,
// `area:*` and `*` offered with a warning.

import { fill, find, h } from "./dom.js";
import { choice, group } from "./form.js";

/** @import { Child, Props } from "./dom.js" */
/** @import { Scope } from "../types/admin-api.js" */

/**
 * Every scope of the catalogue that these ones hold, themselves included.
 * @param {Scope[]} catalogue
 * @param {string[]} scopes
 */
export function held(catalogue, scopes) {
  const all = new Set(scopes);
  for (const { name } of catalogue) {
    if (all.has("*") || all.has(`${areaOf(name)}:*`)) all.add(name);
  }
  for (const { name, includes } of catalogue) {
    if (all.has(name)) for (const included of includes) all.add(included);
  }
  return all;
}

/** @param {Scope} scope */
function hintOf({ description, grant, grantable }) {
  if (grantable) return description;
  const why = grant === "reserved" ? "Reserved: no key can hold it yet." : "Only an admin or owner can grant it.";
  return `${description}. ${why}`;
}

const areaOf = (/** @type {string} */ scope) => scope.replace(/:.*/s, "");

/**
 * `{node, value()}` for a catalogue.
 * @param {Scope[]} catalogue
 * @param {string[]} picked
 */
export function scopePicker(catalogue, picked = []) {
  /** @type {Map<string, { box: HTMLInputElement, node: HTMLElement, own: boolean }>} By scope; `own`: picked itself. */
  const boxes = new Map();

  /**
   * @param {string} name
   * @param {Child} label
   * @param {Child} hint
   * @param {Props} [props]
   */
  const option = (name, label, hint, props) => {
    const own = picked.includes(name);
    const node = choice("checkbox", "scopes", name, label, hint, { checked: own, onchange, ...props });
    const box = find(node, "input");
    const entry = { box, node, own };
    boxes.set(name, entry);
    return node;

    function onchange() {
      entry.own = box.checked;
      show();
    }
  };

  const areas = byArea(catalogue);
  const sections = [...areas].map(([area, scopes]) =>
    h(
      "fieldset",
      { class: "area" },
      h("legend", null, area),
      scopes.map((scope) =>
        option(scope.name, h("code", null, scope.name), hintOf(scope), { "data-fixed": !scope.grantable }),
      ),
      option(`${area}:*`, h("code", null, `${area}:*`), `Everything in ${area}, including scopes added later.`),
    ),
  );

  // What a key holds and the catalogue no longer names must not get lost by an edit of something else.
  const listed = new Set([...boxes.keys(), "*"]);
  const strays = picked.filter((name) => !listed.has(name));
  if (strays.length) {
    sections.push(
      h(
        "fieldset",
        { class: "area" },
        h("legend", null, "No longer in the catalogue"),
        strays.map((name) => option(name, h("code", null, name), "The policy no longer has this scope.")),
      ),
    );
  }

  const everything = option("*", h("code", null, "*"), "Everything in this realm, including scopes added later.");
  const warning = h("p", { class: "warning", role: "status", hidden: true });
  const node = group(
    "scopes",
    "Scopes",
    h("p", { class: "hint" }, "Grant as few as possible."),
    h("div", { class: "areas" }, sections),
    everything,
    warning,
  );

  const value = () => [...boxes].filter(([, { own }]) => own).map(([name]) => name);

  function show() {
    const all = held(catalogue, value());
    for (const [name, { box, node: row, own }] of boxes) {
      const implied = !own && all.has(name);
      box.checked = own || implied;
      box.disabled = implied || (box.hasAttribute("data-fixed") && !own);
      row.classList.toggle("implied", implied);
    }
    const wide = value().filter((name) => name.endsWith("*"));
    warning.hidden = wide.length === 0;
    fill(
      warning,
      wide.includes("*")
        ? "This key may do everything, now and in future. So can anyone who finds it."
        : `This key gets every scope of ${wide.map(areaOf).join(" and ")}, including those that do not exist yet.`,
    );
  }

  show();
  return { node, value };
}

/** @param {Scope[]} catalogue */
function byArea(catalogue) {
  /** @type {Map<string, Scope[]>} */
  const areas = new Map();
  for (const scope of catalogue) {
    const area = areaOf(scope.name);
    areas.set(area, [...(areas.get(area) ?? []), scope]);
  }
  return areas;
}
