// The lines of the log that are written while there is no instance. All others are in crates/core/src/log.rs.

/** @typedef {"panic" | "started over"} Event Its name; docs/log.md has a row for each. */

/** @param {Event} event */
export const logError = (event) => console.error(JSON.stringify({ event }));
