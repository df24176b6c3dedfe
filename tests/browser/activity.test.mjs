// Activity of the user: what is reported to the server.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LEAVING_EDITOR, LOGIN_WITH_RETURN, at, inPageTime, isOpen, path, signIn, signInTo } from "./site.mjs";

const inEditor = (run, limits) => at(["--idle", "20m", ...LEAVING_EDITOR], async (page) => {
  const server = await inPageTime(page, limits);
  await signIn(page);
  await page.goto("/editor");
  await run(page, server);
});

test("an hour of typing shows no warning", inEditor(async (page, server) => {
  await page.focus("#body");
  for (let minute = 0; minute < 70; minute += 1) {
    await page.keyboard.type("a word ");
    await server.pass(60, 30);
    assert.equal(await isOpen(page), false, `after ${minute} minutes`);
  }
  assert.equal(path(page), "/editor");
  assert.ok(server.keepAlives.length >= 30 && server.keepAlives.length <= 75, `${server.keepAlives.length} keep-alives in 70 minutes`);
}));

test("recent activity is reported before the warning", inEditor(async (page, server) => {
  await page.focus("#body");
  await page.keyboard.type("a");
  await server.pass(61);
  await page.keyboard.type("b");
  await server.pass(2);
  assert.deepEqual(server.keepAlives.length, 1);
  await server.pass(1040);
  assert.equal(await isOpen(page), false, "a letter was typed two seconds ago");
}));

for (const [what, act] of [
  ["scrolling", (page) => page.mouse.wheel(0, 200)],
  ["a click", (page) => page.mouse.click(300, 500)],
  ["a key", (page) => page.keyboard.press("ArrowDown")],
]) {
  test(`${what} is activity`, inEditor(async (page, server) => {
    await page.mouse.move(300, 500);
    await act(page);
    await server.pass(70, 35);
    assert.equal(server.keepAlives.length, 1);
  }));
}

test("a touch is activity", at(["--idle", "20m"], async (page, site) => {
  const context = await page.context().browser().newContext({ baseURL: site.address, hasTouch: true });
  const touched = await context.newPage();
  const server = await inPageTime(touched);
  await signIn(touched);
  await touched.goto("/editor");
  await touched.touchscreen.tap(150, 300);
  await server.pass(70, 35);
  assert.equal(server.keepAlives.length, 1);
}));

test("mouse moves, script events and polls are no activity", inEditor(async (page, server) => {
  await page.evaluate(() => {
    setInterval(() => {
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
      document.querySelector("#body").dispatchEvent(new InputEvent("input", { bubbles: true }));
      document.querySelector("#body").value += "x";
      scrollBy(0, 1);
      fetch("/api/poll");
    }, 30_000);
  });
  for (let n = 0; n < 36; n += 1) {
    await page.mouse.move(100 + n, 100);
    await server.pass(30);
  }
  assert.deepEqual(server.keepAlives, []);
  assert.equal(await isOpen(page), true);
}));

test("session ends at the limit after the last key", inEditor(async (page, server) => {
  await page.focus("#body");
  await page.keyboard.type("a");
  await server.pass(60, 30);
  assert.equal(server.keepAlives.length, 1);
  assert.ok(Math.abs(server.keepAlives[0] - 60) < 2, `idle for ${server.keepAlives[0]}`);
  await server.pass(1145, 15);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("typing keeps the session alive in real time", { timeout: 60_000 }, at(["--idle", "5s", "--editor-idle", "5s", ...LEAVING_EDITOR], async (page) => {
  await signInTo(page, "/editor");
  await page.focus("#body");
  for (let n = 0; n < 32; n += 1) {
    await page.keyboard.type("x");
    await page.waitForTimeout(250);
    assert.equal(path(page), "/editor", `after ${n / 4} s`);
  }
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.match(await page.textContent(".message"), /not been active/);
}));
