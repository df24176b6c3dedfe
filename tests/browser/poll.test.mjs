// Poll of the dashboard: the last response is shown, and a request without a response fails.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { at, signIn } from "./site.mjs";
import { waitFor } from "./streams.mjs";

const button = (page) => page.locator("[data-poll] button");
const status = (page) => page.textContent("[data-poll] [role=status]");

// Holds the responses to the polls. Each function of the list responds for a user, who tells the
// responses apart.
const holdPolls = async (page) => {
  const held = [];
  await page.route("**/api/poll", (route) => new Promise((resolve) => {
    held.push((user) => resolve(route.fulfill({ json: { user, seconds_until_idle_end: 60 } }).catch(() => {})));
  }));
  return held;
};

test("response to an older poll is not shown", at([], async (page) => {
  await signIn(page);
  const held = await holdPolls(page);
  for (const count of [1, 2]) {
    await button(page).click();
    await waitFor("a poll", () => held.length === count);
  }
  await held[1]("second");
  await page.waitForFunction(() => /second/.test(document.querySelector("[data-poll]").textContent));
  await held[0]("first");
  await page.waitForTimeout(300);
  assert.match(await status(page), /signed in as second/);
}));

test("poll without a response fails after ten seconds", at([], async (page) => {
  await page.clock.install();
  await signIn(page);
  const held = await holdPolls(page);
  await button(page).click();
  await waitFor("a poll", () => held.length === 1);
  await page.clock.fastForward(10_000);
  await page.waitForFunction(() => /request failed/.test(document.querySelector("[data-poll]").textContent));
}));
