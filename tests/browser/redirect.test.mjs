// `{{ session.redirect_to_login_immediately }}` in a browser.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, path, signIn, signInTo } from "./site.mjs";

test("page redirects at the idle timeout", at(["--idle", "2s"], async (page) => {
  await signIn(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.equal(path(page), "/login?next=%2Fdashboard");
}));

test("page redirects at the absolute timeout", at(["--absolute", "2s"], async (page) => {
  await signIn(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.match(await page.textContent(".message"), /time limit/);
}));

test("login returns to the page with query and fragment", at(["--idle", "3s"], async (page) => {
  await signInTo(page, "/dashboard?tab=2#details");
  await page.waitForURL(LOGIN_WITH_RETURN);
  await page.fill("[name=username]", "alice");
  await page.fill("[name=password]", "alice");
  await page.press("[name=password]", "Enter");
  await page.waitForURL(({ pathname }) => pathname === "/dashboard");
  assert.equal(path(page), "/dashboard?tab=2#details");
}));

test("page with a fragment redirects", at(["--idle", "4s"], async (page) => {
  await signIn(page);
  await page.evaluate(() => { location.hash = "here"; });
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.equal(path(page), "/login?next=%2Fdashboard%23here");
}));

test("inactive tab stays while another tab is active", at(["--idle", "6s"], async (page, site) => {
  await signIn(page);
  const other = await page.context().newPage();
  for (let n = 0; n < 10; n += 1) {
    await other.goto(`${site.address}/`);
    await page.waitForTimeout(900);
  }
  assert.equal(path(page), "/dashboard");
}));

test("limit beyond the range of a timer does not fire early", at(["--idle", "40d", "--absolute", "never", "--live", "off"], async (page) => {
  await page.clock.install();
  let requests = 0;
  page.on("request", (request) => { requests += request.url().includes("/status?policy=") ? 1 : 0; });
  await signIn(page);
  await page.clock.runFor(1000);
  await page.clock.fastForward("24:00:00");
  assert.equal(requests, 0);
  for (let day = 0; day < 30; day += 1) await page.clock.fastForward("24:00:00");
  assert.equal(requests, 0);
  assert.equal(path(page), "/dashboard");
  for (let day = 0; day < 10; day += 1) await page.clock.fastForward("24:00:00");
  await page.waitForTimeout(300);
  assert.ok(requests === 1 || requests === 2, `${requests} requests`);
  assert.equal(path(page), "/dashboard", "the session is active on the server");
}));

test("response to a form returns to the page of the form", at(["--idle", "60s"], async (page, site) => {
  await signIn(page);
  const script = await page.locator("script[data-status]").evaluate((tag) => tag.outerHTML);
  const forged = script
    .replace(/data-idle-end="\d+"/, 'data-idle-end="1" data-next="/editor"')
    .replace(/data-status="[^"]*"/, 'data-status="/nowhere"');
  await page.route("**/form-response", (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html><title>Sent</title>${forged}` }));
  await page.goto("/form-response");
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.equal(path(page), "/login?next=%2Feditor");
}));

test("redirect without a return path has no parameter", at(["--idle", "60s"], async (page) => {
  await signIn(page);
  const script = await page.locator("script[data-status]").evaluate((tag) => tag.outerHTML);
  const forged = script
    .replace(/data-idle-end="\d+"/, 'data-idle-end="1" data-next=""')
    .replace(/data-status="[^"]*"/, 'data-status="/nowhere"');
  await page.route("**/form-response", (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html><title>Sent</title>${forged}` }));
  await page.goto("/form-response");
  await page.waitForURL("**/login");
  assert.equal(path(page), "/login");
}));

test("Back shows no private content after an expiry", at(["--idle", "2s"], async (page) => {
  await page.goto("/");
  await signIn(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
  await page.evaluate(() => history.back());
  await page.waitForTimeout(700);
  assert.equal(await page.locator("[data-user]").count(), 0);
}));
