// Countdowns of the dashboard, and the time that a poll shows.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { at, signIn, visit } from "./site.mjs";

const idle = ["--idle", "2h"];

test("countdown and poll show hours", at(idle, async (page) => {
  await signIn(page);
  const clock = page.locator("[data-countdown=idleEnd] [role=timer]");
  assert.match(await clock.textContent(), /^(2:00:00|1:59:\d\d)$/);
  await page.locator("[data-poll] button").click();
  const isShown = () => /Time left without activity: (2:00:00|1:59:\d\d)\./.test(document.querySelector("[data-poll]").textContent);
  await page.waitForFunction(isShown);
}));

test("without JavaScript, the dashboard offers no poll", at(idle, async (page, site) => {
  const plain = await visit(page.context().browser(), site, { javaScriptEnabled: false });
  await signIn(plain);
  assert.equal(await plain.locator("[data-poll] button").isVisible(), false);
  assert.equal(await plain.locator("[href='/api/poll']").count(), 0);
  const sentence = plain.locator("[data-poll] noscript p");
  assert.equal(await sentence.textContent(), "Polling needs JavaScript.");
  assert.ok(await sentence.isVisible());
}));
