// Events of the stream, refused streams, and logins in another tab.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, inPageTime, isCovered, path, signIn } from "./site.mjs";
import { LIMIT, observe, openTabs, signInElsewhere, waitFor, waitForLeader } from "./streams.mjs";

const FLAGS = ["--idle", "10m"];

test("page shows no private content after an event", at(FLAGS, async (page) => {
  const body = 'retry: 600000\n\ndata: {"state":"expired","reason":"revoked","login_url":"/login"}\n\n';
  await page.route("**/session/events?*", (route) => route.fulfill({ contentType: "text/event-stream", body }));
  await page.route("**/session/status?*", (route) => route.fulfill({ json: { state: "expired", reason: "revoked", login_url: "/login" } }));
  const { ends } = await observe(page.context());
  await signIn(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
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
  // Firefox does not reconnect after an aborted request, and the script waits for up to a minute.
  await waitFor("two events", async () => { await server.pass(5); return events > 2; });
  assert.equal(await isCovered(page), true);
}));

// The event was sent long before the page receives it.
test("late event extends no deadline", { timeout: 120_000 }, at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  const held = [];
  await page.route("**/session/events?*", (route) => { held.push(route); });
  await signIn(page);
  await waitFor("the request for the stream", async () => { await server.pass(1); return held.length > 0; });
  const data = JSON.stringify({ state: "active", seconds_until_idle_end: 1200 - server.now, seconds_until_session_end: 28800 });
  await server.pass(600, 60);
  const before = server.statusRequests;
  await held[0].fulfill({ contentType: "text/event-stream", body: `retry: 10000000\n\ndata: ${data}\n\n` });
  await waitFor("a query", () => server.statusRequests > before);
  await server.pass(1215 - server.now, 15);
  await page.waitForURL(LOGIN_WITH_RETURN);
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
  for (const tab of tabs) await tab.waitForFunction(() => window.seen > 0);
}));

test("event causes one query of each tab", { timeout: 120_000 }, at(FLAGS, async (page, site) => {
  const { tabs, leader } = await openTabs(page, 3);
  const queries = tabs.map(() => []);
  tabs.forEach((tab, n) => tab.on("request", (request) => { if (/\/session\/status/.test(request.url())) queries[n].push(performance.now()); }));
  // The script waits for up to a second before it queries, so the queries of earlier events are over.
  const quiet = async () => {
    for (let count = -1; queries.flat().length !== count; await page.waitForTimeout(2500)) count = queries.flat().length;
    return queries.map(({ length }) => length);
  };
  const before = await quiet();
  await leader.evaluate(() => {
    window.events = 0;
    window.streams.at(-1).addEventListener("message", () => { window.events += 1; });
  });
  await signInElsewhere(site.address);
  await waitFor("each tab queries", () => queries.every(({ length }, n) => length > before[n]));
  const counts = (await quiet()).map((count, n) => count - before[n]);
  const events = await leader.evaluate(() => window.events);
  assert.ok(events >= 1 && counts.every((count) => count <= events), `${events} events, ${counts} queries`);
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

for (const live of ["on", "off"]) {
  for (const [user, text] of [["alice", "half a sentence"], ["bob", ""]]) {
    test(`login of ${user} in another tab keeps the paths of the pages, --live ${live}`, { timeout: 60_000 }, at([...FLAGS, "--live", live], async (page) => {
      await observe(page.context());
      await signIn(page);
      await page.goto("/editor");
      await page.fill("#body", "half a sentence");
      const other = await page.context().newPage();
      await other.goto("/dashboard");
      if (live === "on") await waitForLeader([page, other]);
      const tab = await page.context().newPage();
      const queries = [page, other].map((kept) => kept.waitForResponse(/\/session\/status/));
      await signIn(tab, user);
      await Promise.all(queries);
      for (const kept of [page, other]) {
        await kept.waitForFunction((name) => document.querySelector("[data-user]")?.textContent === name
          && !document.documentElement.hasAttribute("data-session-over"), user);
      }
      assert.deepEqual([path(page), path(other)], ["/editor", "/dashboard"]);
      assert.equal(await page.inputValue("#body"), text);
    }));
  }
}

test("stale policy leads to a stream without the token", at(FLAGS, async (page) => {
  const active = { state: "active", seconds_until_idle_end: 600, seconds_until_session_end: 9000 };
  const stale = { ...active, policy: "stale" };
  const body = `retry: 600000\n\ndata: ${JSON.stringify(stale)}\n\n`;
  const tokens = [];
  await page.route("**/session/events?*", (route) => {
    tokens.push(new URL(route.request().url()).searchParams.has("policy"));
    return tokens.length === 1 ? route.fulfill({ contentType: "text/event-stream", body }) : route.continue();
  });
  await page.route("**/session/status?*", (route) => route.fulfill({ json: tokens.length ? stale : active }));
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
  test(`refused stream (${what}) is requested again within seconds, then less often`, { timeout: 180_000 }, at(FLAGS, async (page) => {
    const server = await inPageTime(page);
    const requests = [];
    await page.route("**/session/events?*", (route) => { requests.push(server.now); return route.fulfill(response); });
    await signIn(page);
    // The script looks once a second, and at least half of the interval is certain.
    const intervals = what === "503" ? [5, 10, 20, 40, 60, 60] : [5, 10];
    await server.stopTime();
    await waitFor("the first request", async () => { await server.pass(1); return requests.length > 0; });
    await waitFor("the last request", async () => { await server.pass(2); return requests.length > intervals.length; }, 8 * LIMIT);
    intervals.forEach((interval, n) => {
      const passed = requests[n + 1] - requests[n];
      assert.ok(passed >= interval / 2 && passed <= interval + 5, `${passed} s instead of ${interval} s`);
    });
  }));
}
