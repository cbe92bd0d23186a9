// One run of wrk against one URL.

import { execFile } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * A request, or several that take turns.
 * @typedef {object} Request
 * @property {string} path
 * @property {string} [method]
 * @property {Record<string, string>} [headers]
 * @property {number} [bodyBytes]
 * @property {Record<string, string>[]} [turns] header fields that differ from request to request; each is sent once
 */

/**
 * What every answer has to be.
 * @typedef {object} Expected
 * @property {number} status
 * @property {string} [body]
 */

const lua = (value) => JSON.stringify(value);
const table = (entries) =>
  `{${Object.entries(entries)
    .map(([name, value]) => `[${lua(name)}] = ${lua(value)}`)
    .join(", ")}}`;

/**
 * @param {Request} request
 * @param {Expected} [expected]
 */
const script = ({ path, method = "GET", headers = {}, bodyBytes = 0, turns }, expected) => `
wrk.method = ${lua(method)}
wrk.headers = ${table(headers)}
${bodyBytes ? `wrk.body = string.rep("x", ${bodyBytes})` : ""}
wrong = 0
example = ""
local path = ${lua(path)}
${
  turns
    ? `
local turns = {${turns.map(table).join(",\n")}}
local at = 0
function request()
  at = at + 1
  local fields = turns[(at - 1) % #turns + 1]
  for name, value in pairs(fields) do wrk.headers[name] = value end
  return wrk.format(nil, path)
end`
    : `
local one
function init() one = wrk.format(nil, path) end
function request() return one end`
}
${
  expected
    ? `
function response(status, headers, body)
  if status ~= ${expected.status}${expected.body === undefined ? "" : ` or body ~= ${lua(expected.body)}`} then
    wrong = wrong + 1
    example = status .. " " .. body:sub(1, 200)
  end
end`
    : ""
}
local threads = {}
function setup(thread) table.insert(threads, thread) end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\\nRESULT {"requests": %d, "bytes": %d, "microseconds": %d, "p50": %d, "p99": %d, "notOk": %d, "broken": %d, "wrong": %d}\\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, threads[1]:get("wrong")))
  io.write("EXAMPLE " .. threads[1]:get("example") .. "\\n")
end
`;

const dir = mkdtempSync(join(tmpdir(), "keyward-wrk-"));
let scripts = 0;

/**
 * Sends requests for `seconds` over `connections`.
 * @param {string} url
 * @param {Request} request
 * @param {{ seconds: number, connections?: number, expected?: Expected }} options `expected`: looks at every answer, which
 *   costs wrk time, and counts those that are not like this as `wrong`
 */
export async function wrk(url, request, { seconds, connections = 16, expected }) {
  const file = join(dir, `${++scripts}.lua`);
  writeFileSync(file, script(request, expected));
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "-s", file, url];
  const { stdout } = await run("wrk", args, { maxBuffer: 1 << 24 });
  const [, result] = stdout.match(/^RESULT (.*)$/m) ?? [];
  if (!result) throw new Error(`wrk said:\n${stdout}`);
  const [, example = ""] = stdout.match(/^EXAMPLE (.*)$/m) ?? [];
  return { ...JSON.parse(result), example };
}
