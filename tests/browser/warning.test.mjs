// The warning dialog: time, texts, focus.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, inPageTime, isOpen, path, settle, signIn } from "./site.mjs";

const text = (page) => page.locator("dialog.session-expire [aria-hidden]").textContent();
const announcement = (page) => page.locator("dialog.session-expire [aria-live]").textContent();

const warned = (limits, run) => at(["--idle", "20m"], async (page, site) => {
  const server = await inPageTime(page, limits);
  await signIn(page);
  await page.goto("/dashboard"); // Playwright cannot replace the response after a redirect
  await run(page, server, site);
});

test("warning opens at the warning time", warned({}, async (page, server) => {
  await server.pass(1075);
  assert.equal(await isOpen(page), false);
  await server.pass(6);
  assert.equal(await isOpen(page), true);
  assert.match(await text(page), /signed out in 2 minutes\.$/);
}));

test("warning counts minutes and then seconds", warned({}, async (page, server) => {
  await server.stopTime();
  await server.pass(1080);
  for (const [step, words] of [[30, "2 minutes"], [28, "2 minutes"], [1, "1 minute"], [1, "59 seconds"], [49, "10 seconds"], [9, "1 second"]]) {
    await server.pass(step);
    assert.ok((await text(page)).includes(`in ${words}.`), `${await text(page)} and not ${words}`);
  }
}));

test("screen reader gets five sentences in two minutes", warned({}, async (page, server) => {
  await server.stopTime();
  await server.pass(1080);
  const heard = [await announcement(page)];
  for (let second = 0; second < 118; second += 1) {
    await server.pass(1);
    const now = await announcement(page);
    if (now !== heard.at(-1)) heard.push(now);
  }
  assert.ok(heard.every((sentence) => /^You have not been active .* in \d+ (minutes?|seconds?)\.$/.test(sentence)), heard.join("|"));
  assert.deepEqual(heard.map((sentence) => sentence.match(/\d+ \w+/)[0]), ["2 minutes", "1 minute", "30 seconds", "15 seconds", "5 seconds"]);
}));

test("focus moves to the button and back to the caret", at(["--editor-idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.goto("/editor");
  await page.fill("#body", "a long text");
  await page.locator("#body").evaluate((area) => area.setSelectionRange(2, 6));
  await server.pass(61);
  await server.pass(1020);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Stay signed in");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.querySelector("dialog").open);
  const after = await page.evaluate(() => { const { id, value, selectionStart, selectionEnd } = document.activeElement; return [id, value, selectionStart, selectionEnd]; });
  assert.deepEqual(after, ["body", "a long text", 2, 6]);
}));

test("page behind the warning cannot be reached", warned({}, async (page, server) => {
  await server.pass(1081);
  await page.waitForFunction(() => document.querySelector("dialog").open);
  for (let n = 0; n < 6; n += 1) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog")));
  }
  await page.mouse.click(5, 5);
  assert.equal(await isOpen(page), true);
}));

test("Escape extends the session", warned({}, async (page, server) => {
  await server.pass(1081);
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("dialog").open);
  assert.deepEqual(server.keepAlives, [0]);
  await server.pass(1081);
  server.away = true;
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await settle(page);
  assert.equal(await isOpen(page), true, "the dialog stays open after a failure");
}));

test("title counts while the tab is hidden and is restored", warned({}, async (page, server) => {
  const hide = (hidden) => page.evaluate((to) => {
    Object.defineProperty(Document.prototype, "hidden", { get: () => to, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const title = await page.title();
  await server.pass(1081);
  assert.equal(await page.title(), title);
  await hide(true);
  assert.equal(await page.title(), `(2 minutes) ${title}`);
  await page.evaluate(() => { document.title = "(1) New mail"; });
  await server.pass(61);
  assert.match(await page.title(), /^\(5\d seconds\) \(1\) New mail$/);
  await hide(false);
  assert.equal(await page.title(), "(1) New mail");
}));

test("notice of the absolute timeout offers no extension", warned({ idle: 1200, session: 1000 }, async (page, server) => {
  await server.pass(881);
  assert.match(await text(page), /yours ends in 2 minutes\. It can't be extended/);
  assert.deepEqual(await page.locator("dialog.session-expire button").allTextContents(), ["Continue working", "Sign out"]);
  await page.keyboard.press("Enter");
  assert.equal(await isOpen(page), false);
  await server.pass(60, 10);
  assert.deepEqual([await isOpen(page), server.keepAlives], [false, []], "the notice stays closed");
  await server.pass(70, 10);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("wrong clock of the machine changes nothing", warned({}, async (page, server) => {
  const shift = (hours) => page.evaluate((by) => { const real = Date.now; Date.now = () => real() + by * 3_600_000; }, hours);
  for (const hours of [5, -30, 1000]) {
    await shift(hours);
    await server.pass(16);
    await page.waitForTimeout(100);
    assert.deepEqual([await isOpen(page), path(page)], [false, "/dashboard"]);
    assert.equal(await page.locator("html[data-session-over]").count(), 0, "the page stays covered");
  }
  await server.pass(1036);
  assert.equal(await isOpen(page), true);
}));

test("warning has a button to sign out", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await server.pass(1081);
  await dialog(page).getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/login");
  assert.match(await page.textContent(".message"), /You have signed out/);
}));

// The dialog has no translation, as without the feature `translations`.
for (const [name, lang] of [["language", "de"], ["locale", "de_DE"]]) {
  test(`warning uses the ${name} of the page`, warned({}, async (page, server) => {
    await page.evaluate((to) => {
      document.documentElement.lang = to;
      const { attributes } = document.querySelector("dialog.session-expire");
      for (const { name } of [...attributes]) {
        if (/^(lang|dir|data-(minute|second)-.*)$/.test(name)) attributes.removeNamedItem(name);
      }
    }, lang);
    await server.pass(1081);
    assert.match(await text(page), /in 2 Minuten\.$/);
  }));
}
