// The admin page in Chromium, against the built Worker: what people do with it. Every test runs in a
// browser of its own, and fails when the page logs an error or breaks its Content-Security-Policy.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { OWNER } from "./harness/admin.mjs";
import { withPage } from "./harness/browser.mjs";
import { startGate } from "./harness/gate.mjs";
import { statusOf } from "./harness/project.mjs";
import { waitFor } from "./harness/wait.mjs";
import { heading, NOT_SIGNED_IN, show, signedIn, signIn, status } from "./page.mjs";

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

test("from the set-up link to a key that is used, revoked and refused", async () => {
  const fresh = await startGate();
  try {
    await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page, context) => {
      await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: fresh.url });
      const token = fresh.secrets.KEYWARD_SETUP_TOKEN;

      await page.goto(`${fresh.url}/admin/#setup=${token}`);
      await heading(page, "Set up Keyward");
      assert.equal(await page.getByLabel("Set-up token").inputValue(), token);
      assert.equal(page.url(), `${fresh.url}/admin/#/set-up`, "the token has left the address bar");
      await page.getByLabel("E-mail address").fill(OWNER.email);
      await page.getByLabel("Password").fill(OWNER.password);
      await page.getByRole("button", { name: "Create the owner" }).click();
      await page.getByText("No keys yet").waitFor();

      await page.getByRole("button", { name: "Sign out" }).click();
      await signIn(page);
      await page.getByRole("link", { name: "Create the first key" }).click();
      await page.getByLabel("Name").fill("Warehouse");
      await page.getByLabel("orders:write").check();
      const included = page.getByLabel("orders:read");
      assert.ok(
        (await included.isChecked()) && (await included.isDisabled()),
        "write includes read, and the form shows it",
      );
      await page.getByRole("button", { name: "Create key" }).click();

      const key = await page.getByTestId("new-key").innerText();
      assert.match(key, /^kw_live_[0-9A-Za-z]{36}$/);
      await page.getByText("It is shown only once").waitFor();
      await page.getByTestId("copy-key").click();
      await page.getByRole("button", { name: "Copied" }).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
      const use = () => fresh.send({ target: "/api/orders", headers: { Authorization: `Bearer ${key}` } });
      assert.equal((await use()).status, 200);

      await page.getByRole("button", { name: "I have saved it" }).click();
      await heading(page, "Warehouse");
      await page.getByRole("button", { name: "Revoke key" }).click();
      const dialog = page.getByRole("dialog", { name: "Revoke Warehouse?" });
      await dialog.getByLabel("Reason").fill("no longer needed");
      await dialog.getByRole("button", { name: "Revoke key" }).click();
      // The default policy asks for no password here: the statement comes at once.
      const statement = page.getByTestId("refused-by");
      const [, by] = (await statement.innerText()).match(/refused everywhere by (\d\d:\d\d:\d\d)/i) ?? [];
      assert.ok(by, "the page says from when on the key is refused everywhere");
      await statement.getByText("the key works nowhere any more").waitFor();
      assert.equal((await use()).status, 401);
      assert.equal((await use()).json().code, "REVOKED_API_KEY");
    });
  } finally {
    await fresh.stop();
  }
});

test("from the first page of an empty deployment to the first 200 of its curl line are five clicks and four fields", async () => {
  const fresh = await startGate();
  try {
    await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page, context) => {
      await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: fresh.url });
      const work = { clicks: 0, fields: 0 };
      const click = (/** @type {"button" | "link"} */ role, /** @type {string} */ name) => {
        work.clicks += 1;
        return page.getByRole(role, { name }).click();
      };
      const fill = (/** @type {string} */ label, /** @type {string} */ text) => {
        work.fields += 1;
        return page.getByLabel(label).fill(text);
      };
      await page.goto(`${fresh.url}/admin/`);
      await heading(page, "Set up Keyward");
      await page.getByText("The link that npm start or npm run secrets prints has it.").waitFor();
      await fill("Set-up token", fresh.secrets.KEYWARD_SETUP_TOKEN);
      await fill("E-mail address", OWNER.email);
      await fill("Password", OWNER.password);
      await click("button", "Create the owner");
      await click("link", "Create the first key");
      await heading(page, "Create a key");
      await fill("Name", "First");
      await click("button", "Read only");
      await click("button", "Create key");
      await page.getByTestId("first-use").getByText("Waiting for its first request").waitFor();
      await click("button", "Copy curl line");
      assert.deepEqual(work, { clicks: 5, fields: 4 });
      const line = await page.evaluate(() => navigator.clipboard.readText());
      assert.equal(await statusOf(line), "200", line);
      await page.getByText("It works: its first request was let through.").waitFor();
    });
  } finally {
    await fresh.stop();
  }
});

test("a set-up link that is not percent-encoded as it should be shows the form, with what it holds", async () => {
  for (const [written, shown] of [
    ["%", "%"],
    ["a%zz", "a%zz"],
    ["%E0%A4%A", "%E0%A4%A"],
    ["a%20b", "a b"],
  ]) {
    await withPage({ expectedErrors: [NOT_SIGNED_IN] }, async (page) => {
      await page.goto(`${gate.url}/admin/#setup=${written}`);
      await heading(page, "Set up Keyward");
      assert.equal(await page.getByLabel("Set-up token").inputValue(), shown);
      await page.goto(`${gate.url}/admin/#/keys/%E0%A4%A`);
      await page.getByRole("heading", { level: 1 }).waitFor();
    });
  }
});

test("a second set-up is refused with the way to sign in", async () => {
  await withPage({ expectedErrors: [status(409)] }, async (page) => {
    await show(page, gate, `setup=${gate.secrets.KEYWARD_SETUP_TOKEN}`);
    await page.getByLabel("E-mail address").fill("second@example.com");
    await page.getByLabel("Password").fill("another long password");
    await page.getByRole("button", { name: "Create the owner" }).click();
    await page.getByText("set up already").waitFor();
    await page.getByRole("alert").getByRole("link", { name: "Sign in" }).click();
    await heading(page, "Sign in");
  });
});

test("what the set-up token made says so, on the key's page and in the audit", async () => {
  const fresh = await startGate();
  try {
    const byToken = { Authorization: `Setup ${fresh.secrets.KEYWARD_SETUP_TOKEN}` };
    const body = { name: "Made by a script", scopes: ["orders:read"] };
    const { apiKey } = await fresh.admin().must("POST", "/api-keys", body, byToken);
    await fresh.owner();
    await signedIn(fresh, `/keys/${apiKey.id}`, {}, async (page) => {
      await page.getByText("by the set-up token").waitFor();
      await page.getByRole("link", { name: "Audit" }).click();
      const row = page.getByTestId("audit-row").filter({ hasText: apiKey.name });
      await row.getByText("the set-up token created key").waitFor();
    });
  } finally {
    await fresh.stop();
  }
});

test("a key is created with the keyboard alone", async () => {
  await signedIn(gate, "/keys", {}, async (page) => {
    const focused = () =>
      page.evaluate(() => document.activeElement.getAttribute("name") || document.activeElement.textContent.trim());
    const tabTo = async (wanted) => {
      for (let presses = 0; presses < 60; presses += 1) {
        if ((await focused()) === wanted) return;
        await page.keyboard.press("Tab");
      }
      assert.fail(`Tab does not reach ${wanted}`);
    };

    await heading(page, "Keys");
    await tabTo("Create key");
    await page.keyboard.press("Enter");
    await heading(page, "Create a key");
    assert.equal(await focused(), "name", "the first field has the focus");
    await page.keyboard.type("By keyboard");
    await tabTo("scopes");
    await page.keyboard.press("Space");
    await page.keyboard.press("Enter");
    await page.getByTestId("new-key").waitFor();
    await tabTo("Copy key");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid", "the focus is visible");
    await tabTo("I have saved it");
    await page.keyboard.press("Enter");
    await heading(page, "By keyboard");

    await tabTo("Revoke key");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.equal(await focused(), "Revoke key", "the focus returns to where the dialog was opened");
  });
});

test("wrong fields are named beside the field, and the first one has the focus", async () => {
  await signedIn(gate, "/keys/new", { expectedErrors: [status(400)] }, async (page) => {
    await page.getByText("More settings").click();
    await page.getByLabel("Requests a minute").fill("-1");
    await page.getByText("More settings").click();
    await page.getByLabel("Allowed addresses").fill("203.0.113.0/24, nowhere");
    await page.getByRole("button", { name: "Create key" }).click();
    const name = page.getByLabel("Name");
    await page.locator("[aria-invalid=true]").first().waitFor();
    assert.ok(await name.evaluate((node) => node === document.activeElement));
    assert.match(
      await name.evaluate(
        (node) => document.getElementById(node.getAttribute("aria-describedby").split(" ").at(-1)).innerText,
      ),
      /characters|required/,
    );
    const text = await page.locator("body").innerText();
    assert.match(text, /Must be a whole number from 1 to/);
    assert.match(text, /Entry 2 /);
    assert.match(text, /scope/i);
  });
});

test("the form says what a blank limit inherits: the tenant's own, else the policy's", async () => {
  const { tenant } = await owner.must("GET", "/session");
  await owner.must("PATCH", `/tenants/${tenant.id}`, { rateLimit: { perMinute: null, perDay: 4200 } });
  try {
    await signedIn(gate, "/keys/new", {}, async (page) => {
      await page.getByText("More settings").click();
      await page.getByText("Inherited: 600. At most 100,000.").waitFor();
      await page.getByText("Inherited: 4,200. At most 10,000,000.").waitFor();
    });
  } finally {
    await owner.must("PATCH", `/tenants/${tenant.id}`, { rateLimit: null });
  }
});

test("a view that is left before it is there does not take the place of the one that is gone back to", async () => {
  await signedIn(gate, "/keys", {}, async (page) => {
    /** @type {import("playwright-core").Route[]} */
    const held = [];
    await page.route(/\/api\/admin\/members/, (route) => held.push(route));
    const answered = page.waitForResponse(/\/api\/admin\/members/);
    await show(page, gate, "/members");
    await waitFor("the question", () => held.length > 0);
    await show(page, gate, "/keys");
    await Promise.all([answered, ...held.map((route) => route.continue())]);
    await show(page, gate, "/audit");
    await heading(page, "Audit");
    await page.goBack();
    await heading(page, "Keys");
    assert.ok(page.url().endsWith("#/keys"), page.url());
  });
});

test("a view that was loaded just as the address changed does not take the new address away", async () => {
  await signedIn(gate, "/keys", {}, async (page) => {
    await page.evaluate(() => {
      // The browser tells of a new address a moment after it has it; the first view is there before that.
      location.hash = "/no-such-page";
      dispatchEvent(new HashChangeEvent("hashchange"));
      location.hash = "/audit";
    });
    await heading(page, "Audit");
    assert.ok(page.url().endsWith("#/audit"), page.url());
  });
});

test("a store that does not answer is said to be that, and trying again helps once it does", async () => {
  await signedIn(gate, "/keys", { expectedErrors: [status(503)] }, async (page) => {
    await gate.objects.faults({ "Registry.fetch": { fail: true } });
    try {
      await page.getByRole("button", { name: "Filter" }).click();
      await page.getByLabel("Status").selectOption("ACTIVE");
      await page.getByText("STORE_UNAVAILABLE").waitFor();
    } finally {
      await gate.objects.faults({ "Registry.fetch": null });
    }
    // What has failed is asked again after a few seconds.
    await waitFor("the keys", async () => {
      await page.getByRole("button", { name: "Try again" }).click({ timeout: 1_000 });
      await page.getByText("STORE_UNAVAILABLE").waitFor({ state: "detached", timeout: 1_000 });
      return true;
    });
    await page.getByTestId("key-row").first().waitFor();
  });
});

// At 390 pixels, page_axe.test.mjs looks at all of them.
for (const width of [320, 768]) {
  test(`no view scrolls sideways at ${width} pixels`, async () => {
    await owner.stepUp();
    const email = `${"a-long-address".repeat(4)}-${width}@example.com`;
    const { member } = await owner.must("POST", "/members", {
      email,
      role: "viewer",
      password: "a long first password",
    });
    const { apiKey } = await owner.createKey({
      name: `AVeryLongNameWithoutAnySpacesInIt${"x".repeat(60)}`,
      scopes: ["orders:read", "orders:write", "admin:read"],
      allowedIps: ["2001:db8:1234:5678:9abc:def0:1234:5678/128"],
      tags: ["y".repeat(50)],
    });
    await signedIn(gate, "/keys", { viewport: { width, height: 700 } }, async (page) => {
      for (const path of [
        "/keys",
        "/keys/new",
        `/keys/${apiKey.id}`,
        `/keys/${apiKey.id}/edit`,
        `/keys/${apiKey.id}/rotate`,
        "/audit",
        "/members",
        "/tenants",
        "/settings",
        "/overview",
        `/members/${member.id}/sessions`,
      ]) {
        await show(page, gate, path);
        await waitFor(path, () =>
          page.evaluate(
            (wanted) => location.hash === `#${wanted}` && !document.getElementById("main").hasAttribute("aria-busy"),
            path,
          ),
        );
        const [content, view] = await page.evaluate(() => [
          document.documentElement.scrollWidth,
          document.documentElement.clientWidth,
        ]);
        assert.ok(content <= view, `${path}: ${content} pixels wide in ${view}`);
      }
    });
  });
}
