// Chooses the engine that runs the tests, by the environment variable ENGINE.
const modules = {
  chromium: "./chromium.mjs",
  firefox: "./firefox/browser.mjs",
  webkit: "./webkit/browser.mjs",
};

export const ENGINE = process.env.ENGINE || "chromium";

if (!Object.hasOwn(modules, ENGINE)) {
  throw new Error(`unknown ENGINE "${ENGINE}"; the engines are ${Object.keys(modules).join(", ")}`);
}

const engine = await import(modules[ENGINE]);

// Starts a browser with Playwright's interface.
export const startBrowser = engine.launch;

// Functions that Playwright does not provide. They are undefined if the driver of the engine does
// not support them. The tests that call them are then in skipped.mjs.
export const { accessibleTexts, addAuthenticator, processOf } = engine;
