// The admin page over the five systems' policies: what a realm asks for, and what it keeps for owners.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGate } from "./harness/gate.mjs";
import { heading, show, signedIn, status } from "./page.mjs";
import { ask, newMember, newTenant, PASSWORD, startSystems } from "./systems.mjs";

/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Credentials } from "../../types/admin-api.js" */
/** @import { Gate } from "./harness/gate.mjs" */

const ADMIN = { email: "admin@example.com", password: PASSWORD };
const SHOP = "https://shop.gw.example/checkout?cart=7";

/** @type {Gate} */
let gate;
/** @type {Admin} */
let operator;
/** @type {Admin} */
let owner;
/** @type {Credentials} */
let person;
before(async () => {
  ({ gate, operator } = await startSystems());
  ({ owner, person } = await newTenant(gate, operator, { name: "Acme", code: "ABC123" }));
  await owner.stepUp(PASSWORD);
  await newMember(gate, owner, ADMIN.email, "admin");
});
after(() => gate?.stop());

const newKey = async (realm, fields) =>
  (await owner.must("POST", "/api-keys", { realm, name: `Of ${realm}`, ...fields })).apiKey;

test("the form for a new key asks for what its realm knows, and nothing else", async () => {
  await signedIn(gate, "/keys/new", { person }, async (page) => {
    const asks = async (realm) => {
      await page.getByLabel("Realm").selectOption(realm);
      const count = (label) => page.getByRole("main").getByText(label, { exact: true }).count();
      return { scopes: await count("Scopes"), publishable: await count("Publishable"), strict: await count("Strict") };
    };
    assert.deepEqual(await asks("bd"), { scopes: 1, publishable: 0, strict: 1 });
    assert.deepEqual(await asks("gw"), { scopes: 1, publishable: 1, strict: 1 });
    assert.deepEqual(await asks("bs"), { scopes: 0, publishable: 0, strict: 1 });
    assert.deepEqual(await asks("bp"), { scopes: 1, publishable: 0, strict: 0 }, "a realm that is strict itself");
    await page.getByLabel("Realm").selectOption("bd");
    await page.getByText("More settings").click();
    await page.getByText("Begins with bdk_test_ABC123_.").waitFor();
  });
});

test("a strict key is made with a checkbox, and its page says what that means", async () => {
  await signedIn(gate, "/keys/new", { person }, async (page) => {
    await page.getByLabel("Realm").selectOption("bs");
    await page.getByLabel("Name").fill("Careful");
    await page.getByText("More settings").click();
    await page.getByLabel("Strict").check();
    await page.getByRole("button", { name: "Create key" }).click();
    await page.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "Careful");
    await page.getByText("takes effect with the very next request").waitFor();
    const id = page.url().split("/").at(-1);
    assert.equal((await owner.get(id)).strict, true);

    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByLabel("Strict").uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("takes effect everywhere within 5 seconds").waitFor();
    assert.equal((await owner.get(id)).strict, false);
  });
});

test("what a realm keeps for owners is not offered to an admin, who is told why", async () => {
  const { id } = await newKey("bs");
  await signedIn(gate, "/keys/new", { person: ADMIN }, async (page) => {
    await page.getByText("Only owners can create keys for bs.").waitFor();
    const offered = await page.getByLabel("Realm").locator("option").allInnerTexts();
    assert.ok(offered.includes("bd") && !offered.includes("bs"), `${offered}`);

    await show(page, gate, `/keys/${id}`);
    await page.getByText("Only owners can rotate it.").waitFor();
    assert.equal(await page.getByRole("link", { name: "Rotate" }).count(), 0);
    assert.equal(await page.getByRole("button", { name: "Revoke" }).count(), 1, "that is not for owners");

    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByText("Only owners can change what this key may do.").waitFor();
    assert.ok(await page.getByLabel("Requests a minute").isDisabled());
    await page.getByLabel("Name").fill("Renamed");
    await page.getByRole("button", { name: "Save" }).click();
    await heading(page, "Renamed");
  });
});

test("a rotation begins with what the policy does to the old key, and does what is chosen", async () => {
  const { id } = await newKey("bs");
  await signedIn(gate, `/keys/${id}/rotate`, { person, expectedErrors: [status(403)] }, async (page) => {
    assert.ok(await page.getByLabel("is revoked at once").isChecked());
    await page.getByLabel("keeps working").check();
    await page.getByRole("button", { name: "Rotate key" }).click();
    const prompt = page.getByRole("dialog", { name: "Confirm with your password" });
    await prompt.getByLabel("Password").fill(PASSWORD);
    await prompt.getByRole("button", { name: "Confirm" }).click();
    await page.getByText("The old key keeps working.").waitFor();
    assert.equal((await owner.get(id)).status, "ACTIVE");
    await page.getByRole("button", { name: "I have saved it" }).click();

    await show(page, gate, `/keys/${(await newKey("bd", { scopes: ["reports:read"] })).id}/rotate`);
    await heading(page, "Rotate Of bd");
    assert.ok(await page.getByLabel("keeps working").isChecked());
  });
});

test("a link is made for a page that takes sessions, is shown once, and lets one in", async () => {
  await signedIn(gate, "/keys", { person, expectedErrors: [status(400)] }, async (page) => {
    await page.getByRole("link", { name: "Create link" }).click();
    await page.getByLabel("Page").fill("https://app.bd.example/api/inventory/1");
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("Leads to a route that takes no sessions.").waitFor();
    await page.getByLabel("Page").fill(SHOP);
    await page.getByLabel("Subject").fill("cart-7");
    await page.getByRole("button", { name: "Create link" }).click();
    const banner = page.getByRole("region", { name: "Copy this link now" });
    const made = new URL(await banner.getByTestId("new-link").innerText());
    assert.ok(made.href.startsWith(`${SHOP}&token=st_`), made.href);
    await banner.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "Keys");
    assert.ok(!(await page.content()).includes(made.searchParams.get("token")));
    const follow = async () => (await ask(gate, made.host, made.pathname + made.search, { tls: "TLSv1.3" })).status;
    assert.deepEqual([await follow(), await follow()], [303, 401]);
  });
});

test("a tenant's code is given when it is made, shown, and not offered for a change", async () => {
  await signedIn(gate, "/tenants", {}, async (page) => {
    await page.getByRole("button", { name: "Create tenant" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("Store seven");
    await dialog.getByLabel("Code").fill("store-7");
    await dialog.getByRole("button", { name: "Create tenant" }).click();
    await page.getByTestId("tenant-row").filter({ hasText: "Store seven" }).getByText("Code store-7").waitFor();
    await page.getByRole("button", { name: "Change Store seven" }).click();
    assert.equal(await dialog.getByLabel("Code").count(), 0);
  });
});

test("a key whose realm the policy no longer names is shown, and an admin who edits it is told why it cannot be", async () => {
  const { gate: first, operator: maker } = await startSystems();
  let second;
  try {
    await newMember(first, maker, ADMIN.email, "admin");
    const { apiKey } = await maker.must("POST", "/api-keys", { realm: "bs", name: "Left behind" });
    await first.kill();
    second = await startGate({ persist: first.persist, secrets: first.secrets });
    await signedIn(second, `/keys/${apiKey.id}`, { person: ADMIN, expectedErrors: [status(409)] }, async (page) => {
      await heading(page, "Left behind");
      await page.getByRole("link", { name: "Edit" }).click();
      await page.getByLabel("Name").fill("Another name");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("The policy has no realm bs any more").waitFor();
    });
  } finally {
    await second?.stop();
    await first.stop();
  }
});
