// Extension of a session from the warning, and its failures.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, inPageTime, isCovered, isOpen, path, settle, signIn } from "./site.mjs";

const about = (run, limits) => at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page, limits);
  await signIn(page);
  await server.pass(1081);
  await run(page, server);
});
const stay = async (page) => { await dialog(page).getByRole("button", { name: "Stay signed in" }).click(); await settle(page); };
const alert = (page) => dialog(page).locator("[role=alert]").textContent();

test("session is extended twelve times in a row", about(async (page, server) => {
  for (let n = 0; n < 12; n += 1) {
    assert.equal(await isOpen(page), true, `warning ${n}`);
    await stay(page);
    assert.equal(await isOpen(page), false, `stayed ${n}`);
    await server.pass(1081);
  }
  assert.equal(server.keepAlives.length, 12);
  assert.equal(path(page), "/dashboard");
}));

for (const away of [true, 503, "html"]) {
  test(`failed extension (${away}) is announced and can be retried`, about(async (page, server) => {
    server.away = away;
    await stay(page);
    assert.equal(await isOpen(page), true);
    assert.match(await alert(page), /could not be extended/);
    server.away = false;
    await stay(page);
    assert.equal(await isOpen(page), false);
    await server.pass(1081);
    assert.equal(await alert(page), "", "the error is announced again");
  }));
}

test("extension of an ended session redirects", about(async (page, server) => {
  server.endReason = "evicted";
  await stay(page);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("offline page is covered at the end and redirects later", about(async (page, server) => {
  server.away = true;
  await server.pass(120, 10);
  assert.deepEqual([await isCovered(page), await isOpen(page), path(page)], [true, true, "/dashboard"]);
  assert.match(await dialog(page).textContent(), /Your session has ended/);
  assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.waitForTimeout(100);
  assert.deepEqual([await isCovered(page), await isOpen(page)], [true, true], "Escape uncovers the page");
  server.away = false;
  await dialog(page).getByRole("button", { name: "Try again" }).click();
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("page covered by mistake is shown again", about(async (page, server) => {
  server.away = true;
  await server.pass(120, 10);
  assert.equal(await isCovered(page), true);
  server.seen = server.now; // another tab, over another network
  server.away = false;
  await server.pass(6);
  await settle(page);
  assert.deepEqual([await isCovered(page), await isOpen(page)], [false, false]);
}));
