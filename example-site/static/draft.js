// Restores the draft of a user after their session has ended or the language has changed.
//
// The draft is stored for this tab, under the name of the user. It is removed when the user saves
// it or another user signs in, and not stored when the user signs out.
(() => {
  "use strict";
  const user = document.querySelector("[data-user]")?.textContent;
  const form = document.querySelector("form[data-draft]");
  const PREFIX = "draft of ";
  const ownKey = PREFIX + user;
  // Distinguishes a sign-out in another tab from an expired session: the script sees an anonymous
  // visitor after both. The time is valid briefly, because the sign-out may fail. The browser may
  // forbid storage.
  const SIGN_OUT_TIME = "sign-out time";
  const MAX_AGE_MS = 30_000;
  const setSignOutTime = (time) => {
    try {
      localStorage.setItem(SIGN_OUT_TIME, time);
    } catch {}
  };
  const hasSignedOut = () => {
    try {
      return Date.now() - localStorage.getItem(SIGN_OUT_TIME) < MAX_AGE_MS;
    } catch {
      return false;
    }
  };

  if (user) setSignOutTime(0);
  document.addEventListener("submit", ({ target }) => {
    if (!target.getAttribute("action")?.endsWith("/logout")) return;
    setSignOutTime(Date.now());
    sessionStorage.removeItem(ownKey);
  });
  for (const key of Object.keys(sessionStorage)) {
    if (user && key.startsWith(PREFIX) && key !== ownKey) sessionStorage.removeItem(key);
  }
  if (!form) return;

  const read = () => JSON.stringify([...new FormData(form)]);
  // The server has refused to save this text.
  const isUnsaved = form.hasAttribute("data-unsaved");
  const original = read();
  const draft = sessionStorage.getItem(ownKey);
  if (draft) {
    for (const [name, value] of JSON.parse(draft)) {
      if (form.elements[name]) form.elements[name].value = value;
    }
    sessionStorage.removeItem(ownKey);
    const note = form.querySelector("[data-restored]");
    note.textContent = note.dataset.restored;
  }
  const store = () => {
    if (draft || isUnsaved || read() !== original) sessionStorage.setItem(ownKey, read());
  };
  document.addEventListener("session-expire:end", ({ detail }) => {
    if (detail.state === "replaced" || hasSignedOut()) sessionStorage.removeItem(ownKey);
    else store();
  });
  document.addEventListener("submit", ({ target }) => {
    if (target.matches(".language")) store(); // the browser loads the page again
    if (target === form) sessionStorage.removeItem(ownKey);
  });
})();
