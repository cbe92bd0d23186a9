// Compares what the admin API takes and answers with its description, openapi.json: in every end-to-end test.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { Ajv2020 } from "ajv/dist/2020.js";

import { root } from "../../../scripts/lib/places.mjs";

const description = JSON.parse(readFileSync(join(root, "openapi.json"), "utf8"));

const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  unicodeRegExp: true,
  formats: {
    "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/,
    email: /^[^\s@]+@[^\s@]+$/,
  },
});
ajv.addSchema(description, "openapi");

/** @type {{ parts: RegExp, template: string }[]} Those without a parameter first. */
const templates = Object.keys(description.paths)
  .sort((a, b) => Number(a.includes("{")) - Number(b.includes("{")))
  .map((template) => ({ template, parts: new RegExp(`^${template.replaceAll("{id}", "[^/]+")}$`) }));

/** Of a template, as JSON pointers have it. */
const pointer = (/** @type {string[]} */ ...parts) =>
  `openapi#/${parts.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/")}`;

/**
 * @param {string} at where the schema stands
 * @param {unknown} value
 * @param {string} what
 */
function fits(at, value, what) {
  const validate = ajv.getSchema(at) ?? assert.fail(`${what}: there is no schema at ${at}`);
  const isFitting = validate(value);
  assert.ok(isFitting, `${what} is not as openapi.json says: ${ajv.errorsText(validate.errors)}`);
}

/**
 * Fails if a call, or its answer, is not as it is described. Of a call only what was accepted is compared: what is wrong with
 * one, other tests say.
 * @param {string} method
 * @param {string} path below the API's base, with its query
 * @param {unknown} body
 * @param {import("./http.mjs").Answer} answer
 */
export function expectDescribed(method, path, body, answer) {
  const [bare, query = ""] = path.split("?");
  const template = templates.find(({ parts }) => parts.test(bare))?.template;
  const verb = method === "HEAD" ? "get" : method.toLowerCase();
  const operation = template && description.paths[template][verb];
  if (!template || !operation) return;
  const what = `${method} ${template}: ${answer.status}`;
  const { status } = answer;
  const described = operation.responses[status];
  assert.ok(described, `${what} is not in openapi.json: ${answer.text}`);
  const isRefusal = status >= 400;
  const where = isRefusal
    ? ["components", "responses", `Refused${status}`]
    : ["paths", template, verb, "responses", `${status}`];
  const content = (isRefusal ? description.components.responses[`Refused${status}`] : described).content;
  if (!content) assert.equal(answer.body.length, 0, `${what}: it should have no content`);
  else if (method !== "HEAD") {
    const type = answer.header("content-type")?.split(";")[0] ?? "";
    assert.ok(type in content, `${what}: ${type} instead of ${Object.keys(content)}`);
    if (type.endsWith("/json") || type.endsWith("+json"))
      fits(pointer(...where, "content", type, "schema"), answer.json(), `the answer to ${what}`);
  }
  if (isRefusal) return;
  const known = new Set(operation.parameters?.map((/** @type {{ name: string }} */ { name }) => name));
  for (const name of new URLSearchParams(query).keys())
    assert.ok(known.has(name), `${what}: the parameter ${name} is not in openapi.json`);
  const [[type, taken]] = Object.entries(operation.requestBody?.content ?? { "": {} });
  if (taken.schema?.contentSchema && typeof body === "string" && answer.json().wrong === 0) {
    const at = pointer("paths", template, verb, "requestBody", "content", type, "schema", "contentSchema");
    for (const line of body.split("\n").filter((text) => text.trim())) fits(at, JSON.parse(line), `a line of ${what}`);
  }
  if (typeof body !== "object" || body === null || body instanceof Uint8Array) return;
  assert.ok(operation.requestBody, `${what}: a body is not in openapi.json`);
  const schema = pointer("paths", template, verb, "requestBody", "content", "application/json", "schema");
  fits(schema, JSON.parse(JSON.stringify(body)), `the body of ${what}`);
}
