// WebKitGTK's MiniBrowser, with the methods of Playwright's classes that the tests use.
import { Context } from "./context.mjs";
import { startDisplay } from "./display.mjs";

export { processOf } from "./processes.mjs";

class Browser {
  #display;
  #contexts = new Set();

  constructor(display) { this.#display = display; }

  async newContext(options = {}) {
    const context = await Context.start(this, this.#display.env, options);
    this.#contexts.add(context);
    return context;
  }

  contexts() { return [...this.#contexts]; }
  remove(context) { this.#contexts.delete(context); }

  async close() {
    await Promise.all(this.contexts().map((context) => context.close()));
    this.#display.stop();
  }
}

export const launch = async () => new Browser(await startDisplay());
