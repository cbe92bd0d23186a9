// Elements from plain data. Strings always become text nodes: nothing here, or anywhere in the page,
// parses data as HTML.

/** @typedef {Node | string | false | null | undefined | Child[]} Child What stands in an element; nothing, if it is false or there is none. */
/** @typedef {Record<string, string | boolean | null | undefined | ((event: Event) => unknown)>} Props Attributes, properties and listeners of an element. */

const PROPERTIES = new Set(["checked", "disabled", "hidden", "readOnly", "required", "selected", "value"]);

/**
 * An element. A property `onclick` is a listener for `click`; null, undefined and false are left out,
 * among the children too.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props | null} [props]
 * @param {Child[]} children
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  element.append(...present(children));
  // After the children: a select takes its value only once it has its options.
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) Object.assign(element, { [name]: value });
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

/**
 * Replaces what is in an element.
 * @template {Element} Parent
 * @param {Parent} element
 * @param {Child[]} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function present(children) {
  return children.flatMap((child) => {
    if (Array.isArray(child)) return present(child);
    return child === undefined || child === null || child === false ? [] : [child];
  });
}

/**
 * The first element within another that a selector names. That there is one is the page's own doing.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @overload
 * @param {ParentNode} root
 * @param {Tag} selector
 * @returns {HTMLElementTagNameMap[Tag]}
 */
/**
 * @overload
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {HTMLElement}
 */
/**
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {Element}
 */
export function find(root, selector) {
  const element = root.querySelector(selector);
  if (!element) throw new Error(`there is no ${selector}`);
  return element;
}

let lastId = 0;

/**
 * An id that no other element of the page has.
 * @param {string} stem
 */
export function uniqueId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

/**
 * A link to a view of the page.
 * @param {string} path
 * @param {Child} text
 * @param {Props} [props]
 */
export function link(path, text, props) {
  return h("a", { href: `#${path}`, ...props }, text);
}

/**
 * A button that submits nothing.
 * @param {Child} text
 * @param {() => unknown} onclick
 * @param {Props} [props]
 */
export function button(text, onclick, props) {
  return h("button", { type: "button", onclick, ...props }, text);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let announced;

/**
 * Says something in passing, to eyes and screen readers. For what must not be missed use an alert.
 * @param {string} text
 */
export function announce(text) {
  const region = find(document, "#status");
  clearTimeout(announced);
  fill(region, h("p", null, text));
  announced = setTimeout(() => region.replaceChildren(), 6000);
}
