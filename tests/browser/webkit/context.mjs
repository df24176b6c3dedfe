// A browser context: one browser with its own cookies and its own proxy.
import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Clock } from "./clock.mjs";
import { Driver } from "./driver.mjs";
import { readOptions, toEnvironment } from "./options.mjs";
import { AGENT, Page } from "./page.mjs";
import { Proxy } from "./proxy.mjs";

const BROWSER = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";

const expose = (name) => {
  window[name] = (...args) => { window.__test.send("call", { name, args }); };
};

export class Context extends EventEmitter {
  #browser;
  #proxy;
  #pages = [];
  #ids = new Map();
  #scripts = [];
  #bindings = new Map();
  #cookies = []; // for the first page
  #viewport;
  #isWatching = false;
  #isClosed = false;

  static async start(browser, env, given) {
    const options = readOptions(given);
    const context = new Context();
    context.setMaxListeners(0);
    context.#browser = browser;
    context.baseUrl = options.baseURL;
    context.hasScripts = options.javaScriptEnabled;
    context.#viewport = options.viewport;
    context.isOffline = false;
    context.clock = new Clock(context);
    context.#proxy = await Proxy.start(context);
    context.driver = await Driver.start(toEnvironment(options, env), {
      timeouts: { script: null, pageLoad: 60_000 }, // script timeouts would use the page's clock
      proxy: { proxyType: "manual", httpProxy: context.#proxy.address },
      "webkitgtk:browserOptions": {
        binary: BROWSER,
        args: [
          "--automation",
          "--javascript-can-open-windows-automatically=true",
          `--enable-javascript=${options.javaScriptEnabled}`,
        ],
      },
    });
    return context;
  }

  browser() { return this.#browser; }
  pages() { return this.#pages; }

  async newPage() {
    const page = await this.driver.exclusive(async () => {
      if (this.#pages.length === 0) return this.#add(this.driver.firstWindow);
      const { handle } = await this.driver.send("POST", "/window/new", { type: "window" });
      return this.#add(handle);
    });
    if (this.#viewport) await page.setViewportSize(this.#viewport);
    await this.#storeCookies(page);
    return page;
  }

  #add(window) {
    const page = new Page(this, window);
    this.#pages.push(page);
    return page;
  }

  // Tracks the windows that the pages open and close.
  async watchWindows() {
    if (this.#isWatching) return;
    this.#isWatching = true;
    for (; !this.#isClosed; await sleep(50)) await this.#lookAtWindows().catch(() => {});
  }

  async #lookAtWindows() {
    const opened = await this.driver.exclusive(async () => {
      const handles = await this.driver.send("GET", "/window/handles");
      for (const page of this.#pages.filter(({ window }) => !handles.includes(window))) this.#remove(page);
      const known = this.#pages.map(({ window }) => window);
      return handles.filter((handle) => !known.includes(handle)).map((handle) => this.#add(handle));
    });
    for (const popup of opened) {
      await popup.evaluate(() => {});
      this.#pages.filter((page) => page !== popup).forEach((page) => page.emit("popup", popup));
    }
  }

  #remove(page) {
    this.#pages = this.#pages.filter((other) => other !== page);
    page.setClosed();
  }

  // Records the name that the agent has given to a page.
  identify(page, id) { this.#ids.set(id, page); }

  // Returns the page that has sent a request. A tab that a test opens has no name yet.
  pageOf(request, id) {
    const referer = request.headers().referer;
    const pages = this.#pages;
    return this.#ids.get(id)
      ?? (pages.length === 1 ? pages[0] : undefined)
      ?? (request.headers()["sec-fetch-dest"] === "document" ? pages.find(({ isOpening }) => isOpening) : undefined)
      ?? pages.findLast((page) => page.url() === referer)
      ?? pages.at(-1);
  }

  // The scripts of a new document.
  agent(page) {
    const { values } = this.clock;
    const scripts = [...this.#scripts, ...page.scripts];
    const clock = values ? `window.__test.installClock(${JSON.stringify(values)});` : "";
    return `${AGENT}${clock}\n${scripts.join(";\n")};\ndocument.currentScript.remove();`;
  }

  routesOf(page, url) { return page.routes.filter(({ matches }) => matches(url)).map(({ handler }) => handler); }

  report(page, name, message) {
    page?.emit(name, message);
    this.emit(name, message);
  }

  // Handles an event from the agent.
  receive({ page: id, type, url, at, name, args, text }) {
    const page = this.#ids.get(id) ?? (this.#pages.length === 1 ? this.#pages[0] : undefined);
    if (type === "call") return this.#bindings.get(name)?.({ page }, ...args);
    page?.setUrl(url, at);
    if (type === "pageerror") page?.emit("pageerror", text);
    if (type === "console") page?.emit("console", { text: () => text });
    if (type === "load") page?.emit("load");
  }

  async addInitScript(code, arg) { this.#scripts.push(`(${code})(${JSON.stringify(arg) ?? ""})`); }

  async exposeBinding(name, use) {
    this.#bindings.set(name, use);
    await this.addInitScript(expose, name);
    await this.inPages(expose, name);
  }

  // Calls a function in all pages. Skips a page that the browser is leaving.
  async inPages(code, arg) {
    await Promise.all(this.#pages.map((page) => page.evaluate(code, arg).catch(() => {})));
  }

  async cookies() { return this.#pages[0]?.command("GET", "/cookie") ?? this.#cookies; }

  // Deletes the cookies of the first page's site.
  clearCookies() { return this.#pages[0].command("DELETE", "/cookie"); }

  // Sets cookies. The driver needs a page for this.
  async addCookies(cookies) {
    this.#cookies.push(...cookies);
    if (this.#pages.length) await this.#storeCookies(this.#pages[0]);
  }

  async #storeCookies(page) {
    for (const { url, ...cookie } of this.#cookies.splice(0)) {
      if (url) Object.assign(cookie, { domain: new URL(url).hostname, path: "/" });
      await page.command("POST", "/cookie", { cookie });
    }
  }

  // Requests that no page sends. The browser does not store their cookies.
  get request() {
    return {
      post: async (path, { headers }) => {
        const cookie = (await this.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
        return fetch(new URL(path, this.baseUrl), { method: "POST", redirect: "manual", headers: { ...headers, cookie } });
      },
    };
  }

  async newCDPSession() { throw new Error("WebKitGTK has no DevTools protocol"); }

  async setOffline(isOffline) { this.isOffline = isOffline; }

  async close() {
    this.#isClosed = true;
    this.#browser.remove(this);
    await this.driver.stop();
    this.#proxy.stop();
  }
}
