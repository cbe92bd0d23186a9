// Passkeys on the admin page, with Chromium's virtual authenticator, against the built Worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startGate } from "./harness/gate.mjs";
import { heading, NOT_SIGNED_IN, show, signedIn, signIn, status } from "./page.mjs";

/** @import { BrowserContext, CDPSession, Page } from "playwright-core" */
/** @import { Admin } from "./harness/admin.mjs" */
/** @import { Gate } from "./harness/gate.mjs" */

/** @type {Gate} */
let gate;
/** @type {Admin} */
let owner;
/**
 * The gate by its name: at an IP address browsers make no passkeys.
 * @type {Pick<Gate, "url" | "page">}
 */
let named;
before(async () => {
  gate = await startGate();
  owner = await gate.owner();
  named = { url: gate.url.replace("127.0.0.1", "localhost"), page: gate.page };
});
after(() => gate?.stop());

/**
 * A device that keeps passkeys and verifies its owner, in place of the real ones. It takes what it is offered, so only with
 * `isOffered` the browser offers passkeys among its accounts, as older ones do not.
 * @param {Page} page
 * @param {BrowserContext} context
 */
async function device(page, context, isOffered = false) {
  if (!isOffered)
    await page.evaluate(() => Reflect.deleteProperty(PublicKeyCredential, "isConditionalMediationAvailable"));
  /** @type {CDPSession} */
  const devTools = await context.newCDPSession(page);
  await devTools.send("WebAuthn.enable");
  const { authenticatorId } = await devTools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    passkeys: async () => (await devTools.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
    choose: (/** @type {boolean} */ enabled) =>
      devTools.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled }),
    verify: (/** @type {boolean} */ isUserVerified) =>
      devTools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
  };
}

/** @param {Page} page */
async function addPasskey(page) {
  await page.getByRole("button", { name: "Add a passkey" }).click();
  const dialog = page.getByRole("dialog", { name: "Add a passkey" });
  await dialog.getByLabel("Name").fill("My laptop");
  await dialog.getByRole("button", { name: "Continue" }).click();
  await page.getByTestId("passkey-row").filter({ hasText: "My laptop" }).waitFor();
}

/** Somebody who has no passkey yet. */
async function somebody(/** @type {string} */ email) {
  const person = { email, password: OWNER.password };
  // The clock has moved on.
  await owner.signIn();
  await owner.must("POST", "/members", { ...person, role: "viewer" });
  return person;
}

/** @param {Page} page */
async function signOut(page) {
  await page.getByRole("banner").getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in");
}

/** @param {Page} page */
const signInByPasskey = (page) => page.getByRole("button", { name: "Sign in with a passkey" }).click();

test("a passkey is added, signs in, confirms what asks for it, and works no longer once it is removed", async () => {
  const person = await somebody("first@example.com");
  await signedIn(named, "/overview", { person, expectedErrors: [status(403)] }, async (page, context) => {
    const { passkeys } = await device(page, context);
    await show(page, named, "/settings");
    await addPasskey(page);
    const [{ rpId, userName }] = await passkeys();
    assert.deepEqual([rpId, userName], ["localhost", person.email]);
    await page.getByTestId("passkey-row").getByText("never used").waitFor();

    await signOut(page);
    await signInByPasskey(page);
    await heading(page, "Overview");
    await show(page, named, "/settings");
    await page.getByTestId("passkey-row").getByText("last used").waitFor();

    // It confirms; and the device says that there is one of this person's already.
    await gate.advance(6 * 60_000);
    await page.getByRole("button", { name: "Add a passkey" }).click();
    const dialog = page.getByRole("dialog", { name: "Add a passkey" });
    await dialog.getByRole("button", { name: "Continue" }).click();
    await page
      .getByRole("dialog", { name: "Confirm with your passkey" })
      .getByRole("button", { name: "Use a passkey" })
      .click();
    await dialog.getByText("You have a passkey on this device already.").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();

    await page.getByRole("button", { name: "Remove the passkey My laptop" }).click();
    await page.getByTestId("passkey-row").waitFor({ state: "detached" });
    await signOut(page);
    await signInByPasskey(page);
    await page.getByRole("alert").getByText("This passkey does not work here.").waitFor();
    assert.equal((await passkeys()).length, 1, "the device still has it");
    await signIn(page, person);
    await heading(page, "Overview");
  });
});

test("whoever is not verified by the device stays signed out, or confirms with the password instead", async () => {
  const person = await somebody("second@example.com");
  await signedIn(named, "/overview", { person, expectedErrors: [status(403)] }, async (page, context) => {
    const { verify } = await device(page, context);
    await show(page, named, "/settings");
    await addPasskey(page);
    await verify(false);
    await gate.advance(6 * 60_000);
    await page.getByRole("button", { name: "Add a passkey" }).click();
    const adding = page.getByRole("dialog", { name: "Add a passkey" });
    await adding.getByRole("button", { name: "Continue" }).click();
    const confirm = page.getByRole("dialog", { name: "Confirm with your passkey" });
    await confirm.getByRole("button", { name: "Use a passkey" }).click();
    await confirm.getByText("No passkey was used.").waitFor();
    await confirm.getByRole("button", { name: "Use the password" }).click();
    const typed = page.getByRole("dialog", { name: "Confirm with your password" });
    await typed.getByLabel("Password").fill(person.password);
    await typed.getByRole("button", { name: "Confirm" }).click();
    await adding.getByText("No passkey was added.").or(adding.getByText("on this device already")).waitFor();
    await adding.getByRole("button", { name: "Cancel" }).click();
    await signOut(page);
    await signInByPasskey(page);
    await page.getByRole("alert").getByText("No passkey was used.").waitFor();
    await verify(true);
    await signInByPasskey(page);
    await heading(page, "Overview");
  });
});

test("a session that has ended is begun anew by a passkey, over what was shown", async () => {
  const person = await somebody("third@example.com");
  await signedIn(named, "/overview", { person, expectedErrors: [status(403)] }, async (page, context) => {
    await device(page, context);
    await show(page, named, "/settings");
    await addPasskey(page);
    await gate.advance(13 * 3_600_000);
    await page.getByRole("button", { name: "Remove the passkey My laptop" }).click();
    const again = page.getByRole("dialog", { name: "Sign in" });
    await again.getByRole("button", { name: "Sign in with a passkey" }).click();
    await page.getByTestId("passkey-row").waitFor({ state: "detached" });
    await page.getByText("The passkey is removed.").waitFor();
  });
});

test("a passkey is offered among the accounts that the browser has kept: one that is chosen signs in, and the button still works", async () => {
  const person = await somebody("fourth@example.com");
  await signedIn(named, "/overview", { person, expectedErrors: [status(403)] }, async (page, context) => {
    const { choose } = await device(page, context, true);
    await show(page, named, "/settings");
    await addPasskey(page);
    const signOut = page.getByRole("banner").getByRole("button", { name: "Sign out" });
    // Chosen at once.
    await signOut.click();
    await heading(page, "Overview");
    await choose(false);
    const offered = page.waitForResponse(/passkey.options/);
    await signOut.click();
    await offered;
    await heading(page, "Sign in");
    assert.equal(await page.getByLabel("E-mail address").getAttribute("autocomplete"), "username webauthn");
    await choose(true);
    await signInByPasskey(page);
    await heading(page, "Overview");
  });
});

test("at an IP address the page says that passkeys need a name, and offers none", async () => {
  await signedIn(gate, "/settings", {}, async (page) => {
    await page
      .getByText("Passkeys do not work at an IP address. On this machine, open the page at localhost.")
      .waitFor();
    assert.equal(await page.getByRole("button", { name: "Add a passkey" }).count(), 0);
  });
  await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
    await show(page, gate, "/sign-in");
    await heading(page, "Sign in");
    assert.equal(await page.getByRole("button", { name: "Sign in with a passkey" }).count(), 0);
  });
});
