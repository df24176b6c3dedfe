// Registers the tests, and skips those that the engine cannot run.
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { test as register } from "node:test";
import { ENGINE } from "./engine.mjs";
import { skipped } from "./skipped.mjs";

const FILE = basename(process.argv[1]);
const names = new Set();

const isMatch = (name) => (entry) => entry.file === FILE && (entry.name ?? name) === name;

// The same as `test` of node:test, for the engine that runs the tests.
export function test(name, ...rest) {
  const run = rest.pop();
  const [options = {}] = rest;
  names.add(name);
  register(name, { ...options, skip: skipped[ENGINE].find(isMatch(name))?.reason }, run);
}

const isStale = (entry) => entry.file === FILE && ![...names].some((name) => isMatch(name)(entry));
const isInvalid = (entry) => !entry.reason || !existsSync(new URL(entry.file, import.meta.url));

// Fails for an entry without a test. An error in a hook would leave the browser running.
process.on("exit", () => {
  for (const entry of Object.values(skipped).flat()) {
    if (!isStale(entry) && !isInvalid(entry)) continue;
    console.error(`no test matches ${JSON.stringify(entry)} in skipped.mjs`);
    process.exitCode = 1;
  }
});
