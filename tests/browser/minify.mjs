// Builds `session.min.js`, which is part of the crate, from `session.js`.
//
//   node tests/browser/minify.mjs          writes it
//   node tests/browser/minify.mjs --check  fails if it is outdated or too large
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { minify } from "terser";

const LIMIT = 3000;
const client = new URL("../../session-expire/src/dialog/", import.meta.url);
const source = readFileSync(new URL("session.js", client), "utf8");
const { code } = await minify(source, { ecma: 2022, compress: { passes: 3, unsafe_arrows: true, if_return: false }, format: { comments: false } });
const target = new URL("session.min.js", client);
const size = gzipSync(code, { level: 9 }).length;
console.log(`session.min.js: ${code.length} bytes, ${size} with gzip, at most ${LIMIT}`);
if (!process.argv.includes("--check")) writeFileSync(target, code);
else if (readFileSync(target, "utf8") !== code) {
  console.error("session.min.js is outdated; run `node tests/browser/minify.mjs`");
  process.exitCode = 1;
}
if (size > LIMIT) process.exitCode = 1;
