// The animation of the README: sign-in, countdown, warning, and eviction by another device.
import { IPHONE } from "../pages.mjs";
import { LOGIN_WITH_RETURN, inPageTime, settle } from "../site.mjs";

// Time in milliseconds between the frames of a movement.
const STEP = 100;
const DESKTOP = { width: 960, height: 580 };
const PHONE = { width: 340, height: 640 };
// Position of the page on the stage.
const ORIGIN = { x: 20, y: 60 };
export const STAGE = { width: 1000, height: 700 };

const source = (picture) => `data:image/png;base64,${picture.toString("base64")}`;

// Records the stage, on which a window and a phone show pages of the site.
class Film {
  frames = [];
  cursor = { x: 700, y: 560 };

  constructor(stage, desktop, phone) {
    Object.assign(this, { stage, desktop, phone });
  }

  // Adds a frame of this duration in milliseconds.
  async add(duration, parts = {}) {
    await this.stage.evaluate((state) => globalThis.show(state), parts);
    this.frames.push({ picture: await this.stage.screenshot(), duration });
  }

  static picture(page) {
    return page.screenshot({ animations: "disabled" });
  }

  async desktopParts() {
    const { pathname, search } = new URL(this.desktop.url());
    return { desktop: source(await Film.picture(this.desktop)), address: `example.com${pathname}${decodeURIComponent(search)}` };
  }

  async phoneParts() {
    return { phone: source(await Film.picture(this.phone)) };
  }

  async addDesktop(duration, parts) {
    await this.add(duration, { ...(await this.desktopParts()), ...parts });
  }

  async addPhone(duration, parts) {
    await this.add(duration, { ...(await this.phoneParts()), ...parts });
  }

  async type(page, selector, text, addFrame) {
    for (const letter of text) {
      await page.locator(selector).pressSequentially(letter);
      await addFrame(STEP);
    }
  }

  // Moves the cursor to an element of the desktop page.
  async moveTo(locator) {
    const box = await locator.boundingBox();
    const target = { x: ORIGIN.x + box.x + box.width * 0.6, y: ORIGIN.y + box.y + box.height * 0.6 };
    const start = this.cursor;
    for (let step = 1; step <= 7; step += 1) {
      const part = 0.5 - Math.cos((Math.PI * step) / 7) / 2;
      this.cursor = { x: Math.round(start.x + (target.x - start.x) * part), y: Math.round(start.y + (target.y - start.y) * part) };
      await this.add(STEP, { cursor: this.cursor });
    }
  }

  async press() {
    await this.add(2 * STEP, { press: this.cursor });
  }
}

async function signInOnDesktop(film, server) {
  const { desktop } = film;
  await desktop.goto("/login");
  await film.addDesktop(2000, { caption: "A user signs in.", cursor: film.cursor });
  await film.type(desktop, "[name=username]", "alice", (duration) => film.addDesktop(duration));
  await desktop.press("[name=username]", "Tab");
  await film.type(desktop, "[name=password]", "alice", (duration) => film.addDesktop(duration));
  const button = desktop.locator("main form button").last();
  await film.moveTo(button);
  await film.press();
  await server.stopTime();
  await Promise.all([desktop.waitForURL("**/dashboard"), button.click()]);
}

async function showCountdown(film, server) {
  await film.addDesktop(1600, { caption: "The session has two limits: inactivity and total time.", press: null });
  for (let second = 0; second < 3; second += 1) {
    await server.pass(1);
    await film.addDesktop(1000);
  }
  await film.add(400, { cursor: null, caption: "Minutes pass without activity …" });
  // The last step ends two seconds before the warning.
  const left = server.seen + 600 - 60 - 2 - server.now;
  for (let step = 0; step < 18; step += 1) {
    await server.pass(Math.floor(left / 18) + (step < left % 18 ? 1 : 0));
    await film.addDesktop(STEP);
  }
}

async function stay(film, server) {
  await server.pass(2);
  await film.addDesktop(1400, { caption: "The page warns in time, in sync with the server." });
  for (let second = 0; second < 4; second += 1) {
    await server.pass(1);
    await film.addDesktop(1000);
  }
  const button = film.desktop.getByRole("button", { name: "Stay signed in" });
  film.cursor = { x: 760, y: 600 };
  await film.moveTo(button);
  await film.press();
  await button.click();
  await settle(film.desktop);
  await film.addDesktop(1400, { caption: "The user stays. The countdown restarts.", press: null });
  await server.pass(1);
  await film.addDesktop(1000);
}

async function signInOnPhone(film) {
  const { phone } = film;
  await phone.goto("/login");
  await film.addPhone(STEP, { phoneOffset: 400, cursor: null, caption: "Now the user signs in on a phone. The limit is one session." });
  for (const phoneOffset of [300, 200, 110, 45, 10, 0]) await film.add(STEP, { phoneOffset });
  await film.add(900);
  await film.type(phone, "[name=username]", "alice", (duration) => film.addPhone(duration));
  await phone.press("[name=username]", "Tab");
  await film.type(phone, "[name=password]", "alice", (duration) => film.addPhone(duration));
  await Promise.all([phone.waitForURL("**/dashboard"), phone.press("[name=password]", "Enter")]);
}

async function beEvicted(film) {
  await film.desktop.waitForURL(LOGIN_WITH_RETURN);
  await film.addPhone(300);
  await film.addDesktop(7700, { caption: "The open page leaves at once, and the login page says why." });
}

// Returns the frames.
export async function record(browser, site, stage) {
  const [desktop, phone] = await Promise.all([
    browser.newPage({ baseURL: site.address, viewport: DESKTOP, deviceScaleFactor: 2, reducedMotion: "reduce" }),
    browser.newPage({ baseURL: site.address, viewport: PHONE, deviceScaleFactor: 2, userAgent: IPHONE, reducedMotion: "reduce" }),
  ]);
  const server = await inPageTime(desktop, { idle: 600, warn: 60 });
  const film = new Film(stage, desktop, phone);
  await signInOnDesktop(film, server);
  await showCountdown(film, server);
  await stay(film, server);
  // From here on the page receives the events of the real server.
  await desktop.unrouteAll();
  await desktop.clock.resume();
  await Promise.all([desktop.waitForResponse("**/session/events?*"), desktop.goto("/dashboard")]);
  await signInOnPhone(film);
  await beEvicted(film);
  return film.frames;
}
