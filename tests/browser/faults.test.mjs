// Faults around the script: no private content may stay visible.
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, dialog, inPageTime, isCovered, isOpen, path, settle, signIn } from "./site.mjs";

const shiftWallClock = (page, hours) => page.evaluate((by) => { const real = Date.now; Date.now = () => real() + by * 3_600_000; }, hours);
const hide = (page, hidden) => page.evaluate((to) => {
  Object.defineProperty(Document.prototype, "hidden", { get: () => to, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);
const fillIn = async (page, user = "alice") => {
  await page.fill("[name=username]", user);
  await page.fill("[name=password]", user);
  await page.press("[name=password]", "Enter");
};

test("invalid language does not break the dialog", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.evaluate(() => { document.documentElement.lang = "en_US"; });
  await server.pass(1081);
  await server.pass(1);
  assert.equal(await isOpen(page), true);
  await server.pass(130, 10);
  await page.waitForURL("**/login?next=*", { timeout: 3000 });
}));

test("expired page is hidden without the style sheet", at(["--idle", "20m"], async (page) => {
  await page.route("**/session/session.*.css", (route) => route.abort());
  const server = await inPageTime(page);
  await signIn(page);
  await page.evaluate(() => document.addEventListener("session-expire:end", () => {
    sessionStorage.setItem("seen", getComputedStyle(document.documentElement).display);
  }));
  server.away = true;
  await server.pass(1205, 1085);
  await page.waitForURL("**/login?next=*", { timeout: 3000 });
  assert.equal(await page.evaluate(() => sessionStorage.getItem("seen")), "none");
}));

test("hidden tab redirects although the clock was set", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await server.pass(30);
  await hide(page, true);
  await shiftWallClock(page, -1);
  await server.pass(1200, 40);
  await page.waitForURL("**/login?next=*");
}));

test("covered page recovers when the network is back", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  server.away = true;
  await shiftWallClock(page, 3);
  await server.pass(16);
  assert.deepEqual([await isCovered(page), await isOpen(page)], [true, true]);
  server.away = false;
  await server.pass(20, 5);
  assert.deepEqual([await isCovered(page), await isOpen(page), path(page)], [false, false, "/dashboard"]);
}));

test("dismissed notice is shown again after a new login", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page, { session: 1000 });
  await signIn(page);
  await page.goto("/dashboard");
  await server.pass(900);
  await page.keyboard.press("Enter");
  assert.equal(await isOpen(page), false);
  server.session = server.now + 1000; // signed in again in another tab
  server.seen = server.now;
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await settle(page);
  server.seen = server.now + 800;
  await server.pass(905, 181);
  assert.equal(await isOpen(page), true);
}));

test("draft survives an expiry that another tab found first", at(["--idle", "2s", "--editor-idle", "30s"], async (page, site) => {
  await signIn(page);
  const editor = await page.context().newPage();
  await editor.goto(`${site.address}/editor`);
  await editor.fill("#body", "Dear diary");
  await page.bringToFront();
  await page.waitForURL("**/login?next=*", { timeout: 8000 });
  await editor.waitForURL("**/login?next=*", { timeout: 4000 });
  await fillIn(editor);
  await editor.waitForURL("**/editor");
  assert.equal(await editor.inputValue("#body"), "Dear diary");
}));

test("sign-out in one tab deletes the draft of another", at(["--idle", "10m"], async (page, site) => {
  await signIn(page);
  const editor = await page.context().newPage();
  await editor.goto(`${site.address}/editor`);
  await editor.fill("#body", "Dear diary");
  await page.waitForTimeout(1200);
  await page.click(".who button");
  await editor.waitForURL("**/login?next=*", { timeout: 4000 });
  assert.equal(await editor.evaluate(() => Object.keys(sessionStorage).length), 0);
}));

test("caret is restored after a page was covered by mistake", at(["--editor-idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.goto("/editor");
  await page.fill("#body", "a long text");
  await page.locator("#body").evaluate((area) => area.setSelectionRange(2, 6));
  await page.route("**/session/status?*", async (route) => { await new Promise((done) => { setTimeout(done, 300); }); return route.fallback(); });
  await shiftWallClock(page, 3);
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await page.waitForTimeout(150);
  assert.equal(await isCovered(page), true);
  await page.waitForTimeout(500);
  assert.equal(await isCovered(page), false);
  assert.deepEqual(await page.evaluate(() => { const { id, selectionStart, selectionEnd } = document.activeElement; return [id, selectionStart, selectionEnd]; }), ["body", 2, 6]);
  await server.pass(1);
}));

test("keep-alive that a later status request overtakes counts", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await server.pass(1081);
  let go;
  await page.route("**/session/keep-alive", async (route) => { await new Promise((resolve) => { go = resolve; }); return route.fallback(); });
  await dialog(page).getByRole("button", { name: "Stay signed in" }).click();
  await server.pass(2);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.waitForTimeout(200);
  go();
  await page.waitForTimeout(300);
  assert.deepEqual([server.keepAlives.length, await isOpen(page)], [1, false]);
}));
