// Devices page of the example site: it shows logins and ends elsewhere without a reload.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { at, atSite, newFolder, path, signIn, startRedis, startSiteIn, visit } from "./site.mjs";
import { waitFor } from "./streams.mjs";

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

const logInOften = async (site, times, user = "alice") => {
  const body = new URLSearchParams({ username: user, password: user });
  for (let n = 0; n < times; n += 1) {
    await fetch(`${site.address}/login`, { method: "POST", redirect: "manual", body });
  }
};

test("an older page shows an end elsewhere, too", at([...forever, "--log-limit", "unlimited"], async (page, site) => {
  await logInOften(site, 30);
  await openDevices(page);
  const past = page.locator("[aria-labelledby=past]");
  assert.equal(await past.locator("[data-session]").count(), 20);
  await Promise.all([
    page.waitForResponse((response) => response.url().includes("/session/events")),
    past.getByRole("link", { name: "Older" }).click(),
  ]);
  assert.match(path(page), /^\/devices\?past=[^&#]*#past$/);
  const ids = () => past.locator("[data-session]").evaluateAll((all) => all.map((e) => e.dataset.session).join());
  const before = await ids();
  const other = await openOther(page, site);
  await page.locator("[data-news]:not(:empty)").waitFor();
  assert.equal(await ids(), before);
  await past.getByRole("link", { name: "Newer" }).click();
  await page.waitForURL("**/devices#past");
  assert.equal(await past.locator("[data-session]").count(), 20);
}));

test("signing out everywhere else asks once", at([...forever, "--live", "off"], async (page, site) => {
  const other = await openOther(page, site);
  await page.bringToFront(); // a browser may send keys only to the tab that is in front
  await signIn(page);
  await page.goto("/devices");
  const ask = page.getByRole("dialog", { name: "Sign out one other session?" });
  const open = async () => {
    await page.getByRole("button", { name: "Sign out everywhere else" }).first().press("Enter");
    await ask.waitFor();
  };
  await open();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await page.keyboard.press("Enter");
  await ask.waitFor({ state: "hidden" });
  await open();
  await page.keyboard.press("Escape");
  await ask.waitFor({ state: "hidden" });
  assert.equal((await other.goto("/dashboard")).url(), `${site.address}/dashboard`);
  await open();
  await page.keyboard.press("Tab");
  await Promise.all([page.waitForResponse("**/devices/end-others"), page.keyboard.press("Enter")]);
  await page.getByText("You ended one other session.").waitFor();
  await other.goto("/dashboard");
  assert.equal(path(other), "/login?next=/dashboard");
}));

test("times are local, with UTC as tooltip, also after an update", at(forever, async (page, site) => {
  const local = await visit(page.context().browser(), site, { timezoneId: "Asia/Kolkata", locale: "en" });
  await openDevices(local);
  const times = () => local.locator("[data-current] time").evaluateAll((all) => all.map(({ title, textContent, dateTime }) => {
    const expected = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" }).format(new Date(dateTime));
    return { isUtc: title.endsWith(" UTC"), isLocal: textContent === expected, text: textContent };
  }));
  for (const count of [1, 2]) {
    await waitForActive(local, count);
    const [signedIn, lastSeen] = await times();
    assert.ok(signedIn.isUtc && signedIn.isLocal && lastSeen.isUtc, JSON.stringify([signedIn, lastSeen]));
    assert.equal(lastSeen.text, "just now");
    if (count === 1) await openOther(page, site);
  }
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

test("change during a request for the lists is shown", at(forever, async (page, site) => {
  await openDevices(page);
  await page.evaluate(() => {
    window.changes = 0;
    document.addEventListener("session-expire:active", () => { window.changes += 1; });
  });
  const held = [];
  await page.route("**/devices/lists*", async (route) => {
    const response = await route.fetch();
    if (held.length === 0) await new Promise((respond) => { held.push(respond); });
    return route.fulfill({ response });
  });
  await openOther(page, site);
  await waitFor("a request", () => held.length > 0);
  const changes = await page.evaluate(() => window.changes);
  await openOther(page, site);
  await page.waitForFunction((before) => window.changes > before, changes);
  await page.waitForTimeout(1100); // the script waits for a second between its requests
  held[0]();
  await waitForActive(page, 3);
}));

test("request for the lists without a response ends", at(forever, async (page, site) => {
  await page.clock.install();
  await openDevices(page);
  let requests = 0;
  await page.route("**/devices/lists*", (route) => {
    requests += 1;
    if (requests > 1) return route.fallback();
  });
  await openOther(page, site);
  await page.clock.fastForward(1000);
  await waitFor("a request", () => requests > 0);
  await page.clock.fastForward(10_000);
  await openOther(page, site);
  await waitForActive(page, 3);
}));
