// Chromium, with helpers that use the Chrome DevTools Protocol.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // Tabs sleep and pages enter the back/forward cache, as in a user's browser.
    ignoreDefaultArgs: [
      "--disable-back-forward-cache",
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding",
    ],
    args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

// Returns the texts that a screen reader gets from a page.
export async function accessibleTexts(page) {
  const devtools = await page.context().newCDPSession(page);
  const { nodes } = await devtools.send("Accessibility.getFullAXTree");
  return nodes.filter(({ ignored }) => !ignored).flatMap(({ name, value }) => [name?.value, value?.value]);
}

// Returns the process that a page keeps busy. The browser may use one process for several tabs.
export async function processOf(page) {
  const devtools = await page.context().browser().newBrowserCDPSession();
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  const ticks = ({ id }) => {
    const fields = readFileSync(`/proc/${id}/stat`, "utf8").split(") ")[1].split(" ");
    return Number(fields[11]) + Number(fields[12]);
  };
  const renderers = processInfo.filter(({ type }) => type === "renderer");
  const before = renderers.map(ticks);
  await page.evaluate(() => { for (const end = performance.now() + 700; performance.now() < end;); });
  const used = renderers.map((renderer, n) => ticks(renderer) - before[n]);
  return renderers[used.indexOf(Math.max(...used))].id;
}

// Adds an authenticator that confirms each request at once, such as a fingerprint reader. Returns
// its functions.
export async function addAuthenticator(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  const send = (method, parameters) => devtools.send(`WebAuthn.${method}`, { authenticatorId, ...parameters });
  return {
    credentials: async () => (await send("getCredentials")).credentials,
    add: (credential) => send("addCredential", { credential }),
    clear: () => send("clearCredentials"),
    setUserVerified: (isUserVerified) => send("setUserVerified", { isUserVerified }),
  };
}
