// The admin page where people sign in at the own page of an OpenID provider, in Chromium, against the built Worker and a real
// provider over TLS.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { NAME, startOpenId } from "./openid.mjs";
import { heading, NOT_SIGNED_IN, show, signedIn, status } from "./page.mjs";

/** @typedef {Awaited<ReturnType<typeof startOpenId>>} OpenId */
/** @import { Locator, Page } from "playwright-core" */

/** @type {OpenId} */
let openId;
before(async () => {
  openId = await startOpenId();
  await openId.gate.owner();
});
after(() => openId?.stop());

/** The provider's page asks for a font of somebody else's server. */
const FONT = /ERR_NAME_NOT_RESOLVED|ERR_INTERNET_DISCONNECTED/;
const TLS = { ignoreHTTPSErrors: true, expectedErrors: [NOT_SIGNED_IN, FONT] };
const BUTTON = { name: `Sign in with ${NAME}` };

/** What a click opens beside this window. */
async function beside(/** @type {Page} */ page, /** @type {Locator} */ button) {
  const opened = page.waitForEvent("popup");
  await button.click();
  return opened;
}

test("a person signs in at the provider and goes on where they wanted to, with nothing of it in the address or kept", async () => {
  const { gate, typeAddress } = openId;
  // The provider's page works once, so going back there is 400.
  await withPage({ ...TLS, expectedErrors: [...TLS.expectedErrors, status(400)] }, async (page) => {
    await show(page, gate, "/keys?status=ACTIVE");
    await heading(page, "Sign in");
    await page.getByRole("button", BUTTON).click();
    await typeAddress(page, OWNER.email);
    await heading(page, "Keys");
    assert.equal(page.url(), `${gate.url}/admin/#/keys?status=ACTIVE`);
    const kept = await page.evaluate(() => [JSON.stringify(sessionStorage), JSON.stringify(localStorage)]);
    assert.deepEqual(kept, ["{}", "{}"]);
    // Nor in the history: what is gone back to is the provider's, or the page's own.
    await page.goBack();
    assert.doesNotMatch(page.url(), /code=/);
  });
});

test("what the provider refuses is said in words, with a way back; and so is a sign-in of another browser", async () => {
  const { gate, typeAddress, begin, issuer } = openId;
  await withPage(TLS, async (page) => {
    const comesBack = async (/** @type {string} */ query) => {
      await show(page, gate, "/sign-in");
      await heading(page, "Sign in");
      await page.evaluate(() => sessionStorage.setItem("keyward-next", "/routes"));
      await page.goto("about:blank");
      await page.goto(`${gate.url}/admin/signed-in?${query}`);
    };
    await comesBack("error=access_denied&state=x");
    await page.getByText(`${NAME} did not let you in`).waitFor();
    assert.equal(page.url(), `${gate.url}/admin/#/signed-in`);
    await page.getByRole("link", { name: "Back to sign-in" }).click();
    await heading(page, "Sign in");
    await page.getByText("Sign in to go on where you were.").waitFor();
    await comesBack("error=server_error&error_description=The%20database%20is%20%3Cb%3Edown%3C/b%3E.");
    await page.getByText(`${NAME} answered: “The database is <b>down</b>.”.`).waitFor();

    // Where nothing was begun, nothing is done, and nothing of the address is shown.
    await page.goto("about:blank");
    await page.goto(`${gate.url}/admin/signed-in?error=x&error_description=Call%20me`);
    await heading(page, `Back from ${NAME}`);
    assert.equal(await page.getByText("Call me").count(), 0);

    const { url } = await begin();
    await page.evaluate(() => sessionStorage.setItem("keyward-next", "/routes"));
    await page.goto(`${url}`);
    await typeAddress(page, OWNER.email);
    await page.getByText("This sign-in was not begun in this browser").waitFor();
    assert.ok(!page.url().startsWith(issuer));
    await page.getByRole("link", { name: "Back to sign-in" }).click();
    await page.getByRole("button", BUTTON).click();
    await heading(page, "Routes");
  });
});

test("who is no member is told so, and while the provider fails the page says that, too", async () => {
  const { gate, typeAddress, fail } = openId;
  await withPage({ ...TLS, expectedErrors: [...TLS.expectedErrors, status(503)] }, async (page) => {
    await show(page, gate, "/sign-in");
    await page.getByRole("button", BUTTON).click();
    await typeAddress(page, "eve@example.com");
    await page.getByText("its address is no member's").waitFor();
    fail(true);
    await page.getByRole("link", { name: "Back to sign-in" }).click();
    await page.getByRole("button", BUTTON).click();
    await page.getByText("its issuer does not answer as it should").waitFor();
    fail(false);
  });
});

test("what asks for confirmation gets it in a window beside, of the same person, and keeps what was typed", async () => {
  const { gate, typeAddress } = openId;
  const owner = await gate.admin().signIn();
  const { apiKey } = await owner.createKey({ name: "To be revoked" });
  const options = { ignoreHTTPSErrors: true, expectedErrors: [status(403)] };
  await signedIn(gate, `/keys/${apiKey.id}`, options, async (page) => {
    await heading(page, "To be revoked");
    await page.getByRole("button", { name: "Revoke key" }).click();
    const revoke = page.getByRole("dialog", { name: "Revoke To be revoked?" });
    await revoke.getByLabel("Reason (optional)").fill("It leaked");
    await revoke.getByRole("button", { name: "Revoke key" }).click();
    const dialog = page.getByRole("dialog", { name: "Confirm with your password" });
    const confirm = dialog.getByRole("button", { name: `Confirm with ${NAME}` });

    const closed = await beside(page, confirm);
    await closed.waitForURL(/interaction/);
    await closed.close();
    await page.evaluate(() => dispatchEvent(new Event("focus")));
    await dialog.getByText("You came back before you had signed in.").waitFor();

    const eve = await beside(page, confirm);
    await typeAddress(eve, "eve@example.com");
    await dialog.getByText("This is no token of yours that is in order.").waitFor();

    const own = await beside(page, confirm);
    const gone = own.waitForEvent("close");
    // She is signed in at the provider, and is asked all the same.
    await typeAddress(own, OWNER.email);
    await page.getByText("It leaked").first().waitFor();
    await gone;
    assert.equal((await owner.get(apiKey.id)).status, "REVOKED");
  });
});

test("a session that has ended is begun anew in a window beside, over what was typed", async () => {
  const { gate, typeAddress } = openId;
  const owner = await gate.admin().signIn();
  const { apiKey } = await owner.createKey({ name: "Renamed" });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, { ignoreHTTPSErrors: true }, async (page) => {
    await heading(page, "Edit Renamed");
    await page.getByLabel("Name").fill("Renamed while away");
    await owner.must("DELETE", "/sessions");
    await page.getByRole("button", { name: "Save" }).click();
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    const window = await beside(page, dialog.getByRole("button", BUTTON));
    await typeAddress(window, OWNER.email);
    await page.getByText("Saved.").waitFor();
    assert.equal((await owner.get(apiKey.id)).name, "Renamed while away");
  });
});

test("a window that the browser blocks is said to be blocked", async () => {
  const { gate } = openId;
  const owner = await gate.admin().signIn();
  const { apiKey } = await owner.createKey({ name: "Blocked" });
  await signedIn(gate, `/keys/${apiKey.id}/edit`, { ignoreHTTPSErrors: true }, async (page) => {
    await heading(page, "Edit Blocked");
    await page.getByLabel("Name").fill("Not blocked");
    await page.evaluate(() => {
      window.open = () => null;
    });
    await owner.must("DELETE", "/sessions");
    await page.getByRole("button", { name: "Save" }).click();
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByRole("button", BUTTON).click();
    await dialog.getByText("Your browser has blocked the window.").waitFor();
    await dialog.getByLabel("Password").fill(OWNER.password);
    await dialog.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByText("Saved.").waitFor();
  });
});

test("a tenant's owner invites people, who join by their own word, and cannot add them", async () => {
  const { gate } = openId;
  const owner = await gate.admin().signIn();
  await owner.stepUp();
  const person = { email: "owner@tenant.example", password: OWNER.password };
  await owner.must("POST", "/tenants", { name: "Tenant", owner: person });
  await signedIn(gate, "/members", { ignoreHTTPSErrors: true, person }, async (page) => {
    await heading(page, "People");
    assert.equal(await page.getByRole("button", { name: "Add member" }).count(), 0);
    await page.getByRole("button", { name: "Invite" }).click();
    await page.getByText(`Whoever opens it signs in with ${NAME}, with this address.`).waitFor();
  });
  await signedIn(gate, "/members", { ignoreHTTPSErrors: true }, async (page) => {
    await page.getByRole("button", { name: "Add member" }).waitFor();
  });
});

test("without passwords the first owner signs in at the provider, and an invited person joins by it", async () => {
  const off = await startOpenId({ password: "off", hasSecret: false });
  try {
    const { gate, typeAddress } = off;
    await withPage(TLS, async (page, context) => {
      await page.goto(`${gate.url}/admin/#setup=${gate.secrets.KEYWARD_SETUP_TOKEN}`);
      await heading(page, "Set up Keyward");
      await page.getByLabel("E-mail address").fill(OWNER.email);
      await page.getByRole("button", { name: "Create the owner" }).click();
      await typeAddress(page, OWNER.email);
      await heading(page, "Overview");
      await show(page, gate, "/members");
      await heading(page, "People");
      await page.getByRole("button", { name: "Invite" }).click();
      await page.getByLabel("E-mail address").fill("ada@example.com");
      await page.getByRole("dialog").getByRole("button", { name: /Make/ }).click();
      const link = (await page.getByText("/admin/#invitation=").first().textContent()) ?? "";
      await page.getByRole("button", { name: "I have saved it" }).click();
      await page.getByRole("button", { name: "Sign out" }).first().click();
      await heading(page, "Sign in");
      await context.clearCookies();
      await page.goto("about:blank");
      await page.goto(link.trim());
      await heading(page, "Join Keyward");
      const window = await beside(page, page.getByRole("button", { name: `Join with ${NAME}` }));
      await typeAddress(window, "ada@example.com");
      await heading(page, "Overview");
      await page.getByText("ada@example.com").first().waitFor();
    });
  } finally {
    await off.stop();
  }
});
