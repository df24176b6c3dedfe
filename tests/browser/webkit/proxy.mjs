// HTTP proxy between a browser context and the sites: it applies the routes of the tests,
// reports requests, and adds the agent to each page.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { Request, Response, Route, readAll } from "./messages.mjs";

const AGENT = "/__test/agent.js";
const EVENT = "/__test/event";
// The browser would repeat a failed request if it had used the connection before.
const CLOSE = ["connection", "close"];
const PAGE_PARAMETER = /[?&]test-page=([^&]*)/;

const isHtml = (response) => /^text\/html/.test(response.headers()["content-type"]);

// The agent is the first script of a page.
const addAgent = (html) => {
  const tag = `<script src="${AGENT}"></script>`;
  const start = /<head[^>]*>/i.test(html) ? /<head[^>]*>/i : /^(\s*<!doctype[^>]*>)?/i;
  return html.replace(start, (match) => match + tag);
};

// The agent adds the page to the requests of its scripts.
const splitPage = (request) => {
  const url = request.url.replace(PAGE_PARAMETER, "");
  return [url, request.headers["x-test-page"] ?? PAGE_PARAMETER.exec(request.url)?.[1]];
};

// Calls the routes of a test, the newest first. Returns a response, "abort" or "continue".
async function decide(request, handlers) {
  for (const handler of handlers) {
    const decision = await new Promise((resolve, reject) => {
      Promise.resolve(handler(new Route(request, resolve))).catch(reject);
    });
    if (decision !== "fallback") return decision;
  }
  return "continue";
}

export class Proxy {
  #server;
  #context;
  #sockets = new Set();

  static async start(context) {
    const proxy = new Proxy();
    proxy.#context = context;
    proxy.#server = createServer((request, response) => {
      proxy.#handle(request, response).catch(() => response.destroy());
    });
    proxy.#server.on("upgrade", (request, socket, head) => proxy.#upgrade(request, socket, head));
    proxy.#server.on("connection", (socket) => {
      proxy.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => proxy.#sockets.delete(socket));
    });
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get address() { return `127.0.0.1:${this.#server.address().port}`; }

  stop() {
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
  }

  async #handle(incoming, outgoing) {
    const [url, id] = splitPage(incoming);
    const body = await readAll(incoming);
    const { pathname } = new URL(url);
    if (pathname === EVENT) {
      outgoing.writeHead(204, CLOSE).end();
      return this.#context.receive(JSON.parse(body));
    }
    const request = new Request({ method: incoming.method, url, rawHeaders: incoming.rawHeaders, body });
    const page = this.#context.pageOf(request, id);
    if (pathname === AGENT) {
      outgoing.writeHead(200, ["content-type", "text/javascript", ...CLOSE]);
      return outgoing.end(this.#context.agent(page));
    }
    if (pathname === "/favicon.ico") return outgoing.writeHead(404, CLOSE).end();
    if (this.#context.isOffline) return outgoing.destroy();
    this.#context.report(page, "request", request);
    const decision = await decide(request, this.#context.routesOf(page, url));
    if (decision === "abort") return outgoing.destroy();
    if (decision !== "continue") return this.#respond(page, outgoing, decision);
    return this.#forward(page, request, outgoing);
  }

  async #forward(page, request, outgoing) {
    const message = await request.forward();
    const isStream = /event-stream/.test(message.headers["content-type"]);
    const body = isStream ? undefined : await readAll(message);
    const response = Response.fromStream(request, message, body);
    if (!isStream) return this.#respond(page, outgoing, response);
    outgoing.on("close", () => message.destroy());
    message.on("error", () => outgoing.destroy()).on("aborted", () => outgoing.destroy());
    outgoing.writeHead(response.status(), [...response.pairs, CLOSE].flat());
    outgoing.flushHeaders();
    message.pipe(outgoing);
    this.#context.report(page, "response", response);
  }

  async #respond(page, outgoing, response) {
    let body = await response.body();
    let pairs = response.pairs;
    if (isHtml(response) && this.#context.hasScripts) body = Buffer.from(addAgent(String(body)));
    // Tests may replace these later, so the browser must not store them.
    else pairs = [...pairs.filter(([name]) => name !== "cache-control"), ["cache-control", "no-store"]];
    const hasBody = response.request().method() !== "HEAD" && response.status() !== 204 && response.status() !== 304;
    const headers = hasBody ? [...pairs, ["content-length", String(body.length)]] : pairs;
    outgoing.writeHead(response.status(), [...headers, CLOSE].flat());
    outgoing.end(hasBody ? body : undefined);
    await once(outgoing, "close");
    this.#context.report(page, "response", response);
  }

  #upgrade(incoming, socket, head) {
    const [url, id] = splitPage(incoming);
    if (this.#context.isOffline) return socket.destroy();
    const { hostname, port, pathname, search } = new URL(url);
    const request = new Request({ method: "GET", url, rawHeaders: incoming.rawHeaders, body: Buffer.alloc(0) });
    this.#context.report(this.#context.pageOf(request, id), "websocket", request);
    const lines = [`GET ${pathname}${search} HTTP/1.1`, "connection: Upgrade", ...request.pairs.map((pair) => pair.join(": "))];
    const site = connect(port, hostname, () => {
      site.write(`${lines.join("\r\n")}\r\n\r\n`);
      site.write(head);
      site.pipe(socket).pipe(site);
    });
    site.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.on("close", () => site.destroy());
  }
}
