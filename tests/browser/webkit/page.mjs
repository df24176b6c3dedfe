// A window of the browser, with the methods of Playwright's class that the tests use.
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { urlMatcher } from "./glob.mjs";
import { Keyboard, Mouse } from "./input.mjs";
import { Locator } from "./locator.mjs";
import { crop } from "./png.mjs";
import { poll, responseMatcher, waitForEvent } from "./wait.mjs";

export const AGENT = ["agent.js", "selectors.js", "clock.js", "media.js"]
  .map((name) => readFileSync(new URL(name, import.meta.url), "utf8")).join("");

const PAUSE = 10; // milliseconds, as in the agent

const toSource = (code, arg) => `(${code})(${JSON.stringify(arg) ?? ""})`;

export class Page extends EventEmitter {
  #context;
  #window;
  #url = { href: "about:blank", at: 0 };
  #isClosed = false;

  constructor(context, window) {
    super();
    this.setMaxListeners(0);
    this.#context = context;
    this.#window = window;
    this.routes = [];
    this.scripts = [];
    this.keyboard = new Keyboard(this);
    this.mouse = new Mouse(this);
    this.clock = context.clock;
  }

  get window() { return this.#window; }
  context() { return this.#context; }
  url() { return this.#url.href; }
  isClosed() { return this.#isClosed; }

  // Records the address that the page had at this time of its clock, unless a later one is known.
  setUrl(href, at) {
    if (at >= this.#url.at) this.#url = { href, at };
  }

  setClosed() {
    this.#isClosed = true;
    this.emit("close", this);
  }

  command(method, path, body) { return this.#context.driver.command(this.#window, method, path, body); }

  async act(actions) {
    await this.command("POST", "/actions", { actions });
    // The navigation that an action causes starts before the action ends, as in Playwright.
    await this.#pause().catch(() => {});
    await this.refreshUrl();
  }

  // Waits for the tasks of the page. Its timers do not run without JavaScript.
  #pause() { return this.#context.hasScripts ? this.evaluate(() => window.__test.pause()) : sleep(PAUSE); }

  // Reads the address from the browser: the agent does not run in every document.
  async refreshUrl() {
    if (this.#isClosed) return;
    const href = await this.command("GET", "/url").catch(() => this.url());
    this.#url = { href, at: this.#url.at };
  }

  // Runs statements that return a value, with the agent.
  async #run(statements) {
    const script = `
      if (!window.__test) return "no agent";
      const { id, now } = window.__test;
      const value = await (async () => { ${statements} })();
      return JSON.stringify({ id, url: location.href, at: now(), value });`;
    const send = () => this.command("POST", "/execute/sync", { script: `return (async () => {${script}})()`, args: [] });
    let result = await send();
    if (result === "no agent") {
      await this.command("POST", "/execute/sync", { script: AGENT, args: [] });
      result = await send();
    }
    const { id, url, at, value } = JSON.parse(result);
    this.#context.identify(this, id);
    this.setUrl(url, at);
    return value;
  }

  evaluate(code, arg) {
    if (typeof code === "string") return this.#run(`${code}\n`);
    return this.#run(`return ${toSource(code, arg)};`);
  }

  // Calls a function with the elements of an expression. With `isFirst`, the function gets the
  // first element, and the result contains the number of elements and the value of the function.
  evaluateWith(elements, use, arg, isFirst) {
    const value = `await (${use})(${isFirst ? "found[0]" : "found"}, ${JSON.stringify(arg)})`;
    return this.#run(`const found = ${elements}; return ${isFirst ? `[found.length, found.length ? ${value} : null]` : value};`);
  }

  async evaluateHandle(code) {
    await this.#run(`window.__test.handle = await ${toSource(code)};`);
    return { jsonValue: () => this.#run("return window.__test.handle;") };
  }

  async goto(url) {
    let last;
    const keep = (response) => { if (response.request().headers()["sec-fetch-dest"] === "document") last = response; };
    this.on("response", keep);
    try {
      this.isOpening = true;
      await this.command("POST", "/url", { url: new URL(url, this.#context.baseUrl).href });
    } finally {
      this.isOpening = false;
      this.off("response", keep);
    }
    await this.#loaded();
    return last;
  }

  async #loaded() {
    await this.evaluate(() => {});
    await this.refreshUrl();
  }

  async reload() { await this.command("POST", "/refresh"); await this.#loaded(); }
  async goBack() { await this.command("POST", "/back"); await this.#loaded(); }

  waitForURL(expected, options) {
    const matches = urlMatcher(expected);
    return poll(() => `the address is ${this.url()} and not ${expected}`, async () => {
      await this.refreshUrl();
      return matches(this.url());
    }, options);
  }

  waitForLoadState() {
    const isLoaded = () => location.href !== "about:blank" && document.readyState === "complete";
    return poll("the page does not load", () => this.evaluate(isLoaded));
  }

  waitForFunction(code, arg, options) {
    return poll(() => `${code}`, () => this.evaluate(code, arg).catch(() => false), options);
  }

  waitForEvent(name, options) {
    if (name === "popup" || name === "close") this.#context.watchWindows();
    return waitForEvent(this, name, undefined, options);
  }

  waitForResponse(expected, options) { return waitForEvent(this, "response", responseMatcher(expected), options); }
  async waitForTimeout(milliseconds) { await sleep(milliseconds); await this.refreshUrl(); }
  waitForSelector(selector, options) { return this.#first(selector).waitFor(options); }

  locator(selector, options) { return Locator.fromSelector(this, selector, options); }
  getByRole(role, options) { return new Locator(this, []).getByRole(role, options); }
  getByText(text) { return new Locator(this, []).getByText(text); }

  #first(selector) { return Locator.fromSelector(this, selector, {}, false); }
  click(selector) { return this.#first(selector).click(); }
  fill(selector, text) { return this.#first(selector).fill(text); }
  focus(selector) { return this.#first(selector).focus(); }
  press(selector, key) { return this.#first(selector).press(key); }
  getAttribute(selector, name) { return this.#first(selector).getAttribute(name); }
  innerText(selector) { return this.#first(selector).innerText(); }
  inputValue(selector) { return this.#first(selector).inputValue(); }
  selectOption(selector, label) { return this.#first(selector).selectOption(label); }
  textContent(selector) { return this.#first(selector).textContent(); }
  content() { return this.evaluate(() => document.documentElement.outerHTML); }
  title() { return this.evaluate(() => document.title); }

  async route(pattern, handler) { this.routes.unshift({ pattern, matches: urlMatcher(pattern), handler }); }
  async unroute(pattern) { this.routes = this.routes.filter((route) => String(route.pattern) !== String(pattern)); }

  async addInitScript(code, arg) { this.scripts.push(toSource(code, arg)); }
  exposeFunction(name, use) { return this.#context.exposeBinding(name, (source, ...args) => use(...args)); }

  async setViewportSize({ width, height }) {
    const size = { width, height };
    await poll("the window does not get its size", async () => {
      await this.command("POST", "/window/rect", size);
      await this.#pause();
      const inner = await this.evaluate(() => ({ width: innerWidth, height: innerHeight }));
      if (inner.width === width && inner.height === height) return true;
      // The rest of the window has a size, too. A resize takes effect later on a busy machine.
      const outer = await this.command("GET", "/window/rect");
      for (const side of ["width", "height"]) size[side] = { width, height }[side] + outer[side] - inner[side];
    });
  }

  emulateMedia(choice) { return this.evaluate((chosen) => window.__test.setMedia(chosen), choice); }

  // Returns an image, or the pixels of a part of it.
  async screenshot({ clip } = {}) {
    const image = Buffer.from(await this.command("GET", "/screenshot"), "base64");
    return clip ? crop(image, clip) : image;
  }

  bringToFront() { return this.command("GET", "/url"); }
  async close() {
    await this.command("DELETE", "/window");
    this.setClosed();
  }
}
