// Status responses with an unknown state or a stale policy.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, inPageTime, isCovered, isOpen, path, settle, signIn } from "./site.mjs";

// Runs a test with a page whose requests for status and keep-alive get `respond.json` once it is set.
const responding = (run, limits = {}) => at(["--idle", "20m"], async (page) => {
  await signIn(page);
  const server = await inPageTime(page, limits);
  const respond = { tokens: [] };
  await page.route("**/session/{status,keep-alive}**", (route) => {
    const url = new URL(route.request().url());
    respond.tokens.push(url.searchParams.get("policy") ?? new URLSearchParams(route.request().postData()).get("policy"));
    return respond.json ? route.fulfill({ json: respond.json }) : route.fallback();
  });
  await page.goto("/vault");
  await run(page, server, respond);
});
const look = async (page) => [await isCovered(page), await isOpen(page), path(page)];
const ask = async (page) => {
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await settle(page);
};
const active = { state: "active", seconds_until_idle_end: 1200, seconds_until_session_end: 20_000, warn_seconds: 120 };
const expired = { state: "expired", reason: "idle", login_url: "/login" };

test("unknown state is requested again and changes nothing", responding(async (page, server, respond) => {
  respond.json = { state: "paused" };
  await server.pass(10);
  await ask(page);
  assert.deepEqual(await look(page), [false, false, "/vault"]);
  await server.pass(1200, 300);
  const { length } = respond.tokens;
  await server.pass(10, 5);
  assert.equal(await isCovered(page), true);
  assert.ok(respond.tokens.length >= length + 2);
  respond.json = undefined;
  server.seen = server.now;
  await server.pass(6);
  assert.deepEqual(await look(page), [false, false, "/vault"]);
}));

test("unknown state without the style sheet covers the page", responding(async (page, server, respond) => {
  await page.route("**/session/session.*.css", (route) => route.abort());
  await page.reload();
  respond.json = { state: "paused" };
  await server.pass(1210, 605);
  await server.pass(6);
  assert.deepEqual([await isCovered(page), path(page)], [true, "/vault"]);
  respond.json = undefined;
  server.seen = server.now;
  await server.pass(6);
  assert.deepEqual([await isCovered(page), path(page)], [false, "/vault"]);
}));

test("page with a stale policy reloads at its end", responding(async (page, server, respond) => {
  respond.json = { ...expired, policy: "stale" };
  await page.evaluate(() => { window.first = true; });
  await server.pass(10);
  await ask(page);
  assert.deepEqual(await look(page), [false, false, "/vault"]);
  await server.pass(1080, 108);
  await server.pass(2, 1);
  assert.equal(await isOpen(page), true);
  await Promise.all([page.waitForEvent("load"), server.pass(120, 60)]);
  assert.deepEqual(await look(page), [false, false, "/vault"]);
  assert.equal(await page.evaluate(() => window.first), undefined);
}));

test("ended session redirects under a stale policy", responding(async (page, server, respond) => {
  respond.json = { ...expired, reason: "revoked", policy: "stale" };
  await server.pass(10);
  await ask(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("stale policy token is dropped and activity is reported", responding(async (page, server, respond) => {
  respond.json = { ...active, seconds_until_idle_end: 100, policy: "stale" };
  await server.pass(10);
  await ask(page);
  await server.pass(2);
  await server.pass(2);
  assert.equal(await isOpen(page), true); // 100 s are less than the warning time
  const [first, ...later] = respond.tokens;
  assert.ok(first && later.length > 0 && later.every((token) => token === null), respond.tokens.join());
  respond.json = undefined;
  await page.keyboard.press("Escape");
  await settle(page);
  await server.pass(600, 60);
  assert.deepEqual([respond.tokens.at(-1), server.keepAlives.length], [null, 1]);
}));

