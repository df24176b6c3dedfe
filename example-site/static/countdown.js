// Countdowns of the dashboard.
//
// The seconds come from the server and are counted with a monotonic clock. Changes of the system
// clock have no effect.
(() => {
  "use strict";
  let ends = JSON.parse(document.getElementById("countdown").textContent);
  let since = performance.now();

  const show = (card) => {
    const end = ends[card.dataset.countdown];
    if (end === null) return;
    const left = Math.max(0, Math.ceil(end - (performance.now() - since) / 1000));
    const text = asClock(left);
    const clock = card.querySelector("[role=timer]");
    if (clock.textContent !== text) clock.textContent = text;
    const bar = card.querySelector("progress");
    if (bar) bar.value = left;
  };

  // The script of the warning dialog asks the server and reports new deadlines, for example after
  // activity in another tab.
  document.addEventListener("session-expire:active", ({ detail }) => {
    ends = { sessionEnd: detail.session, idleEnd: detail.idle };
    since = performance.now();
  });

  const cards = document.querySelectorAll("[data-countdown]");
  const tick = () => cards.forEach(show);
  tick();
  setInterval(tick, 250);
})();
