// The page at which a sign-in in a tab of its own ends.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "./scenarios.mjs";
import { at, signIn } from "./site.mjs";

const SIGNED_IN = "/session/signed-in";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Opens the login page as the script of a locked page does.
const openLogin = async (page) => {
  const [tab] = await Promise.all([
    page.waitForEvent("popup"),
    page.evaluate((next) => { window.open(`/login?next=${next}`); }, SIGNED_IN),
  ]);
  await tab.fill("[name=username]", "alice");
  await tab.fill("[name=password]", "alice");
  return tab;
};

const submitAndAwaitClose = (tab) =>
  Promise.all([tab.waitForEvent("close"), tab.press("[name=password]", "Enter").catch(() => {})]);

test("sign-in in a new tab is announced, and the tab closes", at([], async (page) => {
  await page.goto("/login");
  await page.evaluate(() => {
    window.heard = new Promise((resolve) => {
      new BroadcastChannel("session-expire/session").onmessage = ({ data }) => resolve(data);
    });
  });
  await submitAndAwaitClose(await openLogin(page));
  assert.equal(await page.evaluate(() => window.heard), "changed");
}));

test("tab of the sign-in closes without BroadcastChannel", at([], async (page) => {
  await page.context().addInitScript(() => { delete window.BroadcastChannel; });
  await page.goto("/login");
  const tab = await openLogin(page);
  tab.on("pageerror", (error) => page.complaints.push(String(error)));
  await submitAndAwaitClose(tab);
}));

test("tab that the user has opened stays and says that it can be closed", at([], async (page) => {
  await signIn(page);
  await page.goto(SIGNED_IN);
  await page.waitForTimeout(200);
  assert.equal(await page.innerText("main"), "You are signed in. You can close this tab.");
  assert.ok(!(await page.content()).includes("alice"));
}));

test("visitor signs in from the page and comes back to it", at([], async (page) => {
  await page.goto(SIGNED_IN);
  await page.evaluate(axe);
  assert.deepEqual((await page.evaluate(() => window.axe.run())).violations, []);
  await page.getByRole("link", { name: "Sign in" }).press("Enter");
  await page.fill("[name=username]", "alice");
  await page.fill("[name=password]", "alice");
  await Promise.all([page.waitForURL((url) => url.pathname === SIGNED_IN), page.press("[name=password]", "Enter")]);
  assert.equal(await page.title(), "You are signed in. You can close this tab.");
}));
