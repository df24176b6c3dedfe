// Event streams of pages: helpers of tests and of the benchmark.
import assert from "node:assert/strict";
import { signIn } from "./site.mjs";

export const LIMIT = 15_000; // milliseconds on a busy machine; the tests print the measured times

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
export async function observe(context) {
  const browser = { requests: [], ends: [] };
  await context.exposeBinding("reportEnd", ({ page }, end) => browser.ends.push({ page, at: performance.now(), ...end }));
  await context.addInitScript(exposeStreams);
  context.on("request", (request) => isStream(request) && browser.requests.push(request));
  return browser;
}

// Opens tabs of a signed-in user.
export async function openTabs(page, count = 4) {
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

export async function waitFor(what, condition, limit = LIMIT) {
  for (const start = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const value = await condition();
    if (value) return value;
    assert.ok(performance.now() - start < limit, `${what}: not within ${limit} ms`);
  }
}

// Returns the number of streams of a page that are open or connecting.
export const countStreams = (page) => page.evaluate(() => window.streams.filter(({ readyState }) => readyState !== EventSource.CLOSED).length);

export const countAllStreams = async (pages) => (await Promise.all(pages.map(countStreams))).reduce((sum, count) => sum + count);

const isLeader = (page) => page.evaluate(() => window.streams.some(({ readyState }) => readyState === EventSource.OPEN));

export const waitForLeader = (pages) => waitFor("a tab leads", async () => {
  for (const page of pages) if (await isLeader(page).catch(() => false)) return page;
});

export const signInElsewhere = async (address, user = "alice") => {
  const response = await fetch(`${address}/login`, {
    method: "POST", redirect: "manual", body: new URLSearchParams({ username: user, password: user }),
  });
  assert.equal(response.status, 303);
  return response.headers.getSetCookie()[0].split(";")[0];
};

export const report = (what, since) => console.log(`${what}: ${Math.round(performance.now() - since)} ms`);
