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
// gzip compresses a repeated literal better than a variable.
const inlineConstants = (text) => {
  for (const [line, name, literal] of text.matchAll(/^ *const ([A-Z_]+) = (".*?"|[\d_]+);.*\n/gm)) {
    text = text.replace(line, "").replaceAll(new RegExp(`\\b${name}\\b`, "g"), literal);
  }
  return text;
};
const { code } = await minify(inlineConstants(source), {
  ecma: 2021, // Safari 15.4, Chrome 97 and Firefox 98 have all of it
  compress: { passes: 3, unsafe_arrows: true, if_return: false, booleans_as_integers: true },
  format: { comments: false },
});
const target = new URL("session.min.js", client);
const size = gzipSync(code, { level: 9 }).length;
console.log(`session.min.js: ${code.length} bytes, ${size} with gzip, at most ${LIMIT}`);
if (!process.argv.includes("--check")) writeFileSync(target, code);
else if (readFileSync(target, "utf8") !== code) {
  console.error("session.min.js is outdated; run `node tests/browser/minify.mjs`");
  process.exitCode = 1;
}
if (size > LIMIT) process.exitCode = 1;
