// Commands of the documents, run as a reader would run them: blocks of `sh` in the order in which they stand, with the answers that
// stand below them as `text`.
//
// In an answer `…` stands for what differs each time, within a line; a line that is nothing else, for any number of lines.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { root } from "../../../scripts/lib/places.mjs";
import { run as start } from "./project.mjs";
import { waitFor } from "./wait.mjs";

/** @import { TestContext } from "node:test" */
/** @typedef {{ document: string, line: number, heading: string, lang: string, text: string, answer?: string }} Block `line`: of its first line of text; `heading`: the one above; `answer`: what stands below a command */

/** The addresses at which documents say that the gate is, and an origin of theirs. */
const GATE = "http://127.0.0.1:8787";
const GATES = [GATE, "https://api.example.com", "https://YOUR-HOST"];

/**
 * The blocks of code of a document, also those in lists, without their indentation.
 * @param {string} document relative to the root
 */
export function blocksOf(document) {
  /** @type {Block[]} */
  const blocks = [];
  let heading = "";
  /** @type {{ block: Block, indent: string, lines: string[] } | undefined} */
  let open;
  for (const [at, line] of readFileSync(join(root, document), "utf8").split("\n").entries()) {
    const [, indent, lang] = line.match(/^( *)```(\w*)$/) ?? [];
    if (open && lang === "" && indent === open.indent) {
      const block = { ...open.block, text: open.lines.join("\n") };
      const above = blocks.at(-1);
      const isAnswer = block.lang === "text" && above?.lang === "sh" && above.heading === heading;
      if (isAnswer && above.answer === undefined) above.answer = block.text;
      else blocks.push(block);
      open = undefined;
    } else if (open) open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    else if (lang !== undefined)
      open = { block: { document, line: at + 2, heading, lang, text: "" }, indent, lines: [] };
    else heading = line.match(/^#+ (.+)$/)?.[1] ?? heading;
  }
  assert.equal(open, undefined, `${document}: a block has no end`);
  return blocks;
}

/**
 * An answer as a pattern of all that may be printed in its place.
 * @param {string} answer
 */
function patternOf(answer) {
  const lines = answer.split("\n").map((line) =>
    line.trim() === "…"
      ? "(?:.*\n)*?"
      : `${line
          .split("…")
          .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"))
          .join(".*")}\n`,
  );
  return new RegExp(`^${lines.join("")}$`);
}

/** @param {TestContext} t */
function emptyFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-commands-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

/** A block whose only line starts a server of Node's, in a terminal of its own. */
const SERVER = /^node (\S+\.mjs)$/;

/**
 * Runs the commands of these blocks in one shell, in an empty folder with the files among them: a `js` block whose first line is a comment
 * with a name is that file. Each command must succeed, and print its answer if it has one.
 * @param {TestContext} t
 * @param {Block[]} blocks
 * @param {{ folder?: string, gate?: string, origin?: string, files?: Record<string, string>, links?: Record<string, string>, env?: Record<string, string>, values?: Record<string, string> }} options
 *   `folder`: where, in place of an empty one; `gate`: where it is; `origin`: the port of 127.0.0.1 that stands for the documents' origin; `links`: what of the project is in the folder,
 *   by its name there; `values`: what stands for texts of the commands that a reader has to fill in
 */
export async function runCommands(t, blocks, options) {
  const { gate = GATE, origin = "9000", files = {}, links = {}, env = {}, values = {} } = options;
  const folder = options.folder ?? emptyFolder(t);
  const filledIn = Object.entries({ ...Object.fromEntries(GATES.map((url) => [url, gate])), ...values });
  const here = (/** @type {string} */ text) =>
    filledIn.reduce((text, [from, to]) => text.replaceAll(from, to), text).replaceAll(/\b9000\b/g, origin);
  const documented = (/** @type {string} */ text) =>
    text.replaceAll(gate, GATE).replaceAll(`127.0.0.1:${origin}`, "127.0.0.1:9000");

  // In a terminal curl is silent about its progress by itself, where the answer is short.
  for (const [name, text] of Object.entries({ ".curlrc": "silent\nshow-error\n", ...files }))
    writeFileSync(join(folder, name), text);
  // A server of a document may use a package.
  const packages = options.folder ? {} : { node_modules: "node_modules" };
  for (const [name, target] of Object.entries({ ...packages, ...links }))
    symlinkSync(join(root, target), join(folder, name));
  for (const { text } of blocks) {
    const [, name] = text.match(/^\/\/ (\S+\.mjs)\b/) ?? [];
    if (name) writeFileSync(join(folder, name), here(text));
  }

  const run = { cwd: folder, env: { ...process.env, CURL_HOME: folder, ...env }, detached: true };
  const commands = blocks.filter(({ lang }) => lang === "sh");
  for (const block of commands) {
    const [, name] = block.text.match(SERVER) ?? [];
    if (!name) continue;
    const server = start(process.execPath, [name], run);
    t.after(() => server.stop());
    await waitFor(`${name} to listen`, () => server.text() || server.child.exitCode !== null);
    expectAnswer(block, documented(server.text()));
  }
  const inShell = commands.filter(({ text }) => !SERVER.test(text));
  const script = inShell.map(({ text }) => `${here(text)}\nprintf '\\036\\n'\n`).join("");
  const shell = start("sh", ["-euc", `exec 2>&1\n${script}`], run);
  const code = await shell.ended;
  const printed = shell.text().split("\u001e\n");
  for (const [at, block] of inShell.entries()) {
    const where = `${block.document}:${block.line}`;
    assert.ok(at < printed.length - 1, `${where}: ended with ${code}\n${block.text}\n${printed.at(-1)}`);
    expectAnswer(block, documented(printed[at]));
  }
}

/**
 * @param {Block} block
 * @param {string} printed
 */
function expectAnswer({ document, line, text, answer }, printed) {
  if (answer === undefined) return;
  const whole = printed.endsWith("\n") ? printed : `${printed}\n`;
  if (!patternOf(answer).test(whole.replaceAll("\r", "")))
    assert.fail(`${document}:${line}: ${text}\n--- does not answer\n${answer}\n--- but\n${whole}`);
}
