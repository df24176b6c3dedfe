// Firefox, driven over WebDriver BiDi.
import { fileURLToPath } from "node:url";
import { firefox } from "playwright-core";
import { mendPage } from "./page.mjs";
import { createSystem, implementationOf } from "./system.mjs";

export { accessibleTexts, addAuthenticator, processOf } from "./devtools.mjs";

const PREFERENCES = {
  "dom.ipc.processCount.webIsolated": 8, // tabs of one site do not share a process
  "ui.caretBlinkTime": 0, // two screenshots of a page are equal
  "security.webauth.webauthn_enable_softtoken": true,
  "security.webauth.webauthn_enable_usbtoken": false,
};

// A page that closes itself after a key or a click does not acknowledge it.
const toleratesClose = (page) => {
  for (const name of ["press", "click"]) {
    const act = page[name];
    page[name] = (...args) => act.apply(page, args).catch((error) => { if (!page.isClosed()) throw error; });
  }
};

const mendScreenshots = (page) => {
  const { screenshot } = page;
  // Playwright hides the caret with a style sheet that violates the policy of the page.
  page.screenshot = (options) => screenshot.call(page, { caret: "initial", ...options });
};

const mendContext = (context) => {
  context.on("page", (page) => {
    toleratesClose(page);
    mendScreenshots(page);
  });
  return context;
};

// Starts Firefox. The channel makes Playwright use WebDriver BiDi, which an unmodified Firefox
// supports.
export async function launch() {
  const browser = await firefox.launch({
    executablePath: fileURLToPath(new URL("start", import.meta.url)),
    channel: "moz-firefox",
    args: ["-remote-allow-system-access"],
    firefoxUserPrefs: PREFERENCES,
  });
  const driver = implementationOf(browser);
  const session = driver._browserSession;
  driver.system = createSystem(session);
  await session.send("network.addDataCollector", { dataTypes: ["request"], maxEncodedDataSize: 1_000_000 });
  session.on("browsingContext.contextCreated", ({ context }) => {
    const page = driver._bidiPages.get(context);
    if (page) mendPage(page, driver.system);
  });
  const { newContext } = browser;
  browser.newContext = async (options) => mendContext(await newContext.call(browser, options));
  return browser;
}
