// Faults around the script: no private content may stay visible.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, inPageTime, isCovered, isOpen, path, settle, signIn } from "./site.mjs";
import { waitFor } from "./streams.mjs";

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
  await page.evaluate(() => { document.querySelector("dialog.session-expire").lang = "no language"; });
  await server.pass(1081);
  await server.pass(1);
  assert.equal(await isOpen(page), true);
  await server.pass(130, 10);
  await page.waitForURL(LOGIN_WITH_RETURN);
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
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.equal(await page.evaluate(() => sessionStorage.getItem("seen")), "none");
}));

test("hidden tab redirects although the clock was set", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await server.pass(30);
  await hide(page, true);
  await shiftWallClock(page, -1);
  await server.pass(1200, 40);
  await page.waitForURL(LOGIN_WITH_RETURN);
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

// Holds the response to the next status request, which says that the session is active. `later`
// handles the requests after it. Returns a function that sends the response.
async function holdStatus(page, server, later) {
  let respond;
  const isHeld = new Promise((resolve) => {
    page.route("**/session/status?*", async (route) => {
      if (respond) return later(route);
      await new Promise((go) => { respond = go; resolve(); });
      return route.fulfill({ json: { state: "active", seconds_until_idle_end: 1200, seconds_until_session_end: 28_000 } });
    });
  });
  await server.pass(2);
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await isHeld;
  return respond;
}

test("sleep of the machine during a request covers the page", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.goto("/dashboard");
  await server.stopTime();
  const respond = await holdStatus(page, server, (route) => route.fallback());
  await shiftWallClock(page, 3);
  server.away = true;
  respond();
  await settle(page);
  await server.pass(16);
  assert.deepEqual([await isCovered(page), await isOpen(page)], [true, true]);
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

test("draft survives an expiry that another tab found first", at(["--idle", "4s", "--editor-idle", "60s"], async (page, site) => {
  const editor = await page.context().newPage();
  await signIn(page);
  await editor.goto(`${site.address}/editor`);
  await editor.fill("#body", "Dear diary");
  await page.bringToFront();
  await page.waitForURL(LOGIN_WITH_RETURN);
  await editor.waitForURL(LOGIN_WITH_RETURN);
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
  await editor.waitForURL(LOGIN_WITH_RETURN);
  assert.equal(await editor.evaluate(() => Object.keys(sessionStorage).length), 0);
}));

for (const [title, limits, prepare] of [
  ["", {}, () => {}],
  [" during the warning time, after the user closed the notice", { session: 1000 }, async (page, server) => {
    await server.pass(881);
    await page.keyboard.press("Enter"); // closes the notice
  }],
]) {
  test(`caret is restored after a page was covered by mistake${title}`, at(["--editor-idle", "20m"], async (page) => {
    const server = await inPageTime(page, limits);
    await signIn(page);
    await page.goto("/editor");
    await page.fill("#body", "a long text");
    await prepare(page, server);
    await page.locator("#body").evaluate((area) => { area.focus(); area.setSelectionRange(2, 6); });
    const held = [];
    let isHolding = true;
    await page.route("**/session/status?*", (route) => {
      if (!isHolding) return route.fallback();
      held.push(route);
    });
    await shiftWallClock(page, 3);
    await page.evaluate(() => dispatchEvent(new Event("focus")));
    await waitFor("a request", () => held.length > 0);
    assert.equal(await isCovered(page), true);
    isHolding = false;
    await Promise.all(held.map((route) => route.fallback()));
    await page.waitForFunction(() => !document.documentElement.hasAttribute("data-session-over"));
    assert.deepEqual(await page.evaluate(() => { const { id, selectionStart, selectionEnd } = document.activeElement; return [id, selectionStart, selectionEnd]; }), ["body", 2, 6]);
    await server.pass(1);
  }));
}

test("keep-alive that a later status request overtakes counts", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await server.pass(1081);
  let go;
  await page.route("**/session/keep-alive", async (route) => { await new Promise((resolve) => { go = resolve; }); return route.fallback(); });
  await dialog(page).getByRole("button", { name: "Stay signed in" }).click();
  await server.pass(2);
  await waitFor("the keep-alive", () => go);
  const before = server.statusRequests;
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await waitFor("a later request", () => server.statusRequests > before);
  await page.waitForTimeout(200);
  go();
  await waitFor("the dialog closes", async () => !(await isOpen(page)));
  assert.equal(server.keepAlives.length, 1);
}));

test("response to an overtaken status request changes nothing", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.goto("/dashboard");
  await server.stopTime();
  await server.pass(500);
  const idleTimes = () => page.evaluate(() => window.idleTimes);
  await page.evaluate(() => {
    window.idleTimes = [];
    document.addEventListener("session-expire:active", ({ detail }) => window.idleTimes.push(detail.idle));
  });
  const respond = await holdStatus(page, server, (route) => route.fallback());
  server.now += 2;
  await page.clock.fastForward(2000);
  await page.evaluate(() => dispatchEvent(new Event("focus"))); // sends another request
  await waitFor("the later response", async () => (await idleTimes()).length > 0);
  const later = await idleTimes();
  respond();
  await settle(page);
  assert.deepEqual(await idleTimes(), later);
}));

test("response from before a sleep does not uncover the page", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.goto("/dashboard");
  await server.stopTime();
  // The network is not back yet at the later requests.
  const respond = await holdStatus(page, server, (route) => route.abort("connectionrefused"));
  await shiftWallClock(page, 3);
  server.now += 2;
  await page.clock.fastForward(2000);
  await page.evaluate(() => dispatchEvent(new Event("focus"))); // sends another request
  await page.waitForFunction(() => document.documentElement.hasAttribute("data-session-over"));
  respond();
  await settle(page);
  await server.pass(16);
  assert.equal(await isCovered(page), true);
}));

test("exception of the script at a request is reported", async () => {
  let complaints;
  await at(["--idle", "20m"], async (page) => {
    await inPageTime(page);
    await page.addInitScript(() => {
      const { fetch } = window;
      window.fetch = (url, options) => {
        if (options.signal) throw new TypeError("fault"); // a failed request rejects the promise
        return fetch(url, options);
      };
    });
    await signIn(page);
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await settle(page);
    complaints = page.complaints.splice(0);
  })();
  assert.match(complaints.join(), /fault/);
});

for (const [title, markup] of [["", ""], [" despite an element named currentScript", '<img name="currentScript" alt="">']]) {
  test(`fault at the start reloads the page at its deadline${title}`, at(["--idle", "20m"], async (page) => {
    await page.route("**/static/*.js?*", (route) => route.abort());
    await signIn(page);
    const server = await inPageTime(page, { markup });
    await page.addInitScript(() => {
      const Original = URL;
      window.URL = function (...parameters) {
        if (parameters.length > 1) throw new Error("fault");
        return new Original(...parameters);
      };
    });
    await page.goto("/dashboard");
    let loads = 0;
    await page.route("**/dashboard", (route) => { loads += 1; return route.fallback(); });
    await server.pass(1190, 119);
    assert.equal(loads, 0);
    await server.pass(20);
    await waitFor("a reload", () => loads === 1);
    assert.match(page.complaints.splice(0).join(), /fault/);
  }));
}
