// Starts the example site and a real Chromium to visit it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const PROGRAM = new URL("../../target/debug/example-site", import.meta.url).pathname;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const newFolder = () => mkdtempSync(join(tmpdir(), "session-expire-"));

// Starts the site with these flags in a folder of its own; answers its address and a way to stop it.
export const startSite = (...flags) => startSiteIn(newFolder(), ...flags);

// The same in a folder that may hold the key and the logins of another start.
export async function startSiteIn(folder, ...flags) {
  const site = spawn(PROGRAM, ["--bind", "127.0.0.1:0", "--key-file", join(folder, "key"), ...flags], {
    cwd: folder,
    env: { ...process.env, RUST_LOG: "warn" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const gone = once(site, "close");
  let said = "";
  site.stderr.on("data", (text) => { said += text; });
  const lines = createInterface({ input: site.stdout })[Symbol.asyncIterator]();
  const { value: first } = await lines.next();
  const address = /^listening on (http:\S+)$/.exec(first ?? "")?.[1];
  if (!address) {
    await gone;
    throw new Error(`the site does not start: ${said}`);
  }
  return { address, stop: (signal) => { site.kill(signal); return gone; } };
}

export const startBrowser = () =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

// A page of a new visitor. What the Content-Security-Policy forbids, and what scripts fail with, is
// collected: a test can ask for it at its end.
export async function visit(browser, site) {
  const context = await browser.newContext({ baseURL: site.address });
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
