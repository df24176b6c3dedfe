// Chat of the example site: its messages, its connection, and the end of the session.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { at, atSite, freePort, newFolder, path, signIn, startProgram, startRedis, startSiteIn, visit } from "./site.mjs";

const lines = (page) => page.locator("[role=log] p").allTextContents();
const waitForState = (page, text) => page.waitForFunction(
  (text) => document.querySelector("[data-state]")?.textContent.startsWith(text), text,
);
const waitForLine = (page, text) => page.locator("[role=log] p", { hasText: text }).waitFor();

async function openChat(page, user) {
  if (user) await signIn(page, user);
  await page.goto("/chat");
  await waitForState(page, "Connected");
}

async function say(page, text) {
  await page.fill("[name=text]", text);
  await page.press("[name=text]", "Enter");
}

const openOther = async (page, site, user) => {
  const other = await visit(page.context().browser(), site);
  await openChat(other, user);
  return other;
};

const forever = ["--idle", "never"];

test("a message goes to all as text", at(forever, async (page, site) => {
  await openChat(page, "alice");
  const bob = await openOther(page, site, "bob");
  await say(page, "<img src=x onerror=alert(1)> & \"hello\"");
  await waitForLine(bob, "hello");
  await waitForLine(page, "hello");
  for (const tab of [page, bob]) {
    assert.deepEqual(await lines(tab), ["alice <img src=x onerror=alert(1)> & \"hello\""]);
    assert.equal(await tab.locator("[role=log] img").count(), 0);
  }
  assert.equal(await page.inputValue("[name=text]"), "");
  assert.deepEqual(bob.complaints, []);
}));

test("the chat works with the keyboard", at(forever, async (page) => {
  await openChat(page, "alice");
  await page.focus("[role=log]");
  await page.keyboard.press("Tab");
  await page.keyboard.type("typed");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await waitForLine(page, "typed");
  // An empty message is not sent.
  await page.keyboard.press("Enter");
  assert.equal((await lines(page)).length, 1);
}));

test("a login elsewhere ends the chat with the reason", at([...forever, "--max-sessions", "1"], async (page, site) => {
  await openChat(page, "alice");
  await say(page, "private words");
  await waitForLine(page, "private words");
  await openOther(page, site, "alice");
  await page.waitForURL("**/login**");
  assert.equal(path(page), "/login?next=%2Fchat");
  assert.match(await page.textContent("#messages"), /signed in/i);
  assert.doesNotMatch(await page.textContent("body"), /private words/);
}));

test("without live pages, the chat says that the session has ended", at([...forever, "--max-sessions", "1", "--live", "off"], async (page, site) => {
  await openChat(page, "alice");
  await say(page, "private words");
  await waitForLine(page, "private words");
  await openOther(page, site, "alice");
  await waitForState(page, "Your session has ended");
  assert.deepEqual(await lines(page), []);
  assert.equal(await page.locator("[name=text]").count(), 0);
  await page.reload();
  assert.equal(path(page), "/login?next=/chat");
}));

test("a confirmed session continues to chat", at(forever, async (page) => {
  await openChat(page, "alice");
  let opened = 0;
  page.on("websocket", () => { opened += 1; });
  const tab = await page.context().newPage();
  await tab.goto("/confirm?next=/devices");
  await tab.fill("[name=password]", "alice");
  await tab.press("[name=password]", "Enter");
  await tab.waitForURL("**/devices");
  while (!opened) await page.waitForTimeout(20);
  await waitForState(page, "Connected");
  await say(page, "still here");
  await waitForLine(page, "still here");
}));

test("the chat says that the connection is lost, and reconnects", async () => {
  const [folder, port] = [newFolder(), await freePort()];
  const flags = ["--bind", `127.0.0.1:${port}`, "--key-file", `${folder}/key`, ...forever];
  const start = () => startProgram("example-site", flags, folder);
  await atSite(start, async (page, site) => {
    await openChat(page, "alice");
    await site.stop("SIGTERM");
    await waitForState(page, "The connection is lost");
    await say(page, "kept");
    await waitForState(page, "You are not connected");
    assert.equal(await page.inputValue("[name=text]"), "kept");
    const again = await start();
    try {
      await waitForState(page, "Connected");
      await page.press("[name=text]", "Enter");
      await waitForLine(page, "kept");
    } finally {
      again.stop();
    }
  })();
});

test("a page from the history reconnects", at(forever, async (page) => {
  await openChat(page, "alice");
  await page.goto("/vault");
  await page.goBack();
  await waitForState(page, "Connected");
  await say(page, "back again");
  await waitForLine(page, "back again");
}));

async function assertEndsInOtherProcess(...flags) {
  const folder = newFolder();
  const start = () => startSiteIn(folder, ...forever, "--max-sessions", "1", ...flags);
  const other = await start();
  try {
    await atSite(start, async (page) => {
      await openChat(page, "alice");
      await say(page, "private words");
      await waitForLine(page, "private words");
      const second = await visit(page.context().browser(), other);
      const start = Date.now();
      await signIn(second, "alice");
      await page.waitForURL("**/login**");
      console.log(`${flags.join(" ").slice(0, 20)}: the page left after ${Date.now() - start} ms`);
      assert.match(await page.textContent("#messages"), /signed in/i);
    })();
  } finally {
    other.stop();
  }
}

test("a login in another process on one SQLite file ends the chat", () =>
  assertEndsInOtherProcess("--registry", "sqlite:shared.sqlite"));

test("a login in another process on one Redis server ends the chat", async () => {
  const redis = await startRedis();
  try {
    await assertEndsInOtherProcess("--registry", redis.url);
  } finally {
    redis.stop();
  }
});

test("a new sign-in of the same user keeps the chat", at([...forever, "--live", "off"], async (page) => {
  await openChat(page, "alice");
  let opened = 0;
  page.on("websocket", () => { opened += 1; });
  const tab = await page.context().newPage();
  await tab.goto("/login");
  await tab.fill("[name=username]", "alice");
  await tab.fill("[name=password]", "alice");
  await Promise.all([tab.waitForURL("**/dashboard"), tab.press("[name=password]", "Enter")]);
  while (!opened) await page.waitForTimeout(20);
  await waitForState(page, "Connected");
  await say(page, "still here");
  await waitForLine(page, "still here");
}));

// The script of the dialog would leave the page when it queries the server.
test("a sign-out elsewhere ends the chat after one attempt", at([...forever, "--live", "off"], async (page) => {
  await openChat(page, "alice");
  await page.route("**/session/status**", (route) => route.abort());
  await say(page, "private words");
  await waitForLine(page, "private words");
  const cookies = await page.context().cookies();
  let opened = 0;
  page.on("websocket", () => { opened += 1; });
  const copy = await page.context().browser().newContext({ baseURL: new URL(page.url()).origin });
  await copy.addCookies(cookies);
  await copy.request.post("/logout", { headers: { origin: new URL(page.url()).origin } });
  await waitForState(page, "Your session has ended");
  assert.deepEqual([opened, await page.locator("[role=log]").count()], [1, 0]);
  await copy.close();
}));

test("at 360 px, the field is visible without scrolling", at(forever, async (page) => {
  await signIn(page, "alice");
  for (const height of [640, 740, 900]) {
    await page.setViewportSize({ width: 360, height });
    await page.goto("/chat");
    const { y, height: own } = await page.getByRole("button", { name: "Send" }).boundingBox();
    assert.ok(y + own <= height, `${y + own} of ${height}`);
  }
}));
