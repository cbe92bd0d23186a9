// The admin page where people sign in by Cloudflare Access, in Chromium, against the built Worker. The header that Access adds to
// each request, the browser adds here.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { HEADER, startAccess } from "./access.mjs";
import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { heading, NOT_SIGNED_IN, show, status } from "./page.mjs";

/** @typedef {Awaited<ReturnType<typeof startAccess>>} Access */

/** @type {Access} */
let access;
before(async () => {
  access = await startAccess("off");
});
after(() => access?.gate.stop());

const BUTTON = { name: "Sign in with Acme Access" };

test("whoever Access has let through sets up, is signed in at once, confirms, and signs out until a new token", async () => {
  const { gate, token } = access;
  const errors = [NOT_SIGNED_IN, status(403)];
  await withPage({ expectedErrors: errors }, async (page, context) => {
    const letThrough = async (more = {}) => context.setExtraHTTPHeaders({ [HEADER]: await token(more) });
    await letThrough();
    await page.goto(`${gate.url}/admin/#setup=${gate.secrets.KEYWARD_SETUP_TOKEN}`);
    await heading(page, "Set up Keyward");
    assert.equal(await page.getByLabel("Password").count(), 0);
    await page.getByLabel("E-mail address").fill(OWNER.email);
    await page.getByRole("button", { name: "Create the owner" }).click();
    await heading(page, "Overview");

    // What asks for a fresh password, asks Access.
    await gate.advance(301_000);
    await show(page, gate, "/members");
    await heading(page, "People");
    await page.getByRole("button", { name: "Invite" }).click();
    await page.getByLabel("E-mail address").fill("ada@example.com");
    await page.getByRole("dialog").getByRole("button", { name: /Make/ }).click();
    const dialog = page.getByRole("dialog", { name: "Confirm with Acme Access" });
    await dialog.getByRole("button", { name: "Confirm" }).click();
    await dialog.getByRole("alert").or(dialog.locator(".alert")).first().waitFor();
    assert.equal(await dialog.getByRole("link").getAttribute("href"), "/cdn-cgi/access/logout");
    await letThrough();
    await dialog.getByRole("button", { name: "Confirm" }).click();
    await page.getByText("/admin/#invitation=").first().waitFor();
    await page.getByRole("button", { name: "I have saved it" }).click();
    await heading(page, "People");
    await show(page, gate, "/settings");
    await heading(page, "Settings");
    await page.getByText("Acme Access").waitFor();
    assert.equal(await page.getByRole("button", { name: "Change password" }).count(), 0);
    await page.getByRole("button", { name: "Sign out" }).first().click();
    await heading(page, "Sign in");
    // The token of the step-up was used.
    await page.getByRole("button", BUTTON).click();
    await page.getByText("used before").waitFor();
    await letThrough();
    await page.getByRole("button", BUTTON).click();
    await heading(page, "Overview");
  });
});

test("who opens the page with a token is signed in without a word, and who is no member sees why not", async () => {
  const { gate, token } = access;
  await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page, context) => {
    await context.setExtraHTTPHeaders({ [HEADER]: await token({ email: "eve@example.com" }) });
    await show(page, gate, "/keys");
    await heading(page, "Sign in");
    assert.equal(await page.getByLabel("E-mail address").count(), 0);
    await page.getByRole("button", BUTTON).click();
    await page.getByText("its address is no member's").waitFor();
    await context.setExtraHTTPHeaders({ [HEADER]: await token() });
    // A token works once: the page must not be loaded again while it uses it.
    await page.goto("about:blank");
    await page.goto(`${gate.url}/admin/#/keys`);
    await heading(page, "Keys");
  });
});

test("beside passwords there are both", async () => {
  const both = await startAccess("on");
  try {
    await both.gate.owner();
    await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page, context) => {
      await show(page, both.gate, "/sign-in");
      await heading(page, "Sign in");
      await page.getByRole("button", BUTTON).waitFor();
      await page.getByLabel("E-mail address").fill(OWNER.email);
      await page.getByLabel("Password").fill(OWNER.password);
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
      await heading(page, "Overview");
      await page.getByRole("button", { name: "Sign out" }).click();
      await heading(page, "Sign in");
      await context.setExtraHTTPHeaders({ [HEADER]: await both.token() });
      await page.getByRole("button", BUTTON).click();
      await heading(page, "Overview");
    });
  } finally {
    await both.gate.stop();
  }
});
