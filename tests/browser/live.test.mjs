// Live pages: one event stream per browser, ends from elsewhere, and the choice of the leader.
import assert from "node:assert/strict";
import { processOf } from "./engine.mjs";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, atSite, newFolder, path, signIn, startSiteIn, visit } from "./site.mjs";
import { LIMIT, countAllStreams, countStreams, observe, openTabs, report, signInElsewhere, waitFor, waitForLeader } from "./streams.mjs";

const FLAGS = ["--idle", "10m"];

test("eight tabs in two browsers open one stream each", { timeout: 120_000 }, at([...FLAGS, "--max-sessions", "2"], async (page, site) => {
  const other = await visit(page.context().browser(), site);
  const browsers = [await openTabs(page), await openTabs(other)];
  const before = browsers.map(({ requests }) => requests.length);
  await page.waitForTimeout(2500); // the tabs have asked for the leader twice
  for (const { tabs } of browsers) await waitFor("one stream", async () => (await countAllStreams(tabs)) === 1);
  assert.deepEqual(browsers.map(({ requests }) => requests.length), before);
  assert.deepEqual(other.complaints, []);
}));

test("eviction in another process hides all visible tabs", { timeout: 120_000 }, async () => {
  const folder = newFolder();
  const second = await startSiteIn(folder, ...FLAGS, "--max-sessions", "1");
  await atSite(() => startSiteIn(folder, ...FLAGS, "--max-sessions", "1"), async (page) => {
    const { tabs, ends } = await openTabs(page);
    await page.waitForTimeout(1200); // no tab has queried the server within the last second
    const start = performance.now();
    await signInElsewhere(second.address);
    await waitFor("each tab ends", () => new Set(ends.map(({ page: tab }) => tab)).size === tabs.length);
    report("eviction hides the last of four tabs", start);
    assert.ok(ends.every(({ covered }) => covered));
    assert.ok(ends.some(({ reason }) => reason === "evicted"), JSON.stringify(ends.map(({ reason }) => reason)));
    await Promise.all(tabs.map((tab) => tab.waitForURL(LOGIN_WITH_RETURN)));
    const messages = await Promise.all(tabs.map((tab) => tab.locator(".message").allTextContents()));
    assert.ok(messages.flat().some((text) => /another device/.test(text)), messages.join());
  })();
  second.stop();
});

test("another tab leads after the process of the leader was killed", { timeout: 120_000 }, at(FLAGS, async (page) => {
  const { tabs, leader } = await openTabs(page);
  const crashed = [];
  for (const tab of tabs) tab.on("crash", () => crashed.push(tab));
  const id = await processOf(leader);
  const start = performance.now();
  process.kill(id, "SIGKILL");
  const rest = tabs.filter((tab) => tab !== leader);
  await waitForLeader(rest);
  report("a tab leads after the leader was killed", start);
  await waitFor("one stream", async () => (await countAllStreams(rest)) === 1);
  assert.deepEqual(crashed, [leader]);
}));

test("another tab leads while the leader is frozen", { timeout: 120_000 }, at(FLAGS, async (page) => {
  const { tabs, leader } = await openTabs(page);
  const id = await processOf(leader);
  const rest = tabs.filter((tab) => tab !== leader);
  try {
    const start = performance.now();
    process.kill(id, "SIGSTOP");
    await waitForLeader(rest);
    report("a tab leads after the leader was frozen", start);
  } finally {
    process.kill(id, "SIGCONT");
  }
  await waitFor("the former leader closes its stream", async () => (await countStreams(leader)) === 0);
  await waitFor("one stream", async () => (await countAllStreams(rest)) === 1);
}));

test("another tab leads after the leader was left, which joins again", { timeout: 120_000 }, at(FLAGS, async (page) => {
  const { tabs, leader } = await openTabs(page, 2);
  await leader.goto("/static/icon.svg");
  const [other] = tabs.filter((tab) => tab !== leader);
  await waitForLeader([other]);
  await leader.evaluate(() => history.back());
  await leader.waitForURL("**/dashboard");
  await other.close();
  await waitForLeader([leader]);
}));

test("stream counts as no activity", at(["--idle", "8s", "--warn", "1s"], async (page, site) => {
  const { requests } = await observe(page.context());
  await signIn(page);
  await waitForLeader([page]);
  await signInElsewhere(site.address); // causes an event
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.match(await page.textContent(".message"), /not been active/);
  assert.ok(requests.length <= 3, `${requests.length} requests`);
}));

// WebKit may call the function of a request after it has rejected the request.
test("tab whose lock was stolen at once opens no stream", at(FLAGS, async (page) => {
  await page.context().addInitScript(() => {
    window.calls = 0;
    if (!window.LockManager) return; // about:blank in Firefox
    LockManager.prototype.request = (name, options, lead) => {
      setTimeout(() => { lead(); window.calls += 1; });
      return Promise.reject(new DOMException("stolen", "AbortError"));
    };
  });
  await observe(page.context());
  await signIn(page);
  await waitFor("an attempt", () => page.evaluate(() => window.calls > 0));
  assert.equal(await page.evaluate(() => window.streams.length), 0);
}));

for (const name of ["locks", "EventSource", "BroadcastChannel"]) {
  test(`page without ${name} opens no stream`, at(FLAGS, async (page) => {
    await page.context().addInitScript((missing) => {
      if (missing === "locks") delete Navigator.prototype.locks;
      else delete window[missing];
    }, name);
    const { requests } = await observe(page.context());
    await signIn(page);
    const tab = await page.context().newPage();
    await tab.goto("/dashboard");
    await tab.waitForTimeout(3000);
    assert.equal(requests.length, 0);
    await tab.click(".who button");
    await tab.waitForURL("**/login");
    if (name === "BroadcastChannel") await page.evaluate(() => dispatchEvent(new Event("focus")));
    await page.waitForURL(LOGIN_WITH_RETURN);
  }));
}

test("page without live pages opens no stream", at([...FLAGS, "--live", "off"], async (page) => {
  const { requests } = await observe(page.context());
  await signIn(page);
  await page.waitForTimeout(3000);
  assert.equal(requests.length, 0);
  assert.equal(await page.locator("[data-events]").count(), 0);
  assert.equal(path(page), "/dashboard");
}));
