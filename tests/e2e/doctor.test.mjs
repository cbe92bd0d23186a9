// What doctor says of routes, for each kind that wrangler.toml has as a comment. The rest of it is run in package.test.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { parse } from "smol-toml";

import { exposure } from "../../cli/doctor.mjs";
import { root } from "../../scripts/lib/places.mjs";

const marks = (config) => exposure(config).map(({ mark, what }) => [mark, what]);

for (const path of [["wrangler.toml"], ["cli", "template", "wrangler.toml"]])
  test(`${path.join("/")}: its custom domain lets nothing past the gate, its routes of a zone are named to be looked at`, () => {
    const text = readFileSync(join(root, ...path), "utf8");
    const [domain, zone, ...more] = [...text.matchAll(/^# routes = \[(.*\]|\n(?:# {3}.*\n)+# \])$/gm)].map(([block]) =>
      parse(text.replace(block, block.replace(/^# /gm, ""))),
    );
    assert.equal(more.length, 0);
    const off = ["ok", "workers.dev is off"];
    const behind =
      "its routes are custom domains: nothing stands behind the gate that a request could be let through to";
    assert.deepEqual(marks(domain), [off, ["ok", behind]]);
    assert.deepEqual(marks(zone), [
      off,
      ["look", "each route fails closed: api.example.com/api/*, api.example.com/admin/*"],
    ]);
    assert.deepEqual(marks(parse(text)), [off, ["look", "each route fails closed"]]);
  });

test("a gate that may answer under workers.dev is found, and so is one route of a zone among custom domains", () => {
  const custom = { pattern: "api.example.com", custom_domain: true };
  const [wrong, look] = exposure({ preview_urls: true, routes: [custom, "example.com/*"] });
  assert.match(wrong.what, /^workers_dev and preview_urls may be on: /);
  assert.equal(wrong.hint, "workers_dev = false and preview_urls = false in wrangler.toml.");
  assert.equal(look.what, "each route fails closed: example.com/*");
  const [off, one] = exposure({ workers_dev: false, preview_urls: false, route: custom });
  assert.deepEqual([off.mark, one.mark], ["ok", "ok"]);
});
