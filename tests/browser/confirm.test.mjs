// Re-authentication: the confirmation page, parallel tabs and requests, pages without JavaScript.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, isCovered, path, signIn, visit } from "./site.mjs";
import { waitFor } from "./streams.mjs";

const FLAGS = ["--registry", "memory", "--idle", "10m"];
// Short enough to wait for, and long enough for the page after the confirmation to load.
const SHORT = [...FLAGS, "--settings-fresh", "4s"];
const STALE = 4200;

const confirm = async (page, password = "alice") => {
  await page.fill("#password", password);
  await page.press("#password", "Enter");
};

// Signs in, stays active, and waits until the session is no longer fresh.
const becomeStale = async (page, user) => {
  await signIn(page, user);
  for (let waited = 0; waited < STALE; waited += STALE / 3) {
    await page.waitForTimeout(STALE / 3);
    await page.goto("/dashboard");
  }
};

test("page asks for the password again and opens", at(SHORT, async (page) => {
  await becomeStale(page);
  await page.goto("/settings?tab=2");
  assert.equal(path(page), "/confirm?next=/settings%3Ftab%3D2");
  await confirm(page);
  await page.waitForURL("**/settings?tab=2");
  assert.equal(await page.textContent("[data-user]"), "alice");
}));

async function signOutElsewhere(page) {
  await page.click("[aria-labelledby=active] .danger");
  await page.click("dialog.ask .danger");
}

test("form that was not fresh returns to its page, where it works", at([...SHORT, "--live", "off"], async (page, site) => {
  const other = await visit(page.context().browser(), site);
  await signIn(other);
  await becomeStale(page);
  await page.goto("/devices");
  await signOutElsewhere(page);
  await page.waitForURL("**/confirm?next=/devices");
  assert.match(await page.textContent("#why"), /Choose the device again/);
  await confirm(page);
  await page.waitForURL("**/devices");
  assert.equal((await other.goto("/dashboard")).status(), 200);
  assert.equal(path(other), "/dashboard");
  await signOutElsewhere(page);
  await page.locator("#messages", { hasText: "You ended one other session" }).waitFor();
  await other.goto("/dashboard");
  assert.equal(path(other), "/login?next=/dashboard");
}));

test("form is sent once", at(FLAGS, async (page) => {
  await signIn(page);
  await page.goto("/confirm?next=/settings");
  const button = page.getByRole("button", { name: "Continue" });
  assert.equal(await button.isDisabled(), false);
  // The page stays, so that the button can be looked at.
  await page.evaluate(() => {
    document.querySelector("form[data-once]").addEventListener("submit", (e) => e.preventDefault());
  });
  await page.fill("#password", "alice");
  await button.click();
  assert.equal(await button.isDisabled(), true);
  await page.reload();
  await page.fill("#password", "alice");
  await button.click();
  await page.waitForURL((url) => url.pathname === "/settings");
  await page.goBack();
  assert.equal(await button.isDisabled(), false);
}));

test("wrong password is announced and the field stays usable", at(FLAGS, async (page) => {
  await signIn(page);
  await page.goto("/confirm?next=/settings");
  const field = page.locator("#password");
  assert.equal(await field.evaluate((element) => element === document.activeElement), true);
  await confirm(page, "wrong");
  const alert = page.getByRole("alert").filter({ hasText: "The password is wrong" });
  await alert.waitFor();
  assert.match(await alert.textContent(), /4 more times/);
  assert.equal(await field.getAttribute("aria-describedby"), await alert.getAttribute("id"));
  assert.equal(await field.evaluate((element) => element === document.activeElement), true);
  await page.keyboard.type("alice");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/settings");
}));

test("fifth wrong password leads to the login page with the cause", at(FLAGS, async (page) => {
  await signIn(page);
  await page.goto("/confirm?next=/settings");
  for (const left of ["4 more times", "3 more times", "2 more times", "once more"]) {
    await confirm(page, "wrong");
    await page.waitForSelector(`#failure:has-text("${left}")`);
  }
  await confirm(page, "wrong");
  await page.waitForURL("**/login?**");
  assert.match(await page.textContent("#messages"), /too many failed attempts/);
  await page.fill("[name=username]", "alice");
  await confirm(page);
  await page.waitForURL("**/settings");
}));

test("second tab and its polls survive a confirmation", at(FLAGS, async (page) => {
  await signIn(page);
  const tab = await page.context().newPage();
  tab.on("pageerror", (error) => page.complaints.push(String(error)));
  await tab.goto("/dashboard");
  await tab.evaluate(() => {
    window.polls = [];
    const poll = async () => {
      const response = await fetch("/api/poll").catch(() => undefined);
      if (response) window.polls.push(response.status);
      dispatchEvent(new Event("online")); // the script queries the status
      setTimeout(poll, 20);
    };
    poll();
  });
  for (let round = 0; round < 3; round += 1) {
    await page.goto("/confirm?next=/settings");
    await confirm(page);
    await page.waitForURL("**/settings");
  }
  await tab.waitForTimeout(2500); // the script queries once more after a second
  assert.deepEqual([path(page), path(tab)], ["/settings", "/dashboard"]);
  assert.equal(await isCovered(tab), false);
  const last = await tab.evaluate(() => window.polls.length);
  await tab.waitForFunction((count) => window.polls.length > count + 2, last);
  assert.equal(await tab.evaluate(() => window.polls.at(-1)), 200);
}));

// The key changes during two status requests.
test("script queries once more before it treats a renewed key as an end", at([...FLAGS, "--live", "off"], async (page) => {
  await signIn(page);
  const tab = await page.context().newPage();
  const cookie = async () => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const old = await cookie();
  let held = 0, confirmed, isConfirmed;
  const confirmation = new Promise((resolve) => { confirmed = resolve; });
  const states = [];
  await tab.addInitScript(() => { delete window.BroadcastChannel; }); // other tabs cause no requests
  await tab.goto("/dashboard");
  await tab.route("**/session/status?*", async (route) => {
    // The browser has sent the old cookie with each request from before the confirmation.
    const isOld = !isConfirmed;
    held += 1;
    const headers = await route.request().allHeaders();
    await confirmation;
    const response = await fetch(route.request().url(), { headers: { ...headers, cookie: isOld ? old : await cookie() } });
    const body = await response.json();
    states.push(body.reason ?? body.state);
    return route.fulfill({ status: response.status, json: body });
  });
  for (const count of [1, 2]) {
    await tab.waitForTimeout(1200); // the script sends at most one request per second
    await tab.evaluate(() => dispatchEvent(new Event("online")));
    await waitFor("a request", () => held >= count);
  }
  await page.goto("/confirm?next=/settings");
  await confirm(page);
  await page.waitForURL("**/settings");
  assert.notEqual(await cookie(), old);
  isConfirmed = true;
  confirmed();
  await waitFor("an active session", () => states.includes("active"));
  assert.match(states.join(), /^(renewed,){2,}active/);
  await tab.waitForTimeout(300);
  assert.deepEqual([path(tab), await isCovered(tab)], ["/dashboard", false]);
}));

test("confirmation and change of password work without JavaScript", at(SHORT, async (page, site) => {
  const browser = page.context().browser();
  const context = await browser.newContext({ baseURL: site.address, javaScriptEnabled: false });
  const plain = await context.newPage();
  await becomeStale(plain);
  await plain.click("nav a[href='/settings']");
  await plain.waitForURL("**/confirm?next=/settings");
  await confirm(plain);
  await plain.waitForURL("**/settings");
  await plain.fill("#new_password", "s3cret");
  await plain.press("#new_password", "Enter");
  await plain.waitForSelector(".message.success");
  assert.match(await plain.textContent("#messages"), /Your password was changed/);
}));

test("changed password signs an open page out with its cause", at([...FLAGS, "--live", "off"], async (page, site) => {
  const other = await visit(page.context().browser(), site);
  await signIn(other);
  await signIn(page);
  await page.goto("/settings");
  await page.fill("#new_password", "s3cret");
  await page.press("#new_password", "Enter");
  await page.waitForSelector(".message.success");
  await other.waitForTimeout(1200);
  await other.evaluate(() => dispatchEvent(new Event("online")));
  await other.waitForURL(LOGIN_WITH_RETURN);
  assert.match(await other.textContent("#messages"), /your password was changed/);
}));

test("refused login continues with a chosen session", at([...FLAGS, "--max-sessions", "1", "--overflow", "refuse", "--live", "off"], async (page, site) => {
  const holder = await visit(page.context().browser(), site);
  await signIn(holder);
  await page.goto("/login?next=/editor");
  await page.fill("[name=username]", "alice");
  await page.fill("[name=password]", "alice");
  await page.press("[name=password]", "Enter");
  await page.waitForSelector("[name=end]");
  assert.equal(await page.locator("[type=password]").count(), 0);
  assert.equal(await page.locator("[name=end]").first().evaluate((element) => element === document.activeElement), true);
  await page.click("text=End session and sign in");
  await page.waitForURL("**/editor");
  await holder.goto("/dashboard");
  assert.equal(path(holder), "/login?next=/dashboard");
}));

test("impersonation shows a banner until the sign-out", at(FLAGS, async (page) => {
  await signIn(page, "root");
  await page.goto("/admin/users");
  await page.getByRole("button", { name: "Act as alice" }).click();
  await page.waitForURL("**/dashboard");
  const banner = page.getByRole("complementary", { name: "Impersonation" });
  assert.match(await banner.textContent(), /You are acting as alice/);
  await page.goto("/");
  await banner.getByRole("button").click();
  await page.waitForURL("**/login");
  assert.equal(await banner.count(), 0);
}));
