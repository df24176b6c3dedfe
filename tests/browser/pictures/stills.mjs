// The four stills of the README.
import { signInElsewhere } from "../pages.mjs";
import { LOGIN_WITH_RETURN, inPageTime, signIn, startSite } from "../site.mjs";

const DESKTOP = { width: 880, height: 650 };
const PHONE = { width: 360, height: 700 };

const picture = (page) => page.screenshot({ animations: "disabled" });

const openPage = (browser, site, options) =>
  browser.newPage({ baseURL: site.address, viewport: DESKTOP, deviceScaleFactor: 2, reducedMotion: "reduce", ...options });

// The warning over the dashboard, in dark colours.
async function warning(browser, site) {
  const page = await openPage(browser, site, { colorScheme: "dark" });
  const server = await inPageTime(page, { idle: 600, warn: 120 });
  await signIn(page);
  await server.stopTime();
  await server.pass(600 - 42 - server.now);
  return picture(page);
}

// The devices page of a user with three sessions, and past sessions with different end reasons.
async function devices(browser, site) {
  await signInElsewhere(site, "bob", 1);
  for (const number of [2, 0, 1]) await signInElsewhere(site, "bob", number);
  const page = await openPage(browser, site);
  await signIn(page, "bob");
  await page.goto("/devices");
  return picture(page);
}

// The login page with the reason of an eviction.
async function reason(browser, site) {
  const page = await openPage(browser, site);
  await signIn(page);
  for (const number of [0, 1, 2]) await signInElsewhere(site, "alice", number);
  await page.waitForURL(LOGIN_WITH_RETURN);
  return picture(page);
}

// Phones with the site in Arabic and in German.
async function languages(browser, site, stage) {
  const phones = [];
  for (const [locale, path] of [["ar", "/dashboard"], ["de", "/settings"]]) {
    const page = await openPage(browser, site, { viewport: PHONE, locale });
    await signIn(page);
    await page.goto(path);
    phones.push(`data:image/png;base64,${(await picture(page)).toString("base64")}`);
  }
  await stage.evaluate((sources) => globalThis.showPhones(sources), phones);
  return picture(stage);
}

// Returns name → picture.
export async function takeStills(browser, openStage) {
  const site = await startSite("--registry", "memory");
  try {
    return {
      warning: await warning(browser, site),
      devices: await devices(browser, site),
      reason: await reason(browser, site),
      languages: await languages(browser, site, await openStage(browser, DESKTOP)),
    };
  } finally {
    site.stop();
  }
}
