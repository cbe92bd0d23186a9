// Elements from plain data. Strings always become text nodes: nothing here, or anywhere in the page,
// parses data as HTML.

const PROPERTIES = new Set(["checked", "disabled", "hidden", "readOnly", "required", "selected", "value"]);

/**
 * An element. A property `onclick` is a listener for `click`; null, undefined and false are left out,
 * among the children too.
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  element.append(...present(children));
  // After the children: a select takes its value only once it has its options.
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

/** Replaces what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false);
}

let lastId = 0;

/** An id that no other element of the page has. */
export function uniqueId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

/** A link to a view of the page. */
export function link(path, text, props) {
  return h("a", { href: `#${path}`, ...props }, text);
}

/** A button that submits nothing. */
export function button(text, onclick, props) {
  return h("button", { type: "button", onclick, ...props }, text);
}

/** Says something in passing, to eyes and screen readers. For what must not be missed use an alert. */
export function announce(text) {
  const region = document.getElementById("status");
  clearTimeout(announce.timer);
  fill(region, h("p", null, text));
  announce.timer = setTimeout(() => region.replaceChildren(), 6000);
}
