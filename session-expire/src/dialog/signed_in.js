// Tells the other tabs that the user has signed in, and closes this tab if the browser permits it.
(() => {
  "use strict";
  const { channel } = document.currentScript.dataset;
  try {
    new BroadcastChannel(channel).postMessage("changed");
  } catch {
    try {
      localStorage.setItem(channel, Math.random());
    } catch {} // the browser may forbid storage; the other tabs query the server when they have the focus
  }
  window.close();
})();
