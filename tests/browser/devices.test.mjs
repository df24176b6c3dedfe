// Devices page of the example site: it shows logins and ends elsewhere without a reload.
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, atSite, newFolder, path, signIn, startRedis, startSiteIn, visit } from "./site.mjs";

const forever = ["--idle", "never"];
const news = (page) => page.textContent("[data-news]");
const active = (page) => page.locator("[aria-labelledby=active] [data-session]");
const waitForActive = (page, n) => page.waitForFunction(
  (n) => document.querySelectorAll("[aria-labelledby=active] [data-session]").length === n, n,
);

async function openDevices(page) {
  await signIn(page);
  await Promise.all([
    page.waitForResponse((response) => response.url().includes("/session/events")),
    page.goto("/devices"),
  ]);
  await page.evaluate(() => { window.isSame = true; });
}

const openOther = async (page, site) => {
  const other = await visit(page.context().browser(), site);
  await signIn(other);
  return other;
};

test("a login and an end elsewhere appear without a reload", at(forever, async (page, site) => {
  await openDevices(page);
  assert.equal(await news(page), "");
  await page.focus("[data-current] button");
  const other = await openOther(page, site);
  const start = Date.now();
  await waitForActive(page, 2);
  console.log(`a login appears ${Date.now() - start} ms after the response to it`);
  assert.equal(await news(page), "The list of your devices has changed.");
  assert.ok(await page.evaluate(() => document.activeElement.matches("[data-current] button")));
  await Promise.all([other.waitForURL("**/login"), other.click("form.who button")]);
  await waitForActive(page, 1);
  await page.locator("[data-ended-reason=logged_out]").waitFor();
  assert.ok(await page.evaluate(() => window.isSame));
}));

test("the focus moves to the heading if its session has ended", at(forever, async (page, site) => {
  await openDevices(page);
  const other = await openOther(page, site);
  await waitForActive(page, 2);
  await active(page).nth(1).locator("button").focus();
  await Promise.all([other.waitForURL("**/login"), other.click("form.who button")]);
  await waitForActive(page, 1);
  assert.equal(await page.evaluate(() => document.activeElement.id), "active");
}));

test("the request for the lists is no activity, and shows no message", at([...forever, "--max-sessions", "3"], async (page, site) => {
  await openDevices(page);
  await openOther(page, site);
  await waitForActive(page, 2);
  await page.reload();
  assert.match(await page.textContent("#messages"), /New sign-in from/);
}));

test("the page sends at most one request per second", at([...forever, "--max-sessions", "unlimited"], async (page, site) => {
  await openDevices(page);
  const times = [];
  page.on("request", (request) => request.url().includes("/devices/lists") && times.push(Date.now()));
  const body = new URLSearchParams({ username: "alice", password: "alice" });
  for (let n = 0; n < 20; n += 1) {
    await fetch(`${site.address}/login`, { method: "POST", redirect: "manual", body });
  }
  await waitForActive(page, 21);
  assert.ok(times.length < 20, `${times.length} requests`);
  // The time at which the test sees a request varies with the load of the machine.
  const [first, last] = [times[0], times.at(-1)];
  assert.ok(times.length <= 2 + (last - first) / 900, `${times.map((time) => time - first)}`);
}));

test("without live pages, the page is as before", at([...forever, "--live", "off"], async (page, site) => {
  const requests = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await signIn(page);
  await page.goto("/devices");
  await openOther(page, site);
  await page.bringToFront();
  assert.ok(!requests.includes("/session/events") && !requests.includes("/devices/lists"));
  assert.equal(await active(page).count(), 1);
}));

async function assertShowsOtherProcess(...flags) {
  const folder = newFolder();
  const start = () => startSiteIn(folder, ...forever, ...flags);
  const other = await start();
  try {
    await atSite(start, async (page, site) => {
      await openDevices(page);
      const second = await openOther(page, other);
      await waitForActive(page, 2);
      await second.goto(`${other.address}/devices`);
      const end = second.locator(`form[action$="/end"]`).nth(1).locator("button");
      await Promise.all([page.waitForURL("**/login**"), end.click()]);
      assert.equal(new URL(page.url()).origin, site.address);
      assert.equal(path(page), "/login?next=%2Fdevices");
    })();
  } finally {
    other.stop();
  }
}

test("a login in another process on one SQLite file appears", () =>
  assertShowsOtherProcess("--registry", "sqlite:shared.sqlite"));

test("a login in another process on one Redis server appears", async () => {
  const redis = await startRedis();
  try {
    await assertShowsOtherProcess("--registry", redis.url);
  } finally {
    redis.stop();
  }
});
