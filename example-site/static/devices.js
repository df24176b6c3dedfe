// Updates the lists of the devices page after a login or an end elsewhere.
//
// With live pages, the server notifies the script of the warning dialog when a session of the user
// changes. That script dispatches `session-expire:active`. The request for the lists is passive.
(() => {
  "use strict";
  const lists = document.querySelector("[data-lists]");
  const news = document.querySelector("[data-news]");
  const INTERVAL = 1000; // shortest time between two requests, in milliseconds
  const TIMEOUT = 10_000; // of a request, in milliseconds
  let requestedAt = -Infinity;
  // Other scripts change the lists, for example their times.
  let shown = lists.innerHTML.trim();
  let timer, isLoading;
  let isStale; // a change has arrived during the request

  const isCovered = () => document.documentElement.hasAttribute("data-session-over");

  // Returns the sessions with their end reasons, but without times: they change without an event.
  const sessions = () =>
    [...lists.querySelectorAll("[data-session]")]
      .map(({ dataset }) => `${dataset.session} ${dataset.endedReason ?? ""}`)
      .join();

  // Returns a function that restores the focus after the lists are replaced.
  const keepFocus = () => {
    const { activeElement } = document;
    if (!lists.contains(activeElement)) return () => {};
    const target = (element) => element.form?.getAttribute("action") ?? element.getAttribute("href");
    const focused = target(activeElement);
    return () => {
      const same = [...lists.querySelectorAll("button, a")].find((e) => target(e) === focused);
      (same ?? lists.querySelector("h2")).focus({ preventScroll: true });
    };
  };

  const replace = (html) => {
    const parsed = new DOMParser().parseFromString(html, "text/html");
    const received = parsed.body.innerHTML.trim();
    if (received === shown) return;
    shown = received;
    const before = sessions();
    const restoreFocus = keepFocus();
    lists.replaceChildren(...parsed.body.childNodes);
    restoreFocus();
    if (sessions() !== before) news.textContent = news.dataset.news;
  };

  const request = async () => {
    const aborter = new AbortController();
    setTimeout(() => aborter.abort(), TIMEOUT);
    const options = { cache: "no-store", signal: aborter.signal };
    try {
      const response = await fetch(lists.dataset.lists, options);
      if (response.ok) return await response.text();
    } catch {} // the lists stay as they are until the next change or a reload
  };

  const load = async () => {
    isStale = isLoading;
    if (isLoading || isCovered()) return;
    isLoading = true;
    requestedAt = performance.now();
    const html = await request();
    isLoading = false;
    if (isStale) loadSoon();
    if (html && !isCovered()) replace(html);
  };

  const loadSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(load, Math.max(0, requestedAt + INTERVAL - performance.now()));
  };

  document.addEventListener("session-expire:active", loadSoon);
})();
