// Updates the lists of the devices page after a login or an end elsewhere.
//
// With live pages, the server notifies the script of the warning dialog when a session of the user
// changes. That script dispatches `session-expire:active`. The request for the lists is passive.
(() => {
  "use strict";
  const lists = document.querySelector("[data-lists]");
  const news = document.querySelector("[data-news]");
  const INTERVAL = 1000; // shortest time between two requests, in milliseconds
  let requestedAt = -Infinity;
  let timer, isLoading;

  const isCovered = () => document.documentElement.hasAttribute("data-session-over");

  // The sessions and the reasons of their ends. The displayed times change without a new event.
  const sessions = () =>
    [...lists.querySelectorAll("[data-session]")]
      .map(({ dataset }) => `${dataset.session} ${dataset.endedReason ?? ""}`)
      .join();

  // Returns a function that restores the focus after the lists are replaced.
  const keepFocus = () => {
    const { activeElement } = document;
    if (!lists.contains(activeElement)) return () => {};
    const action = activeElement.closest("form")?.getAttribute("action");
    return () => {
      const form = [...lists.querySelectorAll("form")].find(
        (form) => form.getAttribute("action") === action,
      );
      (form?.querySelector("button") ?? lists.querySelector("h2")).focus({ preventScroll: true });
    };
  };

  const replace = (html) => {
    const before = sessions();
    const restoreFocus = keepFocus();
    const parsed = new DOMParser().parseFromString(html, "text/html");
    if (parsed.body.innerHTML.trim() === lists.innerHTML.trim()) return;
    lists.replaceChildren(...parsed.body.childNodes);
    restoreFocus();
    if (sessions() !== before) news.textContent = "The list of your devices has changed.";
  };

  const load = async () => {
    if (isLoading || isCovered()) return;
    isLoading = true;
    requestedAt = performance.now();
    try {
      const response = await fetch(lists.dataset.lists, { cache: "no-store" });
      const html = response.ok ? await response.text() : "";
      if (html && !isCovered()) replace(html);
    } catch {} // the lists stay as they are until the next change or a reload
    isLoading = false;
  };

  document.addEventListener("session-expire:active", () => {
    clearTimeout(timer);
    timer = setTimeout(load, Math.max(0, requestedAt + INTERVAL - performance.now()));
  });
})();
