// {{ session.redirect_to_login_immediately }} in a real browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, path, signIn } from "./site.mjs";

test("the page is left when the idle time is over, and the login page says why, once", at(["--idle", "2s"], async (page) => {
  await signIn(page);
  await page.waitForURL("**/login?next=*", { timeout: 8000 });
  assert.equal(path(page), "/login?next=%2Fdashboard");
  assert.match(await page.textContent(".message"), /not been active/);
  await page.reload();
  assert.equal(await page.locator(".message").count(), 0);
}));

test("the page is left when the session has lasted its time", at(["--absolute", "2s"], async (page) => {
  await signIn(page);
  await page.waitForURL("**/login?next=*", { timeout: 8000 });
  assert.match(await page.textContent(".message"), /time limit/);
}));

test("signing in leads back, with query and fragment", at(["--idle", "3s"], async (page) => {
  await signIn(page);
  await page.goto("/dashboard?tab=2#details");
  await page.waitForURL("**/login?next=*", { timeout: 8000 });
  await page.fill("[name=username]", "alice");
  await page.fill("[name=password]", "alice");
  await page.press("[name=password]", "Enter");
  await page.waitForURL("**/dashboard*");
  assert.equal(path(page), "/dashboard?tab=2#details");
}));

test("a fragment does not keep the page from being left", at(["--idle", "2s"], async (page) => {
  await signIn(page);
  await page.evaluate(() => { location.hash = "here"; });
  await page.waitForURL("**/login?next=*", { timeout: 8000 });
  assert.equal(path(page), "/login?next=%2Fdashboard%23here");
}));

test("a tab that rests stays while another tab works", at(["--idle", "3s"], async (page, site) => {
  await signIn(page);
  const other = await page.context().newPage();
  for (let n = 0; n < 6; n += 1) {
    await other.goto(`${site.address}/`);
    await page.waitForTimeout(900);
  }
  assert.equal(path(page), "/dashboard");
}));

test("a limit beyond what a timer can hold neither fires at once nor loops", at(["--idle", "40d", "--absolute", "never"], async (page) => {
  await page.clock.install();
  let asked = 0;
  page.on("request", (request) => { asked += request.url().includes("/status?policy=") ? 1 : 0; });
  await signIn(page);
  await page.clock.runFor(1000);
  await page.clock.fastForward("24:00:00");
  assert.equal(asked, 0);
  for (let day = 0; day < 30; day += 1) await page.clock.fastForward("24:00:00");
  assert.equal(asked, 0);
  assert.equal(path(page), "/dashboard");
  for (let day = 0; day < 10; day += 1) await page.clock.fastForward("24:00:00");
  await page.waitForTimeout(300);
  assert.ok(asked === 1 || asked === 2, `asked ${asked} times`);
  assert.equal(path(page), "/dashboard", "the server, which knows better, keeps the session");
}));

test("a page that answered a form is left for the page of the form", at(["--idle", "60s"], async (page, site) => {
  await signIn(page);
  const script = await page.locator("script[data-status]").evaluate((tag) => tag.outerHTML);
  const forged = script
    .replace(/data-idle-end="\d+"/, 'data-idle-end="1" data-next="/editor"')
    .replace(/data-status="[^"]*"/, 'data-status="/nowhere"');
  await page.route("**/answer", (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html><title>Sent</title>${forged}` }));
  await page.goto("/answer");
  await page.waitForURL("**/login?next=*", { timeout: 8000 });
  assert.equal(path(page), "/login?next=%2Feditor");
}));

test("without a way back the login page is asked without one", at(["--idle", "60s"], async (page) => {
  await signIn(page);
  const script = await page.locator("script[data-status]").evaluate((tag) => tag.outerHTML);
  const forged = script
    .replace(/data-idle-end="\d+"/, 'data-idle-end="1" data-next=""')
    .replace(/data-status="[^"]*"/, 'data-status="/nowhere"');
  await page.route("**/answer", (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html><title>Sent</title>${forged}` }));
  await page.goto("/answer");
  await page.waitForURL("**/login", { timeout: 8000 });
  assert.equal(path(page), "/login");
}));

test("Back does not bring the private page back", at(["--idle", "2s"], async (page) => {
  await page.goto("/");
  await signIn(page);
  await page.waitForURL("**/login?next=*", { timeout: 8000 });
  await page.evaluate(() => history.back());
  await page.waitForTimeout(700);
  assert.equal(await page.locator("[data-user]").count(), 0);
}));
