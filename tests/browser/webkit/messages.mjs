// Requests, responses and routes, with the methods of Playwright's classes.
import { request as send } from "node:http";

const NOT_FORWARDED = /^(connection|proxy-connection|keep-alive|transfer-encoding|content-length|x-test-page)$/i;

const toPairs = (raw) => Array.from({ length: raw.length / 2 }, (_, n) => [raw[2 * n].toLowerCase(), raw[2 * n + 1]])
  .filter(([name]) => !NOT_FORWARDED.test(name));

// Headers by name. Values of the same name are joined with newlines.
const toObject = (pairs) => {
  const all = {};
  for (const [name, value] of pairs) all[name] = name in all ? `${all[name]}\n${value}` : value;
  return all;
};

const fromObject = (headers) => Object.entries(headers)
  .filter(([name]) => !NOT_FORWARDED.test(name))
  .flatMap(([name, value]) => String(value).split("\n").map((one) => [name.toLowerCase(), one]));

export async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export class Request {
  #body;

  constructor({ method, url, rawHeaders, body }) {
    this.pairs = toPairs(rawHeaders);
    this.#body = body;
    this.method = () => method;
    this.url = () => url;
  }

  headers() { return toObject(this.pairs); }
  async allHeaders() { return this.headers(); }
  postData() { return this.#body.length ? String(this.#body) : null; }

  // Sends the request to the site.
  forward() {
    const { hostname, port, pathname, search } = new URL(this.url());
    const headers = [...this.pairs.filter(([name]) => name !== "accept-encoding"), ["connection", "close"]];
    if (this.#body.length) headers.push(["content-length", this.#body.length]);
    return new Promise((resolve, reject) => {
      const options = { hostname, port, path: pathname + search, method: this.method() };
      send({ ...options, headers: headers.flat().map(String) }, resolve).on("error", reject).end(this.#body);
    });
  }
}

export class Response {
  // `body` is a buffer or a promise of one.
  constructor({ request, status, pairs, body }) {
    this.pairs = pairs;
    this.body = async () => body;
    this.request = () => request;
    this.url = () => request.url();
    this.status = () => status;
    this.ok = () => status >= 200 && status < 300;
  }

  static async receive(request) {
    const message = await request.forward();
    const { statusCode: status, rawHeaders } = message;
    return new Response({ request, status, pairs: toPairs(rawHeaders), body: await readAll(message) });
  }

  static fromStream(request, { statusCode: status, rawHeaders }, body) {
    return new Response({ request, status, pairs: toPairs(rawHeaders), body });
  }

  headers() { return toObject(this.pairs); }
  async text() { return String(await this.body()); }
  async json() { return JSON.parse(await this.text()); }
}

// The decision of a test about a request.
export class Route {
  #request;
  #decide;

  constructor(request, decide) {
    this.#request = request;
    this.#decide = decide;
  }

  request() { return this.#request; }
  async abort() { this.#decide("abort"); }
  async continue() { this.#decide("continue"); }
  async fallback() { this.#decide("fallback"); }

  // Requests the response from the site. Redirects are not followed.
  fetch() { return Response.receive(this.#request); }

  async fulfill({ response, status = response?.status() ?? 200, headers, contentType, json, body }) {
    const pairs = headers ? fromObject(headers) : (response?.pairs ?? []);
    const type = contentType ?? (json && "application/json");
    if (type) pairs.push(["content-type", type]);
    const content = json ? JSON.stringify(json) : (body ?? (await response?.body()) ?? "");
    this.#decide(new Response({ request: this.#request, status, pairs, body: Buffer.from(content) }));
  }
}
