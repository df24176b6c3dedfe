// Starts the example site and a browser.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { killChildren, startChild } from "./children.mjs";
import { startBrowser } from "./engine.mjs";

const TARGET = process.env.CARGO_TARGET_DIR ?? new URL("../../target", import.meta.url).pathname;
const PROGRAMS = join(TARGET, "debug");

const folders = [];
process.on("exit", () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

export function newFolder() {
  const folder = mkdtempSync(join(tmpdir(), "session-expire-"));
  folders.push(folder);
  return folder;
}

// Starts the site with these flags in a new folder. Returns its address and a function that stops it.
export const startSite = (...flags) => startSiteIn(newFolder(), ...flags);

// Flags with which the editor leaves at its idle timeout instead of locking.
export const LEAVING_EDITOR = ["--comply", "asvs-l1"];

// Starts the site in a folder, which may hold the key and the sessions of an earlier start.
export const startSiteIn = (folder, ...flags) =>
  startProgram("example-site", ["--bind", "127.0.0.1:0", "--key-file", join(folder, "key"), ...flags], folder);

// Starts a program that prints the address at which it listens. Returns also its input and the
// lines of its output.
export async function startProgram(name, flags, folder) {
  const site = startChild(join(PROGRAMS, name), flags, {
    cwd: folder,
    env: { ...process.env, RUST_LOG: "warn" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const closed = once(site, "close");
  let output = "";
  site.stderr.on("data", (text) => { output += text; });
  const lines = createInterface({ input: site.stdout })[Symbol.asyncIterator]();
  const { value: first } = await lines.next();
  const address = /^listening on (http:\S+)$/.exec(first ?? "")?.[1];
  if (!address) {
    await closed;
    throw new Error(`the site does not start: ${output}`);
  }
  return { address, input: site.stdin, lines, stop: (signal) => { site.kill(signal); return closed; } };
}

// Returns a port that is free.
export const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
};

// Starts a Redis server. Returns its URL and a function that stops it.
export async function startRedis(...options) {
  const port = await freePort();
  const server = startChild(process.env.REDIS_SERVER ?? "redis-server", ["--port", port, "--bind", "127.0.0.1", "--save", "", ...options], {
    cwd: newFolder(), stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of server.stdout) if (String(line).includes("Ready to accept")) break;
  server.stdout.resume();
  return { url: `redis://127.0.0.1:${port}/0`, stop: () => server.kill() };
}

// The tests of a file share a browser. Each has contexts of its own.
let started;
const sharedBrowser = () => (started ??= startBrowser());
after(async () => {
  await (await started)?.close();
  killChildren(); // a test that has timed out leaves its site running
});

// Opens a page in a new browser context. `page.complaints` collects script errors and
// Content-Security-Policy violations.
export async function visit(browser, site, options = {}) {
  const context = await browser.newContext({ baseURL: site.address, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) page.complaints.push(message.text());
  });
  return page;
}

export async function signIn(page, user = "alice") {
  await page.goto("/login");
  await page.fill("[name=username]", user);
  await page.fill("[name=password]", user);
  await Promise.all([page.waitForURL("**/dashboard"), page.press("[name=password]", "Enter")]);
}

// Signs in and opens a page. On a busy machine, a short session may end before the page opens.
export async function signInTo(page, where) {
  do {
    await signIn(page);
    await page.goto(where);
  } while (path(page) !== where);
}

// Runs a test with a new page at a new site. The test fails on a script error or a
// Content-Security-Policy violation.
export const at = (flags, run) => atSite(() => startSite(...flags), run);

// The same at the site that `start` starts.
export const atSite = (start, run) => async () => {
  const browser = await sharedBrowser(); // first, so that a failure leaves no site running
  const site = await start();
  try {
    const page = await visit(browser, site);
    await run(page, site);
    assert.deepEqual(page.complaints, []);
  } finally {
    await Promise.all(browser.contexts().map((context) => context.close()));
    site.stop();
  }
};

// Matches the login page with a return path. A glob does not: the server leaves slashes of the path
// as they are, the script percent-encodes them, and `*` stops at a slash.
export const LOGIN_WITH_RETURN = /\/login\?next=/;

export const path = (page) => { const { pathname, search, hash } = new URL(page.url()); return pathname + search + hash; };

// Counts the requests of the script whose responses it has not read.
const countRequests = () => {
  const { fetch } = window;
  let pending = 0;
  Object.defineProperty(window, "pendingRequests", { get: () => pending });
  window.fetch = async (...request) => {
    pending += 1;
    try {
      const response = await fetch(...request);
      const json = response.json.bind(response);
      response.json = () => json().finally(() => { pending -= 1; });
      return response;
    } catch (error) {
      pending -= 1;
      throw error;
    }
  };
};

// Waits until the page has reacted to its last event and to the responses. A test that delays a
// response waits for 2 seconds.
export const settle = async (page) => {
  const end = Date.now() + 2000;
  for (let quiet = 0; quiet < 2; quiet += 1) {
    await page.waitForTimeout(30);
    // A page that is being left has no pending requests.
    const isPending = await page.evaluate(() => window.pendingRequests > 0).catch(() => false);
    if (isPending && Date.now() < end) quiet = -1;
  }
};

// Replaces the endpoints for status and keep-alive with a server that uses the page's clock: `pass`
// advances both. It responds as the site does, and records the requests. `markup` is inserted at
// the start of the body, and `headers` replace those of the page.
export async function inPageTime(page, { idle = 1200, session = 28800, warn = 120, away = false, markup = "", headers = {} } = {}) {
  const server = { now: 0, seen: 0, session, away, statusRequests: 0, keepAlives: [], endReason: null };
  const left = () => {
    const [idleLeft, sessionLeft] = [server.seen + idle - server.now, server.session - server.now];
    const reason = server.endReason ?? (sessionLeft <= 0 ? "absolute" : idleLeft <= 0 ? "idle" : null);
    if (reason) return { state: "expired", reason, login_url: "/login" };
    return { state: "active", seconds_until_idle_end: Math.ceil(idleLeft), seconds_until_session_end: Math.ceil(sessionLeft), warn_seconds: warn };
  };
  const sendResponse = (route) => {
    if (server.away === "html") return route.fulfill({ contentType: "text/html", body: "<!doctype html><title>Hotel network</title>" });
    if (server.away === 503) return route.fulfill({ status: 503, json: { title: "away" } });
    if (server.away) return route.abort("connectionrefused");
    const json = left();
    return route.fulfill({ status: json.state === "active" || route.request().method() === "GET" ? 200 : 401, json });
  };
  await page.clock.install();
  await page.addInitScript(countRequests);
  // An event stream would tell the page the state at the real time.
  await page.route("**/session/events?*", (route) => route.fulfill({ status: 404 }));
  await page.route("**/session/status?*", (route) => { server.statusRequests += 1; return sendResponse(route); });
  await page.route("**/session/keep-alive", (route) => {
    const idleFor = Number(new URLSearchParams(route.request().postData()).get("idle_for"));
    server.keepAlives.push(idleFor);
    if (!server.away && left().state === "active") server.seen = Math.max(server.seen, server.now - idleFor);
    return sendResponse(route);
  });
  // Writes these limits into the page.
  await page.route("**/{dashboard,editor,vault,devices}", async (route) => {
    if (route.request().method() !== "GET") return route.fallback();
    const response = await route.fetch({ maxRedirects: 0 });
    server.seen = server.now;
    const body = (await response.text())
      .replace(/data-idle-end="\d*"/, `data-idle-end="${idle}"`)
      .replace(/data-session-end="\d*"/, `data-session-end="${server.session - server.now}"`)
      .replace(/data-warn="[\d.]*"/, `data-warn="${warn}"`)
      .replace("<body>", () => `<body>${markup}`);
    return route.fulfill({ response, headers: { ...response.headers(), ...headers }, body });
  });
  server.pass = async (seconds, step = seconds) => {
    for (let elapsed = 0; elapsed < seconds; elapsed += step) {
      server.now += step;
      await page.clock.fastForward(step * 1000);
      await settle(page);
    }
  };
  // From here on only `pass` advances the clock of the page, however slow the machine is.
  server.stopTime = async () => {
    server.now += 1;
    await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1000));
    await settle(page);
  };
  return server;
}

export const dialog = (page) => page.locator("dialog.session-expire");
export const isOpen = (page) => dialog(page).evaluate((element) => element.open);
export const isCovered = (page) => page.evaluate(() => {
  const main = document.querySelector("main");
  return getComputedStyle(main).visibility === "hidden" || getComputedStyle(document.documentElement).display === "none";
});
