// Notifies the other tabs of the sign-in, and closes this tab if the browser permits it.
(() => {
  "use strict";
  const { channel } = document.currentScript.dataset;
  try {
    new BroadcastChannel(channel).postMessage("changed");
  } catch {} // the browser may refuse a channel; a tab queries the server when it gets the focus
  window.close();
})();
