// Runs in each page before its own scripts, reports its events to the test, and adds the page to
// the requests of its scripts. A test finds it as `window.__test`.
(() => {
  const { EventSource, Request, URL, WebSocket, fetch, setTimeout } = window; // tests replace some of them
  const beacon = (body) => location.protocol === "http:" && navigator.sendBeacon("/__test/event", body);
  const getTime = performance.now.bind(performance);
  window.name ||= `page-${Math.random()}`; // remains when the tab loads another page
  const id = window.name;
  const test = {
    id,
    pause: () => new Promise((resolve) => { setTimeout.call(window, resolve, 10); }),
    // A number that increases, even from one page of a tab to the next.
    now: () => performance.timeOrigin + getTime(),
    send: (type, detail) => beacon(JSON.stringify({ page: id, type, url: location.href, at: test.now(), ...detail })),
  };
  Object.defineProperty(window, "__test", { value: test });

  const reportError = ({ error, message, reason }) => test.send("pageerror", { text: String(error ?? reason ?? message) });
  addEventListener("error", reportError);
  addEventListener("unhandledrejection", reportError);
  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    test.send("console", { text: `Content Security Policy: ${violatedDirective} blocks ${blockedURI}` });
  });
  addEventListener("load", () => test.send("load"));
  for (const type of ["pageshow", "hashchange", "popstate"]) addEventListener(type, () => test.send("url"));
  test.send("url");

  window.fetch = function (input, init) {
    const request = new Request(input, init);
    if (new URL(request.url).origin === location.origin) request.headers.set("x-test-page", id);
    return fetch.call(this, request, { signal: init?.signal }); // WebKit may lose the signal of a request
  };
  const withPage = (url) => {
    const target = new URL(url, Reflect.get(Node.prototype, "baseURI", document)); // a page may shadow it
    target.searchParams.set("test-page", id);
    return target;
  };
  window.EventSource = class extends EventSource {
    constructor(url, options) { super(withPage(url), options); }
  };
  window.WebSocket = class extends WebSocket {
    constructor(url, protocols = []) { super(withPage(url), protocols); }
  };
})();
