// Updates the lists of the devices page after a login or an end elsewhere.
//
// With live pages, the script of the warning dialog learns of each change of the user's sessions,
// and dispatches `session-expire:active`. The request for the lists is passive.
(() => {
  "use strict";
  const lists = document.querySelector("[data-lists]");
  const news = document.querySelector("[data-news]");
  const INTERVAL = 1000; // shortest time between two requests, in milliseconds
  let requestedAt = -Infinity;
  let timer, isLoading;

  const isCovered = () => document.documentElement.hasAttribute("data-session-over");

  // The sessions and their ends, without the times, which change by themselves.
  const sessions = () =>
    [...lists.querySelectorAll("[data-session]")]
      .map(({ dataset }) => `${dataset.session} ${dataset.endedReason ?? ""}`)
      .join();

  // Remembers which element has the focus, and returns a function that restores it.
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
    } catch {} // the next change, or a reload, shows the lists
    isLoading = false;
  };

  document.addEventListener("session-expire:active", () => {
    clearTimeout(timer);
    timer = setTimeout(load, Math.max(0, requestedAt + INTERVAL - performance.now()));
  });
})();
