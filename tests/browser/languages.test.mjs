// Languages of the example site: the switch, the direction, and texts that scripts write.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { at, path, signIn, visit } from "./site.mjs";

const root = (page) => page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]);

const choose = async (page, language) => {
  await page.selectOption("#language", language);
  await page.locator("form.language button").click();
};

test("switch changes the language without JavaScript and returns", at([], async (page, site) => {
  const plain = await visit(page.context().browser(), site, { javaScriptEnabled: false });
  await plain.goto("/login?next=/vault");
  assert.deepEqual(await root(plain), ["en", "ltr"]);
  await choose(plain, "ar");
  await plain.waitForSelector("html[lang=ar]");
  assert.equal(path(plain), "/login?next=/vault");
  assert.deepEqual(await root(plain), ["ar", "rtl"]);
  await choose(plain, "de");
  await plain.waitForSelector("html[lang=de]");
  assert.equal(await plain.textContent("h1"), "Anmelden");
}));

test("selection alone changes nothing", at([], async (page) => {
  await page.goto("/");
  await page.selectOption("#language", "fr");
  assert.deepEqual(await root(page), ["en", "ltr"]);
  assert.equal(await page.inputValue("#language"), "fr");
}));

test("scripts write texts and times in the language of the page", at([], async (page) => {
  await page.goto("/");
  await choose(page, "de");
  await page.waitForSelector("html[lang=de]");
  await signIn(page);
  await page.locator("[data-poll] button").click();
  await page.getByText("Sie sind als alice angemeldet").waitFor();
  await page.goto("/devices");
  const time = page.locator(".device time").first();
  assert.match(await time.getAttribute("title"), /^\d{4}-\d\d-\d\d, \d\d:\d\d UTC$/);
  assert.match(await time.textContent(), /^\d\d\.\d\d\.\d{4}, \d\d:\d\d$/);
  await page.goto("/chat");
  await page.getByText("Verbunden.").waitFor();
  assert.equal(await page.getAttribute("dialog.session-expire", "lang"), "de");
}));

test("pages in each language fit small screens", at([], async (page) => {
  await signIn(page);
  await page.setViewportSize({ width: 320, height: 480 });
  for (const language of ["de", "fr", "es", "pl", "ar"]) {
    await page.goto("/");
    await choose(page, language);
    await page.waitForSelector(`html[lang=${language}]`);
    for (const place of ["/dashboard", "/editor", "/devices", "/vault", "/settings", "/nowhere"]) {
      await page.goto(place);
      const [wide, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= visible, `${language} ${place}: ${wide} > ${visible}`);
    }
  }
}));

test("switch keeps an unsaved text", at([], async (page) => {
  await signIn(page);
  await page.goto("/editor");
  await page.fill("#body", "two hours of work");
  await choose(page, "de");
  await page.waitForSelector("html[lang=de]");
  assert.equal(await page.inputValue("#body"), "two hours of work");
  assert.match(await page.textContent("[data-restored]"), /wiederhergestellt/);
}));

test("failed switch leaves no draft behind", at([], async (page) => {
  const drafts = () => page.evaluate(() => Object.keys(sessionStorage).length);
  const switchAfterTyping = async (text) => {
    await page.goto("/editor");
    await page.fill("#body", text);
    await page.locator("form.language").evaluate((form) => form.addEventListener("submit", (e) => e.preventDefault()));
    await choose(page, "de");
    assert.equal(await drafts(), 1);
  };
  await signIn(page);
  await switchAfterTyping("two hours of work");
  await page.locator("form[data-draft] .button").click();
  await page.waitForSelector(".message.success");
  assert.equal(await drafts(), 0);
  await switchAfterTyping("three hours of work");
  await page.click(".who button");
  await page.waitForURL("**/login");
  assert.equal(await drafts(), 0);
}));
