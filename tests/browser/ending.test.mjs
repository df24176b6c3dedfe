// End of a session: the page is covered, redirected, and not shown again.
import assert from "node:assert/strict";
import { ENGINE } from "./engine.mjs";
import { test } from "./scenarios.mjs";
import { LEAVING_EDITOR, LOGIN_WITH_RETURN, at, inPageTime, isCovered, path, signIn, signInTo } from "./site.mjs";
import { signInElsewhere } from "./streams.mjs";

// Not `page.goBack()`: it waits for a load, and the back/forward cache does not load the page.
const back = async (page) => { await page.evaluate(() => history.back()); await page.waitForTimeout(500); };

const fillIn = async (page, user = "alice") => {
  await page.fill("[name=username]", user);
  await page.fill("[name=password]", user);
  await page.press("[name=password]", "Enter");
};

test("expired page is covered before the redirect", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await server.pass(1190);
  await page.evaluate(() => document.addEventListener("session-expire:end", ({ detail }) => {
    sessionStorage.setItem("seen", JSON.stringify([detail, getComputedStyle(document.querySelector("main")).visibility]));
  }));
  await server.pass(11);
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.deepEqual(await page.evaluate(() => JSON.parse(sessionStorage.getItem("seen"))), [{ state: "expired", reason: "idle" }, "hidden"]);
}));

test("login page announces the reason once", at(["--idle", "2s"], async (page) => {
  await signIn(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
  const message = page.locator("[role=status] .message");
  assert.match(await message.textContent(), /not been active/);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-describedby")), "messages", "the message describes the focused field");
  await page.reload();
  assert.equal(await message.count(), 0);
}));

test("draft is restored after an expiry for the same user only", at(["--idle", "10m", "--editor-idle", "5s", ...LEAVING_EDITOR], async (page) => {
  await signInTo(page, "/editor");
  await page.fill("#body", "Dear diary");
  await page.selectOption("#audience", "Only me");
  await page.waitForURL(LOGIN_WITH_RETURN);
  await fillIn(page);
  await page.waitForURL("**/editor");
  assert.equal(await page.inputValue("#body"), "Dear diary");
  assert.equal(await page.inputValue("#audience"), "Only me");
  assert.match(await page.textContent("[data-restored]"), /not saved yet/);
  await page.waitForURL(LOGIN_WITH_RETURN);
  await fillIn(page, "bob");
  await page.waitForURL("**/editor");
  assert.equal(await page.inputValue("#body"), "");
  assert.equal(await page.evaluate(() => Object.keys(sessionStorage).length), 0);
}));

test("sign-out deletes the draft", at(["--idle", "10m"], async (page) => {
  await signIn(page);
  await page.goto("/editor");
  await page.fill("#body", "Dear diary");
  await page.click(".who button");
  await page.waitForURL("**/login");
  assert.equal(await page.evaluate(() => Object.keys(sessionStorage).length), 0);
}));

test("back/forward cache of the browser is enabled", at(["--idle", "10m"], async (page) => {
  await page.goto("/");
  await page.evaluate(() => addEventListener("pageshow", ({ persisted }) => { window.cameBack = persisted; }));
  await page.goto("/login");
  await back(page);
  assert.equal(await page.evaluate(() => window.cameBack), true);
}));

test("Back shows no private content after a sign-out", at(["--idle", "10m"], async (page) => {
  await signIn(page);
  await page.goto("/vault");
  await page.click(".who button");
  await page.waitForURL("**/login");
  for (let n = 0; n < 3; n += 1) {
    await back(page);
    assert.equal(await page.locator("[data-user]").count(), 0, path(page));
    assert.equal((await page.content()).includes("7QKD"), false);
  }
}));

test("page from the back/forward cache is covered until checked", at(["--idle", "10m"], async (page) => {
  // The application allows browsers to store the page.
  await page.route("**/dashboard", async (route) => {
    const response = await route.fetch({ maxRedirects: 0 });
    const headers = { ...response.headers(), "cache-control": "max-age=600" };
    return route.fulfill({ response, headers });
  });
  await signIn(page);
  await page.goto("/dashboard");
  await page.evaluate(() => {
    addEventListener("pageshow", ({ persisted }) => { window.shown = [persisted, getComputedStyle(document.querySelector("main")).visibility]; });
  });
  await page.goto("/");
  await back(page);
  const seen = await page.evaluate(() => window.shown ?? [false, "visible"]);
  if (seen[0]) assert.equal(seen[1], "hidden");
  assert.equal(await isCovered(page), false, "the session is active");
}));

// WebKit keeps pages in its back/forward cache although the site forbids browsers to store them.
test("kept page of an ended session is covered and redirects", at(["--idle", "10m", "--max-sessions", "1"], async (page, site) => {
  await signIn(page);
  await page.evaluate(() => addEventListener("pageshow", ({ persisted }) => {
    sessionStorage.setItem("shown", JSON.stringify([persisted, getComputedStyle(document.querySelector("main")).visibility]));
  }));
  await page.goto("/static/icon.svg");
  await signInElsewhere(site.address);
  await page.evaluate(() => history.back());
  await page.waitForURL(LOGIN_WITH_RETURN);
  const shown = await page.evaluate(() => JSON.parse(sessionStorage.getItem("shown")));
  if (ENGINE === "webkit" || shown) assert.deepEqual(shown, [true, "hidden"]);
}));

test("limits are shown and enforced without JavaScript", at(["--idle", "2s"], async (page, site) => {
  const context = await page.context().browser().newContext({ baseURL: site.address, javaScriptEnabled: false });
  const plain = await context.newPage();
  await signIn(plain);
  assert.match(await plain.textContent("footer"), /signed out after 2 seconds without activity/);
  assert.equal(await plain.locator("dialog").isVisible(), false);
  assert.equal(await plain.locator("meta[http-equiv=refresh]").count(), 0);
  await plain.waitForTimeout(2200);
  await plain.reload();
  assert.equal(path(plain), "/login?next=/dashboard");
  assert.match(await plain.textContent(".message"), /not been active/);
}));

test("page is covered after a sleep until it is checked", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  // During a sleep the monotonic clock stops, and `Date.now` continues.
  await page.evaluate(() => { const real = Date.now; Date.now = () => real() + 3 * 3_600_000; });
  server.now += 3 * 3600;
  let respond;
  await page.route("**/session/status?*", async (route) => { await new Promise((resolve) => { respond = resolve; }); return route.fallback(); });
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await page.waitForTimeout(200);
  assert.equal(await isCovered(page), true);
  respond();
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("visible page detects a sleep of the machine", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.evaluate(() => { const real = Date.now; Date.now = () => real() + 3 * 3_600_000; });
  server.now += 3 * 3600;
  await server.pass(16);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("frozen tab whose session expired redirects when shown", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  const hide = (hidden) => page.evaluate((to) => {
    Object.defineProperty(Document.prototype, "hidden", { get: () => to, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  server.now += 1201;
  await page.clock.setSystemTime(Date.now() + 1_201_000);
  await hide(false);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));
