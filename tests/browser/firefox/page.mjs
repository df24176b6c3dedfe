// Adds functions to Firefox pages that Playwright has not implemented over WebDriver BiDi.

// Error for a lost WebSocket or event stream. Chromium reports it only on the console.
const LOST_CONNECTION = /^(Firefox can’t establish a connection to the server at|The connection to) (http|ws)\S+( was interrupted while the page was loading)?\.$/;

// Sets properties of the page's browsing context, such as its color scheme.
const setProperties = (system, id, properties) =>
  system((values, context) => { Object.assign(context, values); }, properties, id);

// Resolves when the process of the page has crashed.
const waitForCrash = (system, id) => system((_, { embedderElement }) => new Promise((resolve) => {
  embedderElement.addEventListener("oop-browser-crashed", () => resolve(), { once: true });
}), null, id);

const mediaProperties = ({ media, colorScheme, reducedMotion, forcedColors }) => ({
  mediumOverride: media === "no-override" ? "" : media,
  prefersColorSchemeOverride: colorScheme === "no-override" ? "none" : colorScheme,
  prefersReducedMotionOverride: { reduce: "reduce" }[reducedMotion] ?? "none",
  forcedColorsOverride: { active: "active" }[forcedColors] ?? "none",
});

const readBody = async (session, request) => {
  const { bytes } = await session.send("network.getData", { request, dataType: "request" });
  return Buffer.from(bytes.value, bytes.type === "base64" ? "base64" : "utf8");
};

// Reads the body of a request before the test gets the request. The body of a form is available
// only if a route holds the request, because a navigation does not wait.
const addBodies = ({ _session: session, _networkManager: network, _page: { frameManager } }) => {
  const bodies = new WeakMap();
  const { requestStarted } = frameManager;
  frameManager.requestStarted = async (request, route) => {
    if (request.method() === "POST" && (route || !request.isNavigationRequest())) {
      const [id] = [...network._requests].find(([, { request: own }]) => own === request);
      bodies.set(request, readBody(session, id).catch(() => null));
      request._postData = await bodies.get(request);
    }
    requestStarted.call(frameManager, request, route);
  };
  // The events of a request must stay in order.
  for (const [name, requestOf] of [
    ["requestReceivedResponse", (response) => response.request()],
    ["reportRequestFinished", (request) => request],
    ["requestFailed", (request) => request],
  ]) {
    const report = frameManager[name];
    frameManager[name] = async (subject, ...rest) => {
      const body = bodies.get(requestOf(subject));
      if (body) await body;
      report.call(frameManager, subject, ...rest);
    };
  }
};

const isWebSocket = ({ name, value }) => /^sec-fetch-mode$/i.test(name) && value.value === "websocket";

const reportWebSockets = ({ _session: session, _page: { frameManager } }) => {
  session.on("network.beforeRequestSent", ({ request: { request: id, url, headers }, timestamp }) => {
    if (!headers.some(isWebSocket)) return;
    frameManager.onWebSocketCreated(id, url.replace("http", "ws"));
    frameManager.onWebSocketRequest(id, { headers: [], wallTimeMs: timestamp });
  });
};

const ignoreLostConnections = (page) => {
  const { addPageError } = page;
  page.addPageError = (error, location) => {
    if (!LOST_CONNECTION.test(error.stack.split("\n")[0])) addPageError.call(page, error, location);
  };
};

const tap = (session, x, y) => session.send("input.performActions", {
  context: session.sessionId,
  actions: [{
    type: "pointer",
    id: "finger",
    parameters: { pointerType: "touch" },
    actions: [
      { type: "pointerMove", x: Math.round(x), y: Math.round(y) },
      { type: "pointerDown", button: 0 },
      { type: "pointerUp", button: 0 },
    ],
  }],
});

// Adds these functions to a page of Playwright's driver.
export function mendPage(driver, system) {
  const { _page: page, _session: session, _browserContext: { _options: options } } = driver;
  const set = (properties) => setProperties(system, session.sessionId, properties);
  driver.updateEmulateMedia = () => set(mediaProperties(page.emulatedMedia()));
  // The style sheet that a screenshot would add violates the policy of the page.
  driver.shouldToggleStyleSheetToSyncAnimations = () => false;
  waitForCrash(system, session.sessionId).then(() => page._didCrash()).catch(() => {}); // it was closed
  const { bringToFront } = driver;
  driver.bringToFront = async () => {
    await bringToFront.call(driver);
    // A button of the browser may have the focus.
    await system((_, { embedderElement }) => { embedderElement.focus(); }, null, session.sessionId);
  };
  driver.rawTouchscreen.tap = (progress, x, y) => tap(session, x, y);
  addBodies(driver);
  reportWebSockets(driver);
  ignoreLostConnections(page);
  const { reportAsNew } = page;
  page.reportAsNew = async (...args) => {
    await set({
      ...mediaProperties(page.emulatedMedia()),
      allowJavascript: options.javaScriptEnabled !== false,
    }).catch(() => {}); // the page has been closed
    reportAsNew.apply(page, args);
  };
}
