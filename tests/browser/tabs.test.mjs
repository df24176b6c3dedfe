// Several tabs of one browser.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, inPageTime, isOpen, path, settle, signIn } from "./site.mjs";

const second = async (page, site, where = "/dashboard") => {
  const tab = await page.context().newPage();
  tab.on("pageerror", (error) => page.complaints.push(String(error)));
  await tab.goto(site.address + where);
  return tab;
};

test("sign-out in one tab redirects the others", at(["--idle", "10m"], async (page, site) => {
  await signIn(page);
  const tab = await second(page, site);
  await tab.waitForTimeout(1200);
  await tab.click(".who button");
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("login of another user reloads the other tabs", at(["--idle", "10m"], async (page, site) => {
  await signIn(page);
  const tab = await second(page, site, "/login");
  await tab.waitForTimeout(1200);
  await signIn(tab, "bob");
  await page.waitForFunction(() => document.querySelector("[data-user]")?.textContent === "bob");
}));

test("login of the same user does not reload other tabs", at(["--idle", "10m"], async (page, site) => {
  await signIn(page);
  await page.goto("/editor");
  await page.fill("#body", "half a sentence");
  const tab = await second(page, site, "/login");
  await signIn(tab);
  await page.waitForTimeout(1500);
  assert.equal(await page.inputValue("#body"), "half a sentence");
}));

test("extension in one tab closes the warning of the others", at(["--idle", "40s", "--warn", "38s"], async (page, site) => {
  await signIn(page);
  const tab = await second(page, site);
  await page.waitForFunction(() => document.querySelector("dialog").open);
  await tab.waitForFunction(() => document.querySelector("dialog").open);
  await dialog(tab).getByRole("button", { name: "Stay signed in" }).click();
  // Without a message, the page would query the server at its deadline, in more than 30 seconds.
  await page.waitForFunction(() => !document.querySelector("dialog").open, null, { timeout: 20_000 });
  assert.deepEqual([path(page), path(tab)], ["/dashboard", "/dashboard"]);
}));

test("end found by one tab redirects the others", at(["--idle", "10m", "--max-sessions", "1", "--live", "off"], async (page, site) => {
  await signIn(page);
  const tab = await second(page, site);
  await tab.waitForTimeout(1200);
  const elsewhere = await (await page.context().browser().newContext({ baseURL: site.address })).newPage();
  await signIn(elsewhere);
  await tab.evaluate(() => dispatchEvent(new Event("online")));
  await tab.waitForURL(LOGIN_WITH_RETURN);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("tab queries the server at its focus without BroadcastChannel", at(["--idle", "10m"], async (page, site) => {
  await page.context().addInitScript(() => { delete window.BroadcastChannel; });
  await signIn(page);
  const tab = await second(page, site);
  await tab.waitForTimeout(1200);
  await tab.click(".who button");
  await tab.waitForURL("**/login");
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("invalid messages of other scripts change nothing", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  const before = server.statusRequests;
  await page.evaluate(() => {
    const channel = new BroadcastChannel("session-expire/session");
    const huge = "x".repeat(1_000_000);
    for (const message of [null, 0, {}, [], { state: "expired" }, { left: 1e308 }, { type: "logout" }, -1, NaN, huge, new Date(8e15), "expired", "logout"]) channel.postMessage(message);
    for (let n = 0; n < 500; n += 1) channel.postMessage("changed");
  });
  for (let n = 0; n < 5; n += 1) await server.pass(1);
  await settle(page);
  assert.ok(server.statusRequests - before <= 6, `${server.statusRequests - before} requests`);
  assert.deepEqual([path(page), await isOpen(page), server.keepAlives], ["/dashboard", false, []]);
}));
