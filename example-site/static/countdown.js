// Shows the time that is left. The seconds come from the server and are counted on the page's
// monotonic clock: a wrong or changed wall clock doesn't matter.
(() => {
  "use strict";
  const OFTEN = 2000;
  let ends = JSON.parse(document.getElementById("countdown").textContent);
  let since = performance.now();
  let asked = -OFTEN;

  const two = (number) => String(number).padStart(2, "0");

  const asClock = (seconds) => {
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    const rest = two(seconds % 60);
    return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
  };

  const show = (card) => {
    const end = ends[card.dataset.countdown];
    if (end === null) return;
    const left = Math.max(0, Math.ceil(end - (performance.now() - since) / 1000));
    const text = asClock(left);
    const clock = card.querySelector("[role=timer]");
    if (clock.textContent !== text) clock.textContent = text;
    const bar = card.querySelector("progress");
    if (bar) bar.value = left;
    if (left === 0) refresh();
  };

  const ask = async () => {
    try {
      return await (await fetch("/session/status", { cache: "no-store" })).json();
    } catch {
      return null; // offline: the clocks go on as they were
    }
  };

  // Another tab may have kept the session alive. Asking doesn't: it is no activity.
  const refresh = async () => {
    if (performance.now() - asked < OFTEN) return;
    asked = performance.now();
    const status = await ask();
    if (status?.state !== "active") return;
    ends = {
      sessionEnd: status.seconds_until_session_end,
      idleEnd: status.seconds_until_idle_end,
    };
    since = performance.now();
  };

  const cards = document.querySelectorAll("[data-countdown]");
  const tick = () => cards.forEach(show);
  tick();
  setInterval(tick, 250);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
})();
