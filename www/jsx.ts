// What elements are made with: the build names it in each file (scripts/lib/page.mjs).

export { Fragment, h } from "preact";
