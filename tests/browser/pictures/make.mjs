// Makes the pictures of the README from the running site: `node tests/browser/pictures/make.mjs`.
// The animation plays once. Readers who prefer reduced motion get its last frame.
import { startBrowser } from "../engine.mjs";
import { startSite } from "../site.mjs";
import { STAGE, record } from "./animation.mjs";
import { takeStills } from "./stills.mjs";
import { installEncoders, useFonts, writeAnimation, writePicture } from "./tools.mjs";

const FOLDER = new URL("../../../example-site/screenshots/", import.meta.url).pathname;

const openStage = async (browser, viewport) => {
  const page = await browser.newPage({ viewport, deviceScaleFactor: 2 });
  await page.goto(new URL("stage.html", import.meta.url).href);
  return page;
};

async function makeAnimation(browser) {
  const site = await startSite("--registry", "memory", "--max-sessions", "1", "--warn", "1m");
  try {
    const frames = await record(browser, site, await openStage(browser, STAGE));
    writeAnimation(`${FOLDER}session.webp`, frames);
    writePicture(`${FOLDER}session-still.webp`, frames.at(-1).picture);
  } finally {
    site.stop();
  }
}

installEncoders();
useFonts();
const browser = await startBrowser();
try {
  for (const [name, picture] of Object.entries(await takeStills(browser, openStage))) writePicture(`${FOLDER}${name}.webp`, picture);
  await makeAnimation(browser);
} finally {
  await browser.close();
}
