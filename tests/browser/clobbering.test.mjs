// Elements whose name or id matches a DOM property shadow it on `document`, on forms and in the
// global scope ("DOM clobbering"). A page that renders user-supplied markup may contain any of
// them.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, inPageTime, path, settle, signIn } from "./site.mjs";

const named = (names) => names.map((name) => `<img name="${name}" id="${name}" alt="">`).join("");

// Returns the names of all properties of `document` and the global scope.
const allNames = (page) => page.evaluate(() => {
  const names = new Set();
  for (let object of [document, window]) {
    for (; object; object = Object.getPrototypeOf(object)) {
      for (const name of Object.getOwnPropertyNames(object)) names.add(name);
    }
  }
  return [...names].filter((name) => /^[a-z]\w*$/i.test(name));
});

// Reads the state of the page without shadowed properties.
const look = (page) => page.evaluate(() => {
  const { prototype } = Document;
  const get = (name) => Reflect.get(prototype, name, document);
  const dialog = prototype.querySelector.call(document, "dialog.session-expire");
  return {
    open: dialog.open,
    covered: getComputedStyle(prototype.querySelector.call(document, "main")).visibility === "hidden",
    title: get("title"),
    focus: get("activeElement").id,
  };
});

const hide = (page, hidden) => page.evaluate((to) => {
  Object.defineProperty(Document.prototype, "hidden", { get: () => to, configurable: true });
  EventTarget.prototype.dispatchEvent.call(document, new Event("visibilitychange"));
}, hidden);

const clobbered = (markup, run, headers) => at(["--idle", "20m"], async (page) => {
  await signIn(page);
  await page.route("**/static/*.js?*", (route) => route.abort()); // the site's own scripts are not under test
  const server = await inPageTime(page, { markup: typeof markup === "string" ? markup : await markup(page), headers });
  await page.goto("/vault");
  await run(page, server);
});

const worksToTheEnd = async (page, server) => {
  const { title } = await look(page);
  await server.pass(1075);
  await server.pass(6);
  assert.equal((await look(page)).open, true);
  await hide(page, true);
  await server.pass(1);
  assert.equal((await look(page)).title, `(2 minutes) ${title}`);
  await hide(page, false);
  await server.pass(1);
  assert.equal((await look(page)).title, title);
  await page.keyboard.press("Enter"); // "Stay signed in" has the focus
  await settle(page);
  assert.deepEqual([server.keepAlives.length, (await look(page)).open], [1, false]);
  server.away = true;
  await server.pass(1205, 241);
  assert.equal((await look(page)).covered, true);
  server.away = false;
  await server.pass(6, 3);
  await page.waitForURL(LOGIN_WITH_RETURN);
  assert.equal(new URL(page.url()).searchParams.get("next"), "/vault");
};

for (const name of ["querySelector", "currentScript", "addEventListener", "dispatchEvent", "documentElement", "hidden", "title"]) {
  test(`element named ${name} does not break the dialog`, clobbered(named([name]), worksToTheEnd));
}

test("elements with all DOM names do not break the dialog", clobbered(
  async (page) => named(await allNames(page)),
  worksToTheEnd,
));

test("form with a control named focus gets the focus back", clobbered(
  '<form id="clobbered" tabindex="0"><input name="focus"></form>',
  async (page, server) => {
    await page.evaluate(() => HTMLElement.prototype.focus.call(document.getElementById("clobbered")));
    let respond;
    await page.route("**/session/status?*", async (route) => {
      await new Promise((resolve) => { respond = resolve; });
      return route.fallback();
    });
    await page.evaluate(() => { const real = Date.now; Date.now = () => real() + 3 * 3_600_000; });
    await server.pass(2);
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await page.waitForTimeout(200);
    assert.deepEqual(await look(page).then(({ covered, focus }) => [covered, focus]), [true, ""]);
    respond();
    await settle(page);
    assert.deepEqual(await look(page).then(({ covered, focus }) => [covered, focus]), [false, "clobbered"]);
  },
));

test("base element does not redirect requests", clobbered("", async (page, server) => {
  const hosts = new Set();
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  await page.evaluate(() => {
    const base = document.createElement("base");
    base.href = "https://other.invalid/";
    document.body.append(base);
  });
  assert.equal(await page.evaluate(() => document.baseURI), "https://other.invalid/");
  await server.pass(1081);
  await server.pass(1);
  await page.keyboard.press("Enter");
  await settle(page);
  assert.deepEqual([server.keepAlives.length, hosts.has("other.invalid")], [1, false]);
}, { "content-security-policy": "default-src * 'self'" })); // the site's policy forbids such elements
