// Keys that were made elsewhere are imported on the admin page. In Chromium, against the built Worker.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { documentOf } from "./harness/policies.mjs";
import { heading, show, signedIn, useKey } from "./page.mjs";

/** @import { Gate } from "./harness/gate.mjs" */

const IMPORTED = '\n[realm.imported]\nprefixes = ["old_"]\nmin_length = 24\n';
const KEY = "old_0123456789abcdefghijklmn";

/** @type {Gate} */
let gate;
before(async () => {
  gate = await startGate({ document: await documentOf("default", { edit: (text) => text + IMPORTED }) });
  await gate.owner();
});
after(() => gate?.stop());

const line = (more = {}) =>
  JSON.stringify({
    hash: createHash("sha256").update(KEY).digest("hex"),
    name: "Checkout",
    scopes: ["orders:read"],
    ...more,
  });

test("lines are checked first, what is wrong with them is named, and then the keys are imported and work", async () => {
  await signedIn(gate, "/keys", {}, async (page) => {
    await heading(page, "Keys");
    await page.getByRole("link", { name: "Import" }).click();
    await heading(page, "Import keys");
    const check = page.getByRole("button", { name: "Check" });
    await check.click();
    await page.getByText("Is required.").waitFor();
    await page.getByLabel("Or paste the lines").fill(`${line()}\n${line({ name: "", scopes: ["orders:fly"] })}`);
    await check.click();
    await page.getByText("1 line to mend. Nothing is imported until all lines are right.").waitFor();
    const errors = await page.getByTestId("import-error").allInnerTexts();
    assert.match(errors.join("\n"), /2\s+name[\s\S]*2\s+scopes\[0\]/);
    await page.getByLabel("File").setInputFiles({
      name: "keys.ndjson",
      mimeType: "application/x-ndjson",
      buffer: Buffer.from(`${line()}\n`),
    });
    await check.click();
    await page.getByText("1 key can be imported.").waitFor();
    assert.equal((await useKey(gate, KEY)).status, 401);
    await page.getByRole("button", { name: "Import 1 key" }).click();
    await page.getByText("1 key imported.").waitFor();
    assert.equal((await useKey(gate, KEY)).status, 200);
    await page.getByRole("link", { name: "See the keys" }).click();
    await heading(page, "Keys");
    await page.getByRole("link", { name: "Checkout" }).waitFor();
    await show(page, gate, "/keys/import");
    await page.getByLabel("Or paste the lines").fill(line());
    await check.click();
    await page.getByText("0 keys can be imported. 1 line already imported, unchanged.").waitFor();
  });
});

test("where the policy takes no such keys, no link leads there and the screen says why", async () => {
  const other = await startGate();
  try {
    await other.owner();
    await signedIn(other, "/keys", {}, async (page) => {
      await heading(page, "Keys");
      assert.equal(await page.getByRole("link", { name: "Import" }).count(), 0);
      await show(page, other, "/keys/import");
      await heading(page, "Import keys");
      await page.getByText("[realm.imported]").waitFor();
    });
  } finally {
    await other.stop();
  }
});
