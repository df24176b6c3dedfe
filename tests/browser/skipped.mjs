// Tests that an engine cannot run, with the reasons. The browser has the tested feature, but its
// driver lacks a function. `name` is the full name of a test. Without it, the entry is for the
// whole file.
export const skipped = {
  chromium: [],
  firefox: [
    {
      file: "passkey.test.mjs",
      name: "passkey without user verification does not confirm",
      reason: "the virtual authenticators of Firefox do not respond when the verification of the user fails",
    },
  ],
  webkit: [
    { file: "activity.test.mjs", name: "a touch is activity", reason: "WebKitWebDriver has no touch screen" },
    { file: "live.test.mjs", name: "another tab leads after the process of the leader was killed", reason: "WebKitWebDriver ends its session when a page crashes" },
    { file: "lock.test.mjs", name: "locked page shows no name of the user", reason: "WebKitWebDriver does not show the accessibility tree" },
    { file: "lock.test.mjs", name: "locked page shows no name with live pages off", reason: "WebKitWebDriver does not show the accessibility tree" },
    { file: "lock.test.mjs", name: "print of a locked page has no content", reason: "WebKitWebDriver cannot print" },
    { file: "passkey.test.mjs", reason: "WebKitWebDriver has no virtual authenticator" },
  ],
};
