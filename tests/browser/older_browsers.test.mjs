// The script and its style in Safari 15.4, Chrome 97 and Firefox 98.
//
// The tests remove the newer APIs from a current browser, and the newer functions from the style
// sheets. They show that the script uses no newer API. They do not show how an older browser
// renders the style sheets.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "acorn";
import { newerApis } from "./newer_apis.mjs";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, inPageTime, isCovered, isOpen, path, settle, signIn } from "./site.mjs";


const text = (page) => page.locator("dialog.session-expire [aria-hidden]").textContent();
const title = (page) => dialog(page).locator("h2").textContent();

const removeApis = (apis) => {
  for (const [path, members] of Object.entries(apis)) {
    const owner = path.split(".").reduce((object, name) => (name === "window" ? object : object?.[name]), window);
    for (const name of members.trim().split(/\s+/)) if (owner) delete owner[name];
  }
};

// Runs a test on a page of a browser without the newer APIs. The scripts of the site are not under
// test.
const older = (limits, run, address = "/dashboard") => at(["--idle", "20m", "--editor-idle", "20m"], async (page, site) => {
  await page.route("**/static/*.js*", (route) => route.abort());
  await signIn(page);
  const server = await inPageTime(page, limits);
  await page.addInitScript(removeApis, newerApis);
  await page.goto(address);
  await run(page, server, site);
});

// Counts the changes of the live region.
const countAnnouncements = (page) => page.evaluate(() => {
  window.announcements = 0;
  new MutationObserver(() => { window.announcements += 1; })
    .observe(document.querySelector("dialog.session-expire [aria-live]"), { childList: true, characterData: true, subtree: true });
});

for (const name of ["session.min.js", "signed_in.js"]) {
  test(`${name} has no syntax newer than ES2021`, () => {
    const code = readFileSync(new URL(`../../session-expire/src/dialog/${name}`, import.meta.url), "utf8");
    parse(code, { ecmaVersion: 2021 });
  });
}

test("newer APIs are missing in these tests", older({}, async (page) => {
  const present = await page.evaluate(() => [
    AbortSignal.timeout, [].findLast, Element.prototype.ariaLive, window.structuredClone, Promise.withResolvers, window.navigation, URL.canParse, document.body.checkVisibility,
  ].filter((api) => api !== undefined).length);
  assert.equal(present, 0);
}));

test("warning, keep-alive, lost network, return and end work without newer APIs", { timeout: 120_000 }, older({}, async (page, server) => {
  await countAnnouncements(page);
  await server.stopTime();
  await server.pass(1080);
  assert.deepEqual([await isOpen(page), await title(page)], [true, "Are you still there?"]);
  for (let second = 0; second < 62; second += 1) await server.pass(1);
  assert.match(await text(page), /signed out in 5\d seconds\.$/);
  assert.equal(await page.evaluate(() => window.announcements), 2, "2 minutes, 1 minute");
  await page.keyboard.press("Enter"); // "Stay signed in" has the focus
  await settle(page);
  assert.deepEqual([await isOpen(page), server.keepAlives], [false, [0]]);
  await page.keyboard.press("a");
  await server.pass(70, 35);
  assert.equal(server.keepAlives.length, 2, "activity is reported");
  server.away = true;
  await server.pass(1205, 241);
  assert.deepEqual([await isCovered(page), await isOpen(page), await title(page)], [true, true, "Your session has ended"]);
  server.away = false;
  server.seen = server.now;
  await server.pass(6, 3);
  assert.deepEqual([await isCovered(page), await isOpen(page), path(page)], [false, false, "/dashboard"]);
  await server.pass(1206, 201);
  await page.waitForURL(LOGIN_WITH_RETURN);
}));

test("locked page is unlocked without newer APIs", { timeout: 120_000 }, older({}, async (page, server) => {
  await page.fill("#body", "Dear diary");
  await server.pass(1300, 100);
  assert.deepEqual([await isCovered(page), await title(page)], [true, "This page is locked"]);
  server.seen = server.now;
  await server.pass(2);
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await settle(page);
  assert.deepEqual([await isCovered(page), await isOpen(page), await page.inputValue("#body")], [false, false, "Dear diary"]);
}, "/editor"));

test("request without a response times out without newer APIs", older({}, async (page, server) => {
  await server.stopTime();
  await page.route("**/session/status?*", () => {});
  await server.pass(1201);
  assert.deepEqual([await isCovered(page), await isOpen(page)], [true, false]);
  await server.pass(9);
  assert.equal(await isOpen(page), false);
  await server.pass(2);
  assert.deepEqual([await isOpen(page), await title(page)], [true, "Your session has ended"]);
}));

for (const missing of ["locks", "BroadcastChannel", "both"]) {
  test(`warning and end work without ${missing}`, older({}, async (page, server) => {
    await page.addInitScript((name) => {
      if (name !== "BroadcastChannel") delete Navigator.prototype.locks;
      if (name !== "locks") delete window.BroadcastChannel;
    }, missing);
    await page.reload();
    await server.pass(1081);
    assert.equal(await isOpen(page), true);
    await server.pass(125, 25);
    await page.waitForURL(LOGIN_WITH_RETURN);
  }));
}

test("refused channel and locks do not break the page", older({}, async (page, server) => {
  await page.addInitScript(() => {
    window.BroadcastChannel = class { constructor() { throw new DOMException("refused", "SecurityError"); } };
    LockManager.prototype.request = () => Promise.reject(new DOMException("refused", "SecurityError"));
  });
  await page.reload();
  await server.pass(1081);
  assert.equal(await isOpen(page), true);
}));

// Replaces an API with a function that throws.
const breakApi = (path) => {
  const names = path.split(".");
  const name = names.pop();
  const owner = names.reduce((object, key) => object[key], window);
  owner[name] = function () { throw new Error(`${path} is broken`); };
};

// Records each text that the dialog shows, also during a navigation.
const recordTitles = async (page) => {
  const titles = [];
  await page.exposeFunction("reportTitle", (shown) => titles.push(shown));
  await page.addInitScript(() => addEventListener("DOMContentLoaded", () => {
    const heading = document.querySelector("dialog.session-expire h2");
    if (heading) new MutationObserver(() => window.reportTitle(heading.textContent)).observe(heading, { childList: true });
  }));
  return titles;
};

// Advances the clock until the page leaves. The clock passes on the errors of timers.
const passUntilLeft = async (page, server, seconds) => {
  for (let elapsed = 0; elapsed < seconds; elapsed += 50) await server.pass(50).catch(() => {});
  await page.waitForFunction(() => !window.isOld);
};

const assertFault = (page, titles, name) => {
  assert.ok(page.complaints.length > 0, "the fault does not surface");
  for (const complaint of page.complaints) assert.ok(complaint.includes(`${name} is broken`), complaint);
  assert.ok(!titles.includes("Your session has ended"), titles.join("|"));
  page.complaints.length = 0;
};

const APIS = ["AbortController", "URLSearchParams", "URL", "CustomEvent", "Reflect.get", "Intl.PluralRules", "getComputedStyle", "HTMLDialogElement.prototype.showModal"];

for (const name of APIS) {
  test(`fault of ${name} is no lost network and does not keep the page open`, { timeout: 60_000 }, at(["--idle", "20m"], async (page) => {
    const titles = await recordTitles(page);
    const server = await inPageTime(page);
    await signIn(page);
    await page.goto("/dashboard");
    await page.evaluate(() => { window.isOld = true; });
    await page.evaluate(breakApi, name);
    await server.pass(1081).catch(() => {});
    await page.keyboard.press("Enter"); // extends the session, unless the fault prevents it
    await settle(page);
    await passUntilLeft(page, server, 1300);
    assertFault(page, titles, name);
  }));
}

for (const name of ["Reflect.get", "URL", "Document.prototype.querySelector", "BroadcastChannel.prototype.postMessage"]) {
  test(`fault of ${name} at the start does not keep the page open`, { timeout: 60_000 }, at(["--idle", "20m"], async (page) => {
    await page.route("**/static/*.js*", (route) => route.abort());
    await signIn(page);
    const titles = await recordTitles(page);
    const server = await inPageTime(page);
    await page.addInitScript(breakApi, name);
    await page.goto("/dashboard");
    await page.evaluate(() => { window.isOld = true; });
    for (let elapsed = 0; elapsed < 1190; elapsed += 119) await server.pass(119).catch(() => {});
    assert.equal(await page.evaluate(() => window.isOld), true);
    await passUntilLeft(page, server, 50);
    assertFault(page, titles, name);
  }));
}

// Sets the attributes of a translated dialog.
const translate = (page, lang, forms) => page.evaluate(([to, attributes]) => {
  const element = document.querySelector("dialog.session-expire");
  element.lang = to;
  for (const name of element.getAttributeNames()) if (/^data-(minute|second)-/.test(name)) element.removeAttribute(name);
  for (const [name, form] of Object.entries(attributes)) element.setAttribute(`data-${name}`, form);
  for (const part of element.querySelectorAll("p[data-when-idle]")) part.dataset.whenIdle = "{time}";
}, [lang, forms]);

const PLURALS = {
  pl: {
    forms: {
      "minute-one": "{n} minutę", "minute-few": "{n} minuty", "minute-many": "{n} minut", "minute-other": "{n} minuty",
      "second-one": "{n} sekundę", "second-few": "{n} sekundy", "second-many": "{n} sekund", "second-other": "{n} sekundy",
    },
    times: [[22 * 60, "22 minuty"], [12 * 60, "12 minut"], [300, "5 minut"], [120, "2 minuty"], [60, "1 minutę"], [22, "22 sekundy"], [5, "5 sekund"], [2, "2 sekundy"], [1, "1 sekundę"]],
  },
  ar: {
    forms: {
      "minute-one": "دقيقة واحدة", "minute-two": "دقيقتين", "minute-few": "{n} دقائق", "minute-many": "{n} دقيقة", "minute-other": "{n} دقيقة",
      "second-one": "ثانية واحدة", "second-two": "ثانيتين", "second-few": "{n} ثوان", "second-many": "{n} ثانية", "second-other": "{n} ثانية",
    },
    times: [[11 * 60, "11 دقيقة"], [180, "3 دقائق"], [120, "دقيقتين"], [60, "دقيقة واحدة"], [11, "11 ثانية"], [3, "3 ثوان"], [2, "ثانيتين"], [1, "ثانية واحدة"]],
  },
  // The language has a plural category for which the dialog has no form.
  cs: {
    forms: { "minute-other": "{n} min", "second-other": "{n} s" },
    times: [[180, "3 min"], [1, "1 s"]],
  },
};

for (const [lang, { forms, times }] of Object.entries(PLURALS)) {
  test(`remaining time has the plural forms of ${lang}`, older({ idle: 3000, warn: 2000 }, async (page, server) => {
    await translate(page, lang, forms);
    await server.stopTime();
    for (const [seconds, words] of times) {
      await server.pass(3000 - seconds - server.now);
      assert.equal(await text(page), words);
    }
  }));
}

// Returns the contrast between two colours, such as `rgb(0, 0, 0)` (WCAG 2.2, relative luminance).
const contrast = (...colors) => {
  const [dark, light] = colors.map((color) => {
    const [red, green, blue] = color.match(/[\d.]+/g).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }).sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};

// Serves the style sheets of the library without the functions that older browsers do not have. The
// style sheet of the site is not under test: it sets colours of its own.
const removeStyleFunctions = async (page) => {
  await page.route("**/static/*.css*", (route) => route.abort());
  await page.route("**/session/*.css", async (route) => {
    const response = await route.fetch();
    return route.fulfill({ response, body: (await response.text()).replace(/(light-dark|color-mix|dvh)\b/g, "older-$1") });
  });
};

// Returns the computed style of a focused control, and the background around it.
const styleOf = (page, selector, ground) => page.evaluate(([of, around]) => {
  const element = document.querySelector(of);
  element.focus();
  const { color, backgroundColor, outlineColor, outlineStyle, outlineWidth } = getComputedStyle(element);
  return { color, backgroundColor, outlineColor, outline: `${outlineStyle} ${outlineWidth}`, ground: getComputedStyle(document.querySelector(around)).backgroundColor };
}, [selector, ground]);

const assertVisible = ({ color, backgroundColor, outlineColor, outline, ground }) => {
  assert.ok(contrast(color, backgroundColor) >= 4.5, `${color} on ${backgroundColor}`);
  assert.equal(outline, "solid 3px");
  for (const edge of [backgroundColor, outlineColor]) assert.ok(contrast(edge, ground) >= 3, `${edge} on ${ground}`);
};

for (const colorScheme of ["light", "dark"]) {
  test(`button and focus ring are visible without light-dark() (${colorScheme})`, older({}, async (page, server) => {
    await page.emulateMedia({ colorScheme });
    await removeStyleFunctions(page);
    await page.reload();
    await page.evaluate((scheme) => { document.documentElement.style.colorScheme = scheme; }, colorScheme);
    await server.pass(1081);
    const button = await styleOf(page, "dialog.session-expire button", "dialog.session-expire");
    assertVisible(button);
    assert.equal(contrast(button.ground, "rgb(0, 0, 0)") > 10, colorScheme === "light");
    const { borderTopColor, maxBlockSize } = await dialog(page).evaluate((element) => {
      const style = getComputedStyle(element);
      return { borderTopColor: style.borderTopColor, maxBlockSize: style.maxBlockSize };
    });
    assert.ok(contrast(borderTopColor, button.ground) >= 3);
    assert.match(maxBlockSize, /px$/);
  }));

  test(`link of the last page is visible without light-dark() (${colorScheme})`, at([], async (page) => {
    await page.emulateMedia({ colorScheme });
    await removeStyleFunctions(page);
    await page.goto("/session/signed-in");
    await page.evaluate(() => { document.body.style.background = "Canvas"; });
    assertVisible(await styleOf(page, "a", "body"));
  }));
}
