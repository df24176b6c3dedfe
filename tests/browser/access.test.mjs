// Accessibility: axe, small and enlarged screens, strict content policies.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { PAGES } from "./pages.mjs";
import { test } from "./scenarios.mjs";
import { LOGIN_WITH_RETURN, at, dialog, inPageTime, isOpen, path, signIn, visit } from "./site.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const violations = async (page) => {
  await page.evaluate(AXE);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
};

const scrollsSideways = (page) => page.evaluate(() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  const box = document.querySelector("dialog[open]");
  return scrollWidth > clientWidth || Boolean(box && box.scrollWidth > box.clientWidth);
});

const check = async (page) => {
  for (const [width, height] of [[1280, 720], [360, 640]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      assert.deepEqual(await violations(page), [], `${colorScheme}, ${width}×${height}`);
    }
  }
  for (const [width, height] of [[320, 480], [640, 400]]) {
    await page.setViewportSize({ width, height });
    assert.equal(await scrollsSideways(page), false, `${width}×${height}`);
  }
  await page.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
  assert.equal(await scrollsSideways(page), false, "with text of twice the size");
};

// States of pages at later times.
const states = {
  "login page after an expiry": async (page, server) => {
    await signIn(page);
    server.endReason = "idle";
    await server.pass(1201);
    await page.waitForURL(LOGIN_WITH_RETURN);
  },
  "warning": async (page, server) => { await signIn(page); await server.pass(1081); assert.equal(await isOpen(page), true); },
  "notice of the absolute timeout": async (page, server) => {
    server.session = 1000;
    await signIn(page);
    await page.goto("/dashboard");
    await server.pass(900);
    assert.equal(await isOpen(page), true);
  },
  "covered page": async (page, server) => {
    await signIn(page);
    server.away = true;
    await server.pass(1205, 1085);
    assert.match(await dialog(page).textContent(), /Your session has ended/);
  },
  "locked editor": async (page, server) => {
    await signIn(page);
    await page.goto("/editor");
    server.endReason = "idle";
    await server.pass(1201);
    assert.match(await dialog(page).textContent(), /This page is locked/);
  },
  "login page with a long path": (page) => page.goto("/admin/sessions?user=alice&reason=open&from=2026-01-01&to=2026-12-31"),
  "question before a sign-out": async (page) => {
    await signIn(page);
    await page.context().clearCookies();
    await signIn(page);
    await page.goto("/devices");
    await page.getByRole("button", { name: "Sign out everywhere else" }).click();
    await page.locator("dialog.ask[open]").waitFor();
  },
};

for (const [name, open] of Object.entries(states)) {
  test(`${name} passes axe and fits small screens`, at(["--idle", "20m"], async (page) => {
    const server = await inPageTime(page);
    await open(page, server);
    await check(page);
  }));
}

for (const [name, { flags, open }] of Object.entries(PAGES)) {
  test(`${name} passes axe and fits small screens`, at(flags, async (page, site) => {
    await open(page, site);
    await check(page);
  }));
}

test("page for ended sessions leads back", at(["--registry", "memory", "--expired-url", "/session-ended", "--max-sessions", "1", "--live", "off"], async (page, site) => {
  await signIn(page);
  await signIn(await visit(page.context().browser(), site));
  await page.goto("/dashboard");
  assert.equal(path(page), "/session-ended?next=/dashboard");
  assert.match(await page.locator(".message").textContent(), /you signed in on another device/);
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.waitForURL("**/login?next=%2Fdashboard*");
}));

test("dialog works under Trusted Types and a strict policy", at(["--idle", "20m"], async (page) => {
  const server = await inPageTime(page);
  await signIn(page);
  await page.route("**/vault", async (route) => {
    const response = await route.fetch();
    const headers = { ...response.headers(), "content-security-policy": "default-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'" };
    return route.fulfill({ response, headers, body: (await response.text()).replace(/data-idle-end="\d+"/, 'data-idle-end="1200"') });
  });
  await page.goto("/vault");
  const violated = [];
  await page.exposeFunction("report", (text) => violated.push(text));
  await page.evaluate(() => document.addEventListener("securitypolicyviolation", ({ violatedDirective }) => globalThis.report(violatedDirective)));
  await server.pass(1171);
  assert.equal(await isOpen(page), true);
  await dialog(page).getByRole("button", { name: "Stay signed in" }).click();
  await page.waitForTimeout(150);
  assert.equal(await isOpen(page), false);
  assert.deepEqual(violated, []);
}));

test("script adds no global name", at(["--idle", "20m"], async (page) => {
  await page.goto("/");
  const before = await page.evaluate(() => Object.keys(globalThis).length);
  await signIn(page);
  assert.equal(await page.evaluate(() => Object.keys(globalThis).length), before);
}));
