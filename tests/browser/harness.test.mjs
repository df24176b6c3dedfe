// The helpers of the tests, which each engine implements in its own way.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { at } from "./site.mjs";
import { waitFor } from "./streams.mjs";

test("script errors and violations of the content policy are complaints", at([], async (page) => {
  await page.goto("/");
  await page.evaluate(() => { setTimeout(() => { throw new Error("expected"); }); });
  await waitFor("the error", () => /expected/.test(page.complaints.join()));
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "1";
    document.body.append(script);
  });
  await waitFor("the violation", () => /Content.Security.Policy/i.test(page.complaints.join()));
  page.complaints.length = 0;
}));

test("emulated media reach the page", at([], async (page) => {
  await page.goto("/");
  const matches = (query) => page.evaluate((text) => matchMedia(text).matches, query);
  for (const [option, value, query] of [
    ["colorScheme", "light", "(prefers-color-scheme: light)"],
    ["colorScheme", "dark", "(prefers-color-scheme: dark)"],
    ["reducedMotion", "reduce", "(prefers-reduced-motion: reduce)"],
    ["reducedMotion", "no-preference", "(prefers-reduced-motion: no-preference)"],
    ["media", "print", "print"],
    ["media", "screen", "screen"],
  ]) {
    await page.emulateMedia({ [option]: value });
    assert.equal(await matches(query), true, query);
  }
}));

test("context without JavaScript runs no script of the page", at([], async (page, site) => {
  const context = await page.context().browser().newContext({ baseURL: site.address, javaScriptEnabled: false });
  const plain = await context.newPage();
  await plain.route("**/form", (route) => route.fulfill({
    contentType: "text/html",
    body: "<!doctype html><title>Form</title><p>Text</p><script>document.querySelector('p').remove()</script>",
  }));
  await plain.goto("/form");
  assert.equal(await plain.locator("p").count(), 1);
}));

test("test gets the body of a request that a route holds", at([], async (page) => {
  await page.goto("/");
  const bodies = [];
  await page.route("**/held", (route) => {
    bodies.push(route.request().postData());
    return route.fulfill({ status: 200 });
  });
  await page.evaluate(() => fetch("/held", { method: "POST", body: new URLSearchParams({ text: "ä & b" }) }));
  assert.deepEqual(bodies, ["text=%C3%A4+%26+b"]);
}));

test("options of a context reach the page", at([], async (page, site) => {
  const context = await page.context().browser().newContext({
    baseURL: site.address, timezoneId: "Asia/Kolkata", locale: "de-DE", colorScheme: "dark", viewport: { width: 700, height: 500 },
  });
  const local = await context.newPage();
  await local.goto("/");
  assert.deepEqual(await local.evaluate(() => ({
    language: navigator.language,
    offset: new Date(0).getTimezoneOffset(),
    size: [innerWidth, innerHeight],
    isDark: matchMedia("(prefers-color-scheme: dark)").matches,
    time: new Date(0).toLocaleTimeString(),
  })), { language: "de-DE", offset: -330, size: [700, 500], isDark: true, time: "05:30:00" });
  assert.equal(await local.evaluate(() => document.documentElement.lang), "de");
}));

test("cookies that a test adds reach the site", at([], async (page, site) => {
  const choose = (value) => [{ name: "language", value, url: site.address }];
  const language = () => page.evaluate(() => document.documentElement.lang);
  await page.context().addCookies(choose("de"));
  await page.goto("/login");
  assert.equal(await language(), "de");
  await page.context().addCookies(choose("fr"));
  await page.goto("/login");
  assert.equal(await language(), "fr");
  const context = await page.context().browser().newContext({ baseURL: site.address });
  await context.addCookies(choose("pl"));
  const other = await context.newPage();
  await other.goto("/login");
  assert.equal(await other.evaluate(() => document.documentElement.lang), "pl");
}));
