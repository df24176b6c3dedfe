// Prevents a form from being sent twice.
//
// Of two simultaneous confirmations, one has the old key, and its response sets no cookie. Without
// JavaScript, the server handles both.
(() => {
  "use strict";
  const buttons = document.querySelectorAll("form[data-once] button");
  const setDisabled = (isDisabled) => {
    for (const button of buttons) button.disabled = isDisabled;
  };
  for (const { form } of buttons) form.addEventListener("submit", () => setDisabled(true));
  // The page may come back from the browser's history.
  addEventListener("pageshow", () => setDisabled(false));
})();
