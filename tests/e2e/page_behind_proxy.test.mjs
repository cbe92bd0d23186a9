// The admin page behind what stands between it and the gate: a proxy that compresses answers, and so weakens their
// ETags (RFC 9110, 8.8.3.3), rewrites them, or drops them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { startGate } from "./harness/gate.mjs";
import { heading, show, signedIn, status } from "./page.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
before(async () => {
  gate = await startGate();
  owner = await gate.owner();
});
after(() => gate?.stop());

/** A proxy in front of the gate that compresses everything and makes another ETag of each. */
async function startProxy(/** @type {(tag: string) => string | null} */ changed) {
  const tags = [];
  const server = createServer((incoming, outgoing) => {
    const target = new URL(incoming.url, gate.url);
    const headers = { ...incoming.headers, "accept-encoding": "identity" };
    const passed = request(target, { method: incoming.method, headers }, async (answer) => {
      const body = Buffer.concat(await answer.toArray());
      const { etag, "content-length": _, "transfer-encoding": __, ...kept } = answer.headers;
      const tag = etag && changed(etag);
      if (tag) tags.push(tag);
      const zipped = body.length > 0 && { "content-encoding": "gzip", vary: "Accept-Encoding" };
      outgoing.writeHead(answer.statusCode, { ...kept, ...(tag && { etag: tag }), ...zipped });
      outgoing.end(zipped ? gzipSync(body) : body);
    });
    passed.on("error", (error) => outgoing.destroy(error));
    incoming.pipe(passed);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    tags,
    url: `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`,
    stop: () => new Promise((done) => server.close(done).closeAllConnections()),
  };
}

/** @type {Record<string, [changed: (tag: string) => string | null, seen: RegExp | null]>} */
const KINDS = {
  weakens: [(tag) => (tag.startsWith("W/") ? tag : `W/${tag}`), /^W\/"1"$/],
  rewrites: [(tag) => tag.replace(/"$/, '-gzip"'), /^"1-gzip"$/],
  drops: [() => null, null],
};

for (const [kind, [changed, seen]] of Object.entries(KINDS)) {
  test(`a key is edited behind a proxy that ${kind} ETags, and not over somebody else's change`, async () => {
    const proxy = await startProxy(changed);
    try {
      const { apiKey } = await owner.createKey({ name: `It ${kind}` });
      const behind = { url: proxy.url, page: gate.page };
      await signedIn(behind, `/keys/${apiKey.id}/edit`, { expectedErrors: [status(412)] }, async (page) => {
        await page.getByLabel("Name").fill(`It ${kind} tags`);
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Saved.").waitFor();
        assert.equal((await owner.get(apiKey.id)).name, `It ${kind} tags`);

        await show(page, behind, `/keys/${apiKey.id}/edit`);
        await heading(page, `Edit It ${kind} tags`);
        await owner.patch(apiKey.id, { name: "Meanwhile" });
        await page.getByLabel("Name").fill("Over it");
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByText("Someone else changed this key").waitFor();
        assert.equal((await owner.get(apiKey.id)).name, "Meanwhile");
      });
      if (seen)
        assert.ok(
          proxy.tags.some((tag) => seen.test(tag)),
          proxy.tags.join(),
        );
      else assert.deepEqual(proxy.tags, []);
    } finally {
      await proxy.stop();
    }
  });
}
