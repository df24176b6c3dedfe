// Leaves for the login page when the session is over. All times are seconds that the server counted,
// measured on the page's monotonic clock: the wall clock of this machine doesn't matter.
(() => {
  "use strict";
  const { status, seconds, login, next } = document.currentScript.dataset;
  const LONGEST = 2 ** 31 - 1; // a longer timer would fire at once
  const OFTEN = 2000;
  let end = Infinity;
  let timer;
  let asked = -OFTEN;

  const leave = () => {
    const target = new URL(login, location.href);
    const back = next ?? location.pathname + location.search + location.hash;
    if (back) target.searchParams.set("next", back);
    location.replace(target);
  };

  const wait = () => {
    clearTimeout(timer);
    if (end === Infinity) return;
    const left = end - performance.now();
    timer = setTimeout(left > LONGEST ? wait : ask, Math.min(Math.max(left, 0), LONGEST));
  };

  const count = (left) => {
    end = performance.now() + left * 1000;
    wait();
  };

  // Another tab may have kept the session alive, so the server has the last word. While it can't be
  // asked (a machine that wakes before its network, a server that restarts) the count goes on.
  const ask = async () => {
    asked = performance.now();
    try {
      const answer = await fetch(status, { cache: "no-store" });
      if (!answer.ok) throw answer;
      const { state, ...left } = await answer.json();
      if (state !== "active") return leave();
      count(Math.min(left.seconds_until_idle_end ?? Infinity, left.seconds_until_session_end ?? Infinity));
    } catch {
      if (performance.now() < end) wait();
      else leave();
    }
  };

  // A machine that slept, and a page out of the back/forward cache, have lost count.
  const wake = () => {
    if (!document.hidden && performance.now() - asked > OFTEN) ask();
  };

  count(Number(seconds));
  document.addEventListener("visibilitychange", wake);
  addEventListener("pageshow", (event) => event.persisted && ask());
})();
