// Time until an eviction covers the open pages.
//
//   node tests/browser/bench/eviction.mjs
//
// Four tabs of each of two browsers are open at one process of the example site. A login at another
// process evicts the session of the first browser, 20 times on SQLite and on Redis. Prints the time
// from the response to the login until all four tabs are covered: median, 90th percentile, maximum.
import { chromium } from "playwright-core";
import { LOGIN_WITH_RETURN, newFolder, signIn, startRedis, startSiteIn, visit } from "../site.mjs";
import { openTabs, signInElsewhere, waitFor, waitForLeader } from "../streams.mjs";

const EVICTIONS = 20;
const TARGET = 1000; // milliseconds, for the median

// Records in each page when it was covered, in milliseconds of the machine's clock.
const recordCover = () => {
  new MutationObserver(() => {
    if (document.documentElement.hasAttribute("data-session-over")) window.reportCover(Date.now());
  }).observe(document, { subtree: true, attributeFilter: ["data-session-over"] });
};

// Opens four tabs of a browser. Returns them and a map from each to the time of its first cover.
async function openBrowser(browser, site) {
  const page = await visit(browser, site);
  const covers = new Map();
  await page.context().exposeBinding("reportCover", ({ page: tab }, time) => { if (!covers.has(tab)) covers.set(tab, time); });
  await page.context().addInitScript(recordCover);
  const { tabs } = await openTabs(page);
  return { covers, tabs };
}

// Signs in again in the tabs of a browser, which leave after their end.
async function signInAgain({ tabs }) {
  await Promise.all(tabs.map((tab) => tab.waitForURL(LOGIN_WITH_RETURN)));
  await signIn(tabs[0]);
  await Promise.all(tabs.slice(1).map((tab) => tab.goto("/dashboard")));
  await waitForLeader(tabs);
}

async function measure([evicted, kept], address) {
  await new Promise((resolve) => setTimeout(resolve, 1500)); // the pages query at most once a second
  for (const { covers } of [evicted, kept]) covers.clear();
  await signInElsewhere(address);
  const start = Date.now();
  await waitFor("each tab is covered", () => evicted.covers.size === evicted.tabs.length);
  const ends = [...evicted.covers.values()];
  if (kept.covers.size > 0) throw new Error("a tab of the other browser was covered");
  await signInAgain(evicted); // evicts the other browser, whose login is now the oldest
  await signInAgain(kept);
  return Math.max(0, ...ends.map((time) => time - start));
}

async function measureAll(browser, name, ...flags) {
  const folder = newFolder();
  // The second browser and the login hold the two sessions.
  const start = () => startSiteIn(folder, "--max-sessions", "2", ...flags);
  const sites = [await start(), await start()];
  const times = [];
  const browsers = [await openBrowser(browser, sites[0]), await openBrowser(browser, sites[0])];
  while (times.length < EVICTIONS) times.push(await measure(browsers, sites[1].address));
  await Promise.all(browser.contexts().map((context) => context.close()));
  sites.forEach((site) => site.stop());
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.ceil(share * times.length) - 1];
  const verdict = at(0.5) < TARGET ? "pass" : "MISS";
  console.log(`${name}: median ${at(0.5)} ms, 90 % ${at(0.9)} ms, maximum ${at(1)} ms  ${verdict}`);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const redis = await startRedis();
try {
  await measureAll(browser, "SQLite");
  await measureAll(browser, "Redis", "--registry", redis.url);
} finally {
  redis.stop();
  await browser.close();
}
