// Nu HTML checker: the markup of each page, as the server sends it, and the style sheets.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createRequire } from "node:module";
import { test } from "node:test";
import { PAGES } from "../pages.mjs";
import { at, newFolder } from "../site.mjs";

const CHECKER = createRequire(import.meta.url).resolve("vnu-jar/build/dist/vnu.jar");
const STYLES = ["example-site/static/site.css", "session-expire/src/dialog/session.css", "session-expire/src/dialog/signed_in.css"];

// Returns the findings of the checker that are errors or warnings.
const check = (files, ...options) => {
  const checker = ["-jar", CHECKER, "--stdout", "--exit-zero-always", "--format", "json"];
  const { stdout, error } = spawnSync("java", [...checker, ...options, ...files], { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (error) throw error;
  return JSON.parse(stdout).messages
    .filter(({ type, subType }) => type !== "info" || subType === "warning")
    .map(({ url, lastLine, message, extract }) => `${decodeURIComponent(basename(url))}:${lastLine} ${message} ${extract ?? ""}`);
};

// Records the last document that the server sends for a page, apart from redirects.
const recordDocument = (page) => {
  const record = {};
  page.on("response", (response) => {
    const isDocument = response.request().isNavigationRequest() && response.frame() === page.mainFrame();
    if (isDocument && Math.floor(response.status() / 100) !== 3) {
      Object.assign(record, { status: response.status(), html: response.text() });
    }
  });
  return record;
};

const folder = newFolder();
const files = [];

for (const [name, { flags, open }] of Object.entries(PAGES)) {
  test(`${name} sends its markup`, at(flags, async (page, site) => {
    const record = recordDocument(page);
    await open(page, site);
    const html = await record.html;
    assert.match(html, /^<!doctype html>/i);
    const file = join(folder, `${name.replaceAll("/", "∕")}.html`);
    writeFileSync(file, html);
    files.push(file);
    assert.equal(record.status, Number(/^\d{3}/.exec(name) ?? 200), "status");
  }));
}

test("markup has no errors and no warnings", () => {
  assert.ok(files.length > 0);
  assert.deepEqual(check(files), []);
});

test("style sheets have no errors and no warnings", () => {
  const styles = STYLES.map((path) => new URL(`../../../${path}`, import.meta.url).pathname);
  assert.ok(styles.every((path) => readFileSync(path).length > 0));
  assert.deepEqual(check(styles, "--css"), []);
});
