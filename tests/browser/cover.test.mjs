// Covered page: nothing of its content can be seen, and its dialog stays in front.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, path, signInTo } from "./site.mjs";

const FLAGS = ["--idle", "10m", "--editor-idle", "4s"];

const button = (page) => dialog(page).getByRole("button", { name: "Sign in again" });

const waitForLock = (page) => button(page).waitFor();

const openEditor = (page) => signInTo(page, "/editor");

// Returns an image of the page above the dialog, without the scroll bar: its height is not private.
const shoot = (page) => page.screenshot({ clip: { x: 0, y: 0, width: 1200, height: 200 } });

// Adds texts that style themselves as visible: in the body, beside it, in a shadow tree, in a
// pseudo-element and in the top layer.
const addVisibleTexts = () => {
  const adopt = (root, css) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
  };
  adopt(document, `
    #visible { visibility: visible !important }
    html::after { content: "In a pseudo-element"; visibility: visible }
    @layer utilities { .visible { visibility: visible !important } }
    /* Firefox blurs it differently over other content, although that is hidden. */
    dialog.session-expire { box-shadow: none !important }
  `);
  const main = document.querySelector("main");
  main.insertAdjacentHTML("afterbegin", "<p id=visible>By its id<p class=visible>In a layer<p id=host></p>");
  const host = document.querySelector("#host").attachShadow({ mode: "open" });
  host.innerHTML = "<p>In a shadow tree</p>";
  adopt(host, "p { visibility: visible }");
  const outside = document.createElement("p");
  outside.textContent = "Beside the body";
  outside.style.position = "fixed";
  outside.style.top = 0;
  document.documentElement.append(outside);
  // Layout and scroll bars stay: the driver of WebKit waits forever for an image of a hidden page
  // that has become shorter.
  window.hidePrivateTexts = () => [main, outside].forEach(({ style }) => style.setProperty("opacity", "0", "important"));
};

for (const media of ["screen", "print"]) {
  test(`covered page shows no text that sets its visibility (${media})`, { timeout: 60_000 }, at(FLAGS, async (page) => {
    await openEditor(page);
    await page.evaluate(addVisibleTexts);
    await waitForLock(page);
    await page.emulateMedia({ media });
    const shown = await shoot(page);
    await page.evaluate(() => window.hidePrivateTexts());
    assert.ok(shown.equals(await shoot(page)), "the page shows private text");
    const contents = await page.evaluate(() => ["::before", "::after"].map((name) => getComputedStyle(document.documentElement, name).content));
    assert.deepEqual(contents, ["none", "none"]);
  }));
}

test("covered page shows no popover behind its dialog", { timeout: 60_000 }, at(FLAGS, async (page) => {
  await openEditor(page);
  await page.evaluate(() => {
    document.querySelector("main").insertAdjacentHTML("afterbegin", "<p id=popover popover=manual>Private</p>");
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("#popover { visibility: visible !important; inset: 0 auto auto 0 }");
    document.adoptedStyleSheets = [sheet];
    document.querySelector("#popover").showPopover();
  });
  await waitForLock(page);
  const shown = await shoot(page);
  await page.evaluate(() => document.querySelector("#popover").remove());
  assert.ok(shown.equals(await shoot(page)), "the page shows the popover");
}));

test("body replaced while the page is locked stays hidden", { timeout: 60_000 }, at(FLAGS, async (page) => {
  await openEditor(page);
  const shown = [];
  await page.exposeFunction("reportShown", (text) => shown.push(text));
  await waitForLock(page);
  await page.evaluate(() => {
    document.body.innerHTML = "<main>Private</main>";
    const look = () => {
      const main = document.querySelector("main");
      if (getComputedStyle(main).visibility === "visible" && main.offsetHeight) window.reportShown(main.textContent);
      requestAnimationFrame(look);
    };
    look();
  });
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.deepEqual(shown, []);
}));

test("modal dialog of the page does not stay before that of a locked page", { timeout: 60_000 }, at(FLAGS, async (page) => {
  await openEditor(page);
  await waitForLock(page);
  await page.evaluate(() => {
    window.announcements = 0;
    new MutationObserver(() => { window.announcements += 1; })
      .observe(document.querySelector("dialog.session-expire"), { childList: true, characterData: true, subtree: true });
    const reminder = document.createElement("dialog");
    reminder.id = "reminder";
    reminder.textContent = "Reminder";
    document.body.append(reminder);
    reminder.showModal();
  });
  assert.notEqual(await page.evaluate(() => document.activeElement.textContent), "Sign in again");
  await page.waitForFunction(() => document.activeElement.textContent === "Sign in again");
  const [tab] = await Promise.all([page.waitForEvent("popup"), button(page).click()]);
  await tab.waitForSelector("[name=username]");
  assert.equal(await page.evaluate(() => window.announcements), 0);
}));

test("locked page says that the browser did not open a tab", { timeout: 60_000 }, at(FLAGS, async (page) => {
  await openEditor(page);
  await waitForLock(page);
  await page.evaluate(() => { window.open = () => null; });
  await button(page).click();
  assert.match(await dialog(page).getByRole("alert").textContent(), /did not open a new tab/);
  assert.equal(await button(page).isVisible(), true);
}));

test("button of a locked page does not unlock by itself", { timeout: 60_000 }, at(["--idle", "10m", "--editor-idle", "5s"], async (page) => {
  await openEditor(page);
  const queries = [];
  page.on("request", (request) => { if (/\/session\/status/.test(request.url())) queries.push(new URL(request.url()).searchParams.get("locked")); });
  await waitForLock(page);
  const [tab] = await Promise.all([page.waitForEvent("popup"), button(page).click()]);
  await tab.waitForLoadState();
  await page.bringToFront();
  const isResponse = (response) => /\/session\/status\?.*locked=1/.test(response.url());
  const [response] = await Promise.all([page.waitForResponse(isResponse), page.evaluate(() => dispatchEvent(new Event("focus")))]);
  assert.deepEqual(await response.json().then(({ state, reason }) => [state, reason]), ["expired", "idle"]);
  await page.waitForFunction(() => window.pendingRequests === undefined);
  assert.equal(await button(page).isVisible(), true);
  assert.equal(queries[0], null);
}));

test("button of a locked page opens the login page, not expired_url", { timeout: 60_000 }, at([...FLAGS, "--expired-url", "/session-ended"], async (page) => {
  await openEditor(page);
  await waitForLock(page);
  const [tab] = await Promise.all([page.waitForEvent("popup"), button(page).click()]);
  await tab.waitForLoadState();
  assert.match(path(tab), /^\/login/);
}));
