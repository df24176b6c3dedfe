// Client of WebKitWebDriver (W3C WebDriver): one process with one session.
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startChild } from "../children.mjs";

const START_LIMIT = 20_000; // milliseconds

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

export class Driver {
  #address;
  #process;
  #session;
  #window;
  #last = Promise.resolve();

  // Starts a browser with these capabilities.
  static async start(env, capabilities) {
    const driver = new Driver();
    const port = await freePort();
    driver.#address = `http://127.0.0.1:${port}`;
    driver.#process = startChild("WebKitWebDriver", [`--port=${port}`], { env, stdio: "ignore" });
    await driver.#waitUntilReady();
    const { sessionId } = await driver.#request("POST", "/session", { capabilities: { alwaysMatch: capabilities } });
    driver.#session = `/session/${sessionId}`;
    driver.#window = await driver.send("GET", "/window");
    return driver;
  }

  async #waitUntilReady() {
    for (const end = Date.now() + START_LIMIT; ; await sleep(10)) {
      try {
        return await this.#request("GET", "/status");
      } catch (error) {
        if (Date.now() > end) throw new Error("WebKitWebDriver did not start", { cause: error });
      }
    }
  }

  async #request(method, path, body) {
    const options = method === "POST" ? { body: JSON.stringify(body ?? {}) } : {};
    const response = await fetch(this.#address + path, { method, ...options });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
    return value;
  }

  // The handle of the window that is open from the start.
  get firstWindow() { return this.#window; }

  // Sends a command of the session. Only a task of `exclusive` may call this.
  send(method, path, body) { return this.#request(method, this.#session + path, body); }

  // Runs a task after all earlier tasks.
  exclusive(task) {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }

  // Sends a command to a window.
  command(window, method, path, body) {
    return this.exclusive(async () => {
      if (this.#window !== window) {
        await this.send("POST", "/window", { handle: window });
        this.#window = window;
      }
      return this.send(method, path, body);
    });
  }

  async stop() {
    await Promise.race([this.#request("DELETE", this.#session).catch(() => {}), sleep(2000, null, { ref: false })]);
    this.#process.kill("SIGKILL");
  }
}
