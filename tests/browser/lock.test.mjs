// Locked page: it stays, covered, when its idle timeout has passed, until its user has signed in
// again in another tab.
import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";
import { accessibleTexts } from "./engine.mjs";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, inPageTime, isCovered, path, settle, signIn, signInTo, visit } from "./site.mjs";

const FLAGS = ["--idle", "4s", "--editor-idle", "5s"];
const TEXT = "Dear diary";

const isLocked = async (page) => (await isCovered(page)) && (await dialog(page).getByRole("button", { name: "Sign in again" }).isVisible());

const waitForLock = (page) => dialog(page).getByRole("button", { name: "Sign in again" }).waitFor();

const waitForUnlock = (page) => page.waitForFunction(() => !document.documentElement.hasAttribute("data-session-over"));

// Opens the editor with a text, and waits until it is locked.
async function openLocked(page) {
  await signInTo(page, "/editor");
  await page.evaluate(() => {
    window.events = [];
    for (const type of ["lock", "unlock", "end"]) {
      document.addEventListener(`session-expire:${type}`, () => window.events.push(type));
    }
  });
  await page.fill("#body", TEXT);
  await waitForLock(page);
}

// Opens the login page in another tab with the button of the dialog.
async function openLogin(page) {
  const [tab] = await Promise.all([
    page.waitForEvent("popup"),
    dialog(page).getByRole("button", { name: "Sign in again" }).click(),
  ]);
  await tab.waitForSelector("[name=username]");
  return tab;
}

async function fillIn(tab, user = "alice") {
  await tab.fill("[name=username]", user);
  await tab.fill("[name=password]", user);
  await tab.press("[name=password]", "Enter");
}

async function signInAgain(page, user) {
  const tab = await openLogin(page);
  const closed = tab.waitForEvent("close");
  await fillIn(tab, user);
  await closed;
}

// Ends the session at the server, as other devices do.
const post = (page, where, form = {}) => page.context().request.post(where, { form, headers: { origin: new URL(page.url()).origin } });

const comeBack = (page) => page.evaluate(() => dispatchEvent(new Event("focus")));

test("typed text is there after a sign-in in another tab, and can be saved", at(FLAGS, async (page) => {
  await openLocked(page);
  assert.equal(await isLocked(page), true);
  await signInAgain(page);
  await waitForUnlock(page);
  assert.deepEqual(await page.evaluate(() => window.events), ["lock", "unlock"]);
  assert.deepEqual([path(page), await page.inputValue("#body")], ["/editor", TEXT]);
  assert.equal(await page.evaluate(() => document.activeElement.id), "body");
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForSelector(".message");
  assert.match(await page.textContent(".message"), /saved/);
  assert.equal(await page.inputValue("#body"), TEXT);
}));

test("typing is activity again after the sign-in", { timeout: 60_000 }, at(FLAGS, async (page) => {
  await openLocked(page);
  const usesNewToken = async (response) => {
    if (!/\/session\/status\?.*policy=5000\./.test(response.url())) return false;
    const { state, policy } = await response.json();
    return state === "active" && policy === undefined;
  };
  await Promise.all([page.waitForResponse(usesNewToken), signInAgain(page)]);
  const start = Date.now();
  while (Date.now() - start < 7000) {
    await page.press("#body", "x");
    await page.waitForTimeout(200);
    assert.equal(await isCovered(page), false);
  }
  await waitForLock(page);
  assert.deepEqual(await page.evaluate(() => window.events), ["lock", "unlock", "lock"]);
}));

test("login of another user leaves the page", at(FLAGS, async (page) => {
  await openLocked(page);
  const shown = [];
  await page.exposeFunction("reportShown", () => shown.push(true));
  await page.evaluate((text) => {
    const look = () => {
      if (getComputedStyle(document.querySelector("#body")).visibility === "visible" && document.querySelector("#body").value === text) window.reportShown();
      requestAnimationFrame(look);
    };
    look();
  }, TEXT);
  await signInAgain(page, "bob");
  await page.waitForFunction(() => document.querySelector("[data-user]")?.textContent === "bob");
  assert.deepEqual([shown, await page.inputValue("#body")], [[], ""]);
}));

for (const [name, flags] of [["name of the user", FLAGS], ["name with live pages off", [...FLAGS, "--live", "off"]]]) {
  test(`locked page shows no ${name}`, at(flags, async (page) => {
    await page.addInitScript(() => addEventListener("DOMContentLoaded", () => { document.title += " of alice"; }));
    await openLocked(page);
    const texts = (await accessibleTexts(page)).join("\n");
    assert.doesNotMatch(texts, /alice|diary|Editor/);
    assert.match(texts, /Sign in again/);
    assert.doesNotMatch(await page.title(), /alice|Editor/);
    assert.equal(await page.title(), await dialog(page).locator("h2").textContent());
    assert.equal(await dialog(page).getByRole("button").count(), 1);
    for (const text of ["alice", TEXT]) assert.equal(await page.getByText(text).filter({ visible: true }).count(), 0);
    await page.evaluate(() => { document.title = "alice has mail"; });
    await page.waitForFunction(() => !/alice/.test(document.title));
    await signInAgain(page);
    await waitForUnlock(page);
    assert.equal(await page.title(), "alice has mail");
  }));
}

// Returns the length of the streams in a PDF before their compression. The length of the compressed
// ones varies, because they contain the time.
const contentLength = (pdf) => {
  const streams = pdf.toString("latin1").matchAll(/FlateDecode.*?stream\r?\n(.*?)endstream/gs);
  return [...streams].reduce((sum, [, stream]) => sum + inflateSync(Buffer.from(stream, "latin1")).length, 0);
};

test("print of a locked page has no content", at(FLAGS, async (page) => {
  await openLocked(page);
  const locked = contentLength(await page.pdf());
  await page.evaluate(() => { document.querySelector("#body").value = "x ".repeat(5000); });
  const other = contentLength(await page.pdf());
  assert.equal(locked, other, "the print depends on the content of the page");
  await signInAgain(page);
  await waitForUnlock(page);
  assert.notEqual(contentLength(await page.pdf()), other);
  await page.emulateMedia({ media: "print" });
  await waitForLock(page);
  assert.equal(await page.locator("#body").isVisible(), false);
  assert.equal(await page.locator("[data-user]").isVisible(), false);
}));

test("locked page works with the keyboard", at(FLAGS, async (page) => {
  await openLocked(page);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Sign in again");
  for (const key of ["Escape", "Escape", "Escape", "Tab", "Tab"]) await page.keyboard.press(key);
  await settle(page);
  assert.equal(await isLocked(page), true);
  await page.bringToFront(); // Tab may have moved the focus to a button of the browser
  await dialog(page).getByRole("button", { name: "Sign in again" }).focus();
  const [tab] = await Promise.all([page.waitForEvent("popup"), page.keyboard.press("Enter")]);
  await tab.waitForSelector("[name=username]");
  assert.equal(await tab.evaluate(() => window.opener), null);
  const closed = tab.waitForEvent("close");
  await fillIn(tab);
  await closed;
  await waitForUnlock(page);
  await page.keyboard.type("!");
  assert.equal(await page.inputValue("#body"), `${TEXT}!`);
}));

test("two locked pages are unlocked by one sign-in", at(FLAGS, async (page) => {
  const tab = await page.context().newPage();
  await openLocked(page);
  await tab.goto("/login?next=/editor");
  await fillIn(tab);
  await tab.waitForURL("**/editor");
  await tab.fill("#body", "Another text");
  await waitForUnlock(page);
  await Promise.all([waitForLock(page), waitForLock(tab)]);
  await signInAgain(page);
  await Promise.all([waitForUnlock(page), waitForUnlock(tab)]);
  assert.deepEqual([await page.inputValue("#body"), await tab.inputValue("#body")], [TEXT, "Another text"]);
}));

test("reload of a locked page leads to the login page", at(FLAGS, async (page) => {
  await openLocked(page);
  await page.reload();
  assert.match(path(page), /^\/login\?next=/);
  assert.doesNotMatch(await page.textContent("main"), /diary/);
}));

test("locked page from the back/forward cache stays locked", at(FLAGS, async (page) => {
  await openLocked(page);
  await page.evaluate(() => { location.href = "/static/icon.svg"; });
  await page.waitForURL("**/icon.svg*");
  await page.evaluate(() => history.back());
  await page.waitForTimeout(1000);
  // The browser may not have kept the page; then the server sends its visitor to the login page.
  if (path(page) === "/editor") assert.equal(await isLocked(page), true);
  else assert.match(path(page), /^\/login/);
}));

test("locked page stays locked without a network", at(FLAGS, async (page) => {
  await openLocked(page);
  await page.context().setOffline(true);
  for (let n = 0; n < 3; n += 1) {
    await comeBack(page);
    await page.keyboard.press("Escape");
    await page.waitForTimeout(200);
    assert.equal(await isLocked(page), true);
  }
  await page.context().setOffline(false);
  await signInAgain(page);
  await waitForUnlock(page);
  assert.equal(await page.inputValue("#body"), TEXT);
}));

test("locked page is unlocked without BroadcastChannel", at(FLAGS, async (page) => {
  await page.context().addInitScript(() => { delete window.BroadcastChannel; });
  await openLocked(page);
  await signInAgain(page);
  await comeBack(page);
  await waitForUnlock(page);
  assert.equal(await page.inputValue("#body"), TEXT);
}));

test("forged messages do not unlock", at(FLAGS, async (page) => {
  await openLocked(page);
  const tab = await page.context().newPage();
  await tab.goto("/login");
  await tab.evaluate(() => {
    const channel = new BroadcastChannel("session-expire/session");
    for (const message of ["changed", "unlock", "leading", { state: "active" }, null]) channel.postMessage(message);
  });
  await page.waitForTimeout(1500);
  await settle(page);
  assert.equal(await isLocked(page), true);
}));

test("sign-out and eviction leave the page", { timeout: 120_000 }, at(["--idle", "10m", "--max-sessions", "1", "--live", "off"], async (page, site) => {
  await signIn(page);
  await page.goto("/editor");
  const tab = await page.context().newPage();
  await tab.goto("/dashboard");
  await tab.click(".who button");
  await page.waitForURL(LOGIN_WITH_RETURN);
  await fillIn(page);
  await page.waitForURL("**/editor");
  await signIn(await visit(page.context().browser(), site));
  await comeBack(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.match(await page.textContent(".message"), /another device/);
}));

test("absolute limit leaves the page", at(["--absolute", "2s"], async (page) => {
  await signIn(page);
  await page.goto("/editor");
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.match(await page.textContent(".message"), /time limit/);
}));

// Runs a test with an editor that locks after 20 minutes of the page's clock.
const locking = (run, lockFor = "3600") => at(["--editor-idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await page.route("**/editor", async (route) => {
    const response = await route.fetch({ maxRedirects: 0 });
    server.seen = server.now;
    const body = (await response.text())
      .replace(/data-idle-end="\d*"/, 'data-idle-end="1200"')
      .replace(/data-lock="[^"]*"/, `data-lock="${lockFor}"`);
    return route.fulfill({ response, body });
  });
  await signIn(page);
  await page.goto("/editor");
  await page.fill("#body", TEXT);
  await server.pass(30);
  await server.pass(1205, 241);
  await waitForLock(page);
  await run(page, server);
});

test("locked page leaves after lock_for", locking(async (page, server) => {
  await server.pass(3500, 350);
  assert.equal(await isLocked(page), true);
  await server.pass(120, 15);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("locked page stays without a limit of lock_for", locking(async (page, server) => {
  await server.pass(20 * 3600, 3600);
  assert.equal(await isLocked(page), true);
}, "Infinity"));

test("locked page does not poll", locking(async (page, server) => {
  const before = server.statusRequests;
  await server.pass(600, 15);
  assert.equal(server.statusRequests, before);
}));

test("title that a locked page sets is replaced within a second", locking(async (page, server) => {
  await page.evaluate(() => { document.title = "(1) Private"; });
  await server.pass(1);
  assert.equal(await page.title(), await dialog(page).locator("h2").textContent());
}));

test("slow response from before the lock does not unlock", locking(async (page, server) => {
  // The first request is sent before the lock, and its response arrives after it.
  const held = [];
  const unlocks = await page.evaluateHandle(() => {
    const types = [];
    document.addEventListener("session-expire:unlock", () => types.push("unlock"));
    return types;
  });
  await page.route("**/session/status?*", (route) => {
    if (held.length) return route.fallback();
    held.push(route);
  });
  await comeBack(page);
  await page.waitForFunction(() => window.pendingRequests > 0);
  await server.pass(1);
  await comeBack(page);
  await page.waitForResponse(/session\/status/);
  await held[0].fulfill({ json: { state: "active", seconds_until_idle_end: 600, seconds_until_session_end: 9000 } });
  await page.waitForFunction(() => window.pendingRequests === 0);
  assert.deepEqual(await unlocks.jsonValue(), []);
  assert.equal(await isLocked(page), true);
}));

test("renewal of the token follows no redirect, and is tried again", locking(async (page, server) => {
  const requests = [];
  await page.route("**/editor", (route) => {
    if (route.request().headers().purpose !== "prefetch") return route.fallback();
    requests.push(server.now);
    return requests.length === 1
      ? route.fulfill({ status: 303, headers: { location: "/dashboard" } })
      : route.fulfill({ contentType: "text/html", body: '<script data-status="/session/status?policy=renewed&amp;login=1"></script>' });
  });
  const tokens = [];
  await page.route("**/session/status?*", (route) => {
    const { searchParams } = new URL(route.request().url());
    tokens.push([searchParams.get("policy"), searchParams.get("locked")]);
    const policy = searchParams.get("policy") === "renewed" ? undefined : "stale";
    return route.fulfill({ json: { state: "active", seconds_until_idle_end: 1200, seconds_until_session_end: 9000, policy } });
  });
  await comeBack(page);
  await waitForUnlock(page);
  await server.pass(30, 5);
  assert.equal(requests.length, 2);
  assert.ok(requests[1] - requests[0] >= 10, `${requests}`);
  assert.equal(tokens[0][1], "1");
  assert.deepEqual([tokens.at(-1), tokens.slice(1).every(([, locked]) => locked === null)], [["renewed", null], true]);
}));

for (const [what, response, isKept] of [
  ["anonymous", { state: "anonymous" }, true],
  ["expired by the idle limit", { state: "expired", reason: "idle", login_url: "/login" }, true],
  ["replaced", { state: "replaced" }, false],
  ["revoked", { state: "expired", reason: "revoked", login_url: "/login" }, false],
  ["expired by the absolute limit", { state: "expired", reason: "absolute", login_url: "/login" }, false],
  ["unknown", { state: "expired", reason: "unknown", login_url: "/login" }, false],
]) {
  test(`locked page ${isKept ? "stays" : "leaves"} if its session is ${what}`, locking(async (page) => {
    await page.route("**/session/status?*", (route) => route.fulfill({ json: response }));
    await page.evaluate(() => { window.first = true; });
    await comeBack(page);
    if (isKept) {
      await page.waitForTimeout(500);
      assert.equal(await isLocked(page), true);
    } else {
      await page.waitForFunction(() => !window.first);
    }
  }));
}

test("page of a visitor locks only at its own idle limit", at(["--editor-idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.goto("/editor");
  await server.pass(30);
  await page.route("**/session/status?*", (route) => route.fulfill({ json: { state: "anonymous" } }));
  await comeBack(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("page locks if another tab has announced the end by the idle limit", at(["--editor-idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.goto("/editor");
  await server.pass(1100);
  await page.route("**/session/status?*", (route) => route.fulfill({ json: { state: "anonymous" } }));
  await server.pass(110, 10);
  await waitForLock(page);
}));

test("page without the style sheet leaves instead of locking", at(FLAGS, async (page) => {
  await page.route("**/session/session.*.css", (route) => route.abort());
  await signIn(page);
  await page.goto("/editor");
  await page.waitForURL(LOGIN_WITH_RETURN);
}));
