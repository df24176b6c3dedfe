// Asks in a dialog before all other sessions end.
//
// Without JavaScript, a separate page asks. The dialog is outside the lists, because another script
// may replace them while it is open.
(() => {
  "use strict";
  const dialog = document.querySelector("dialog.ask");
  if (!dialog.showModal) return;
  document.addEventListener("submit", (event) => {
    const { question } = event.target.dataset;
    if (!question) return;
    event.preventDefault();
    dialog.querySelector("h2").textContent = question;
    dialog.showModal();
  });
  // A page from the back/forward cache must not show the dialog.
  addEventListener("pagehide", () => dialog.close());
})();
