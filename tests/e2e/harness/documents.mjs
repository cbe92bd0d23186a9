// The commands of the documents: which of them tests run, and why they do not run the others.

import { readdirSync } from "node:fs";
import { join } from "node:path";

import { root } from "../../../scripts/lib/places.mjs";
import { blocksOf } from "./commands.mjs";

/** @typedef {import("./commands.mjs").Block} Block */

/** The documents that readers follow: at the top of the project, in `docs/` and below, but not those about decisions. */
export const documents = () =>
  ["", "docs", "docs/migrating"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(folder, name)),
  );

/**
 * Blocks of `sh` that no test runs as they stand: document, how the block begins, and why.
 * @type {[document: string, beginning: string | RegExp, why: string][]}
 */
const NOT_RUN = [
  ["README.md", "npm start   #", "newcomer.test.mjs starts it so, in a copy; npm test is what runs this"],
  ["README.md", "npm install ./keyward-", "package.test.mjs does each line with a tarball of its own"],
  ["README.md", "npm start -- --policy examples/", "start.test.mjs tries the requests that these print"],
  ["RELEASING.md", "sha256sum --check", "needs a release on GitHub"],
  [
    "docs/admin-api.md",
    "curl 'https://YOUR-HOST/api/admin/api-keys/import",
    "shortened hashes; import.test.mjs sends such lines",
  ],
  [
    "docs/admin-api.md",
    "curl https://YOUR-HOST/api/admin/recover",
    "a form to fill in; admin_credentials.test.mjs makes the call",
  ],
  [
    "docs/limits.md",
    "curl https://api.example.com/api/admin/settlements",
    "needs a request's own token; the gateway of recipes.md makes the call",
  ],
  ["docs/performance.md", "npm run build\n", "builds again; size.test.mjs measures the same"],
  ["docs/events.md", "node -e", "needs an account at Cloudflare; events.test.mjs makes such secrets"],
  [
    "docs/metrics.md",
    "curl https://gate.example.com/api/admin/api-keys",
    "an address of your own; metrics.test.mjs makes such a key",
  ],
  ["docs/watching.md", "npx wrangler secret put", "needs an account at Cloudflare; watching.test.mjs shows the token"],
  ["docs/migrating/aws.md", "mkdir -p aws-export", "Amazon's command and an account there"],
  ["docs/migrating/kong.md", "date -u", "Kong's command and a gateway"],
  ["docs/migrating/unkey.md", "cursor=", "asks Unkey, with a key of an account there"],
  [
    "docs/operating.md",
    "npx wrangler deploy --env staging --secrets-file .keyward/secrets.staging.env\n",
    "needs an account at Cloudflare",
  ],
  ["docs/operating.md", "npx wrangler secret bulk", "the same"],
  ["docs/operating.md", "npx wrangler secret delete", "the same"],
  ["docs/operating.md", "npx wrangler rollback", "the same"],
  [
    "docs/operating.md",
    "npx keyward restore",
    "needs a gate that has nothing yet; backup.test.mjs restores such a file",
  ],
  [
    "docs/recipes.md",
    /^npm start -- --policy \S+\.toml$/,
    "recipes.test.mjs starts the same gate; start.test.mjs tries the command",
  ],
];

/** @param {Block} block */
export const reasonNotToRun = ({ document, text }) =>
  NOT_RUN.find(
    ([of, beginning]) =>
      of === document && (beginning instanceof RegExp ? beginning.test(text) : text.startsWith(beginning)),
  );

/**
 * The blocks of a document that a test runs, and the files beside them: whoever calls this runs them all.
 * @param {string} document relative to the root
 */
export const runnable = (document) =>
  blocksOf(document).filter((block) => block.lang !== "sh" || !reasonNotToRun(block));

export { NOT_RUN };
