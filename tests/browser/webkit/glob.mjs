// Patterns of URLs.

const ESCAPED = /[.+^$()|[\]\\?]/;

// Returns the pattern of a glob: `*` stops at a slash, `**` does not, and `{a,b}` are alternatives.
const globToPattern = (glob) => {
  const parts = glob.split(/(\*\*\/?|[*{},])/).map((part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    if (part === "{") return "(?:";
    if (part === "}") return ")";
    if (part === ",") return "|";
    return part.replaceAll(new RegExp(ESCAPED, "g"), "\\$&");
  });
  return new RegExp(`^${parts.join("")}$`);
};

// Returns a function that returns true if a URL matches a glob, a pattern or a function of a `URL`.
export const urlMatcher = (expected) => {
  if (typeof expected === "function") return (url) => expected(new URL(url));
  const pattern = typeof expected === "string" ? globToPattern(expected) : expected;
  return (url) => pattern.test(url);
};
