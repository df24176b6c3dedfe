// Restores the text that a user was writing when the session ended.
//
// The draft is stored for this tab only, under the name of the user, and is removed when another user
// signs in. A user who signs out leaves no draft behind.
(() => {
  "use strict";
  const user = document.querySelector("[data-user]")?.textContent;
  const form = document.querySelector("form[data-draft]");
  const KIND = "draft of ";
  const own = KIND + user;
  // Distinguishes a sign-out in another tab from an end: both leave an anonymous visitor. The mark is
  // short-lived, because a sign-out may fail. Storage may be forbidden.
  const ON_PURPOSE = "signed out on purpose";
  const FRESH = 30_000;
  const mark = (when) => {
    try {
      localStorage.setItem(ON_PURPOSE, when);
    } catch {}
  };
  const isMarked = () => {
    try {
      return Date.now() - localStorage.getItem(ON_PURPOSE) < FRESH;
    } catch {
      return false;
    }
  };

  if (user) mark(0);
  document.addEventListener("submit", ({ target }) => {
    if (target.getAttribute("action")?.endsWith("/logout")) mark(Date.now());
  });
  for (const key of Object.keys(sessionStorage)) {
    if (user && key.startsWith(KIND) && key !== own) sessionStorage.removeItem(key);
  }
  if (!form) return;

  const read = () => JSON.stringify([...new FormData(form)]);
  const before = read();
  const kept = sessionStorage.getItem(own);
  if (kept) {
    for (const [name, value] of JSON.parse(kept)) {
      if (form.elements[name]) form.elements[name].value = value;
    }
    sessionStorage.removeItem(own);
    form.querySelector("[data-restored]").textContent = "This is what you had written before you were signed out. It is not saved yet.";
  }
  document.addEventListener("session-expire:end", ({ detail }) => {
    const unwanted = detail.state === "replaced" || isMarked();
    if (!unwanted && (kept || read() !== before)) sessionStorage.setItem(own, read());
  });
})();
