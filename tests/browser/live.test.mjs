// Live pages: one event stream per browser, ends from elsewhere, and the choice of the leader.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { at, atSite, inPageTime, isCovered, newFolder, path, signIn, startSiteIn, visit } from "./site.mjs";

const FLAGS = ["--idle", "10m"];
const LIMIT = 15_000; // milliseconds on a busy machine; the tests print the measured times
const isStream = (request) => new URL(request.url()).pathname === "/session/events";

// Lets the test see the streams and the ends of each page.
const exposeStreams = () => {
  const { EventSource } = window;
  window.streams = [];
  if (EventSource) {
    window.EventSource = class extends EventSource {
      constructor(...args) {
        super(...args);
        window.streams.push(this);
      }
    };
  }
  document.addEventListener("session-expire:end", ({ detail }) => {
    const main = document.querySelector("main");
    window.reportEnd({ ...detail, covered: getComputedStyle(main).visibility === "hidden" });
  });
};

// Records the requests of a browser for event streams, and the ends of its pages.
async function observe(context) {
  const browser = { requests: [], ends: [] };
  await context.exposeBinding("reportEnd", ({ page }, end) => browser.ends.push({ page, at: performance.now(), ...end }));
  await context.addInitScript(exposeStreams);
  context.on("request", (request) => isStream(request) && browser.requests.push(request));
  return browser;
}

// Opens tabs of a signed-in user.
async function openTabs(page, count = 4) {
  const browser = await observe(page.context());
  await signIn(page);
  const tabs = [page];
  while (tabs.length < count) {
    const tab = await page.context().newPage();
    tab.on("pageerror", (error) => page.complaints.push(String(error)));
    await tab.goto("/dashboard");
    tabs.push(tab);
  }
  return { ...browser, tabs, leader: await waitForLeader(tabs) };
}

async function waitFor(what, condition) {
  for (const start = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const value = await condition();
    if (value) return value;
    assert.ok(performance.now() - start < LIMIT, `${what}: not within ${LIMIT} ms`);
  }
}

// Returns the number of streams of a page that are open or connecting.
const countStreams = (page) => page.evaluate(() => window.streams.filter(({ readyState }) => readyState !== EventSource.CLOSED).length);

const countAllStreams = async (pages) => (await Promise.all(pages.map(countStreams))).reduce((sum, count) => sum + count);

const isLeader = (page) => page.evaluate(() => window.streams.some(({ readyState }) => readyState === EventSource.OPEN));

const waitForLeader = (pages) => waitFor("a tab leads", async () => {
  for (const page of pages) if (await isLeader(page).catch(() => false)) return page;
});

const signInElsewhere = async (address, user = "alice") => {
  const response = await fetch(`${address}/login`, {
    method: "POST", redirect: "manual", body: new URLSearchParams({ username: user, password: user }),
  });
  assert.equal(response.status, 303);
  return response.headers.getSetCookie()[0].split(";")[0];
};

// Returns the process that a page keeps busy. The browser may use one process for several tabs.
async function processOf(page) {
  const devtools = await page.context().browser().newBrowserCDPSession();
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  const ticks = ({ id }) => {
    const fields = readFileSync(`/proc/${id}/stat`, "utf8").split(") ")[1].split(" ");
    return Number(fields[11]) + Number(fields[12]);
  };
  const renderers = processInfo.filter(({ type }) => type === "renderer");
  const before = renderers.map(ticks);
  await page.evaluate(() => { for (const end = performance.now() + 700; performance.now() < end;); });
  const used = renderers.map((renderer, n) => ticks(renderer) - before[n]);
  return renderers[used.indexOf(Math.max(...used))].id;
}

const report = (what, since) => console.log(`${what}: ${Math.round(performance.now() - since)} ms`);

test("eight tabs in two browsers open one stream each", { timeout: 120_000 }, at([...FLAGS, "--max-sessions", "2"], async (page, site) => {
  const other = await visit(page.context().browser(), site);
  const browsers = [await openTabs(page), await openTabs(other)];
  const before = browsers.map(({ requests }) => requests.length);
  await page.waitForTimeout(2500); // the tabs have asked for the leader twice
  for (const { tabs } of browsers) assert.equal(await countAllStreams(tabs), 1);
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
    await Promise.all(tabs.map((tab) => tab.waitForURL("**/login?next=*")));
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

test("page shows no private content after an event", at(FLAGS, async (page) => {
  const body = 'retry: 600000\n\ndata: {"state":"expired","reason":"revoked","login_url":"/login"}\n\n';
  await page.route("**/session/events?*", (route) => route.fulfill({ contentType: "text/event-stream", body }));
  const { ends } = await observe(page.context());
  await signIn(page);
  await page.waitForURL("**/login?next=*", { timeout: LIMIT });
  assert.deepEqual(ends.map(({ state, reason, covered }) => [state, reason, covered]), [["expired", "revoked", true]]);
}));

test("event cannot uncover a page", at(["--idle", "20m"], async (page) => {
  const body = 'retry: 200\n\ndata: {"state":"active","seconds_until_idle_end":1200,"seconds_until_session_end":9000}\n\n';
  const server = await inPageTime(page);
  let [events, isSending] = [0, false];
  await page.route("**/session/events?*", (route) => {
    if (!isSending) return route.abort();
    events += 1;
    return route.fulfill({ contentType: "text/event-stream", body });
  });
  await signIn(page);
  await server.pass(1085);
  server.away = true;
  await server.pass(120, 10);
  assert.equal(await isCovered(page), true);
  isSending = true;
  await waitFor("two events", () => events > 2);
  assert.equal(await isCovered(page), true);
}));

test("stream counts as no activity", at(["--idle", "4s", "--warn", "1s"], async (page, site) => {
  const { requests } = await observe(page.context());
  await signIn(page);
  await waitForLeader([page]);
  await signInElsewhere(site.address); // causes an event
  await page.waitForURL("**/login?next=*", { timeout: LIMIT });
  assert.match(await page.textContent(".message"), /not been active/);
  assert.ok(requests.length <= 3, `${requests.length} requests`);
}));

test("login elsewhere is an event of the leader and of other tabs", at(FLAGS, async (page, site) => {
  const { tabs } = await openTabs(page, 2);
  for (const tab of tabs) {
    await tab.evaluate(() => {
      window.seen = 0;
      document.addEventListener("session-expire:active", () => { window.seen += 1; });
    });
  }
  await page.waitForTimeout(1200);
  await signInElsewhere(site.address);
  for (const tab of tabs) await tab.waitForFunction(() => window.seen > 0, null, { timeout: LIMIT });
}));

test("login of the same user in another tab keeps the page of the leader", at(FLAGS, async (page) => {
  await observe(page.context());
  await signIn(page);
  await page.goto("/editor");
  await page.fill("#body", "half a sentence");
  await waitForLeader([page]);
  const tab = await page.context().newPage();
  // The browser learns of the new cookie later than the stream of the end.
  await tab.route("**/login", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const response = await route.fetch({ maxRedirects: 0 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    return route.fulfill({ response });
  });
  await tab.goto("/login");
  await signIn(tab);
  await page.waitForTimeout(2500);
  assert.deepEqual([path(page), await page.inputValue("#body"), await isCovered(page)], ["/editor", "half a sentence", false]);
}));

test("stale policy leads to a stream without the token", at(FLAGS, async (page) => {
  const body = 'retry: 600000\n\ndata: {"state":"active","seconds_until_idle_end":600,"seconds_until_session_end":9000,"policy":"stale"}\n\n';
  const tokens = [];
  await page.route("**/session/events?*", (route) => {
    tokens.push(new URL(route.request().url()).searchParams.has("policy"));
    return tokens.length === 1 ? route.fulfill({ contentType: "text/event-stream", body }) : route.continue();
  });
  await signIn(page);
  await waitFor("a second stream", () => tokens.length > 1);
  assert.deepEqual(tokens.slice(0, 2), [true, false]);
}));

for (const [what, response] of [
  ["404", { status: 404 }],
  ["403", { status: 403 }],
  ["503", { status: 503 }],
  ["204", { status: 204 }],
  ["page of a proxy", { contentType: "text/html", body: "<!doctype html><title>Blocked</title>" }],
]) {
  test(`refused stream (${what}) is requested again after a minute`, at(FLAGS, async (page) => {
    const server = await inPageTime(page);
    const requests = [];
    await page.route("**/session/events?*", (route) => { requests.push(server.now); return route.fulfill(response); });
    await signIn(page);
    await waitFor("the first request", async () => { await server.pass(1); return requests.length > 0; });
    for (let second = 0; second < 55; second += 5) await server.pass(5);
    assert.equal(requests.length, 1);
    await waitFor("another request", async () => { await server.pass(1); return requests.length > 1; });
  }));
}

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
    await page.waitForURL("**/login?next=*", { timeout: LIMIT });
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
