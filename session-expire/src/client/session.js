// Warns before the session ends, keeps it alive while somebody works, and leaves when it is over.
//
// Times are seconds that the server counted, measured on the page's monotonic clock. What other tabs
// and the machine's wall clock say is never believed: it only makes us ask the server again.
(() => {
  "use strict";
  const script = document.currentScript;
  // A page may print the script twice, alone and with the dialog: the first one does the work.
  if (script !== document.querySelector("script[data-status]")) return;

  const { status, keepAlive, login, next, channel: name, warn } = script.dataset;
  const dialog = document.querySelector("dialog.session-expire");
  const canShow = () => dialog?.isConnected; // a page may have replaced its body since
  const find = (part) => dialog.querySelector(part);

  const BEAT = 15_000; // a machine that slept for longer is noticed
  const SPACING = 1000; // between two questions that nobody has clicked for
  const PATIENCE = 10_000; // with the server
  const RETRY = 5000;
  const MINUTE = 60_000;
  const SPOKEN = [60, 30, 15, 5]; // the seconds at which a screen reader says what is left
  const CHANGED = "changed";

  let idleEnd, sessionEnd, wallEnd, span, seenDrift; // set by count()
  let asked = -Infinity; // when the newest question was sent
  let newest = -Infinity; // when that question was sent whose answer we have
  let told = performance.now(); // when the server last heard that somebody is there
  let acted; // when somebody was last active, until the server has heard it
  let confirmed; // that it is time to warn
  let dismissed; // the notice that nothing can be done
  let shown; // what the dialog says: one of these three
  const [IDLE, SESSION, OVER] = ["whenIdle", "whenSession", "whenOver"];
  let spoken;
  let prefix = "";
  let covered, blank, held; // hidden at all; with nothing to tell it; what had the focus before
  let gone, timer, soon, later, channel;

  const now = () => performance.now();
  const drift = () => Date.now() - now();
  const left = () => Math.min(idleEnd, sessionEnd) - now();
  const emit = (type, detail) => document.dispatchEvent(new CustomEvent(`session-expire:${type}`, { detail }));

  const count = (idleLeft, sessionLeft, from) => {
    idleEnd = from + idleLeft * 1000;
    sessionEnd = from + sessionLeft * 1000;
    span = Math.max(span ?? 0, idleLeft * 1000);
    seenDrift = drift();
    wallEnd = Date.now() + left();
  };

  // Out of sight and out of reach of the keyboard, not just behind something.
  const cover = (on) => {
    const root = document.documentElement;
    if (on && !covered) held = document.activeElement;
    covered = on;
    // The dialog's style hides all but the dialog. Where there is none, or it did not arrive, all goes.
    root.toggleAttribute("data-session-over", on);
    blank = on && !(canShow() && getComputedStyle(document.body).visibility === "hidden");
    root.style.setProperty("display", blank ? "none" : "", "important");
  };

  // What is hidden loses the focus, and with it the caret.
  const giveFocusBack = () => {
    if (document.activeElement === document.body) held?.focus({ preventScroll: true });
    held = undefined;
  };

  const tellTabs = () => {
    try {
      if (channel) channel.postMessage(CHANGED);
      else localStorage.setItem(name, Math.random());
    } catch {} // storage may be forbidden; then other tabs notice at their own end
  };

  const leave = ({ state, reason }) => {
    gone = true;
    clearTimeout(timer);
    cover(true);
    emit("end", { state, reason });
    tellTabs();
    // Somebody else is signed in by now: the same page, as they may see it.
    if (state === "replaced" && next === undefined) return location.reload();
    const target = new URL(login, location.href);
    const back = next ?? location.pathname + location.search + location.hash;
    if (back) target.searchParams.set("next", back);
    location.replace(target);
  };

  // The page may have got a new title of its own meanwhile.
  const setPrefix = (text) => {
    const { title } = document;
    const own = title.startsWith(prefix) ? title.slice(prefix.length) : title;
    if (text !== prefix) document.title = text + own;
    prefix = text;
  };

  const inWords = (seconds) => {
    const [value, unit] = seconds > 60 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
    const inLanguage = (language) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value);
    try {
      return inLanguage(dialog.closest("[lang]")?.lang.replaceAll("_", "-") || undefined);
    } catch {
      return inLanguage(); // no browser knows that language; the person is warned all the same
    }
  };

  const show = (what) => {
    const seconds = Math.max(0, Math.ceil(left() / 1000));
    const speak = SPOKEN.findLast((mark) => seconds <= mark);
    const fresh = shown !== what;
    for (const part of dialog.querySelectorAll("[data-when-idle]")) {
      // What is spoken changes only now and then, what is seen with every second.
      if (!part.ariaLive || fresh || speak !== spoken) {
        part.textContent = part.dataset[what].replace("{time}", inWords(seconds));
      }
    }
    if (fresh) find("[role=alert]").textContent = "";
    find("form").lastElementChild.hidden = what === OVER;
    [shown, spoken] = [what, speak];
    setPrefix(document.hidden ? `(${inWords(seconds)}) ` : "");
    if (!dialog.open) dialog.showModal();
  };

  const close = () => {
    shown = spoken = undefined;
    setPrefix("");
    dialog?.close();
  };

  const tick = () => {
    clearTimeout(timer);
    if (gone) return;
    const rest = left();
    const until = rest - warn * 1000;
    const what = sessionEnd <= idleEnd ? SESSION : IDLE;
    const over = covered || rest <= 0; // nothing to see, or nothing to see any more
    timer = setTimeout(tick, over ? RETRY : until > 0 ? Math.min(until, BEAT) : rest % 1000 || 1000);
    if (over) end();
    else if (!document.hidden && Math.abs(drift() - seenDrift) > 2 * SPACING) wake();
    else if (until <= 0 && canShow() && !(dismissed && what === SESSION)) warnOf(what);
  };

  const warnOf = (what) => {
    if (shown || confirmed) return show(what);
    confirmed = true;
    // Whoever was active a moment ago is not warned, and in another tab somebody may have been.
    if (acted) keep();
    else ask();
  };

  const end = () => {
    cover(true);
    ask();
  };

  const failed = (clicked) => {
    if (gone) return;
    if (covered || left() <= 0) {
      cover(true);
      if (blank) return leave({});
      show(OVER);
    }
    if (clicked && shown) find("[role=alert]").textContent = find("[role=alert]").dataset.text;
  };

  const ask = async (body, clicked) => {
    const at = (asked = now());
    seenDrift = drift();
    let answer;
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const response = await fetch(body ? keepAlive : status, { method: body ? "POST" : "GET", body, cache: "no-store", signal });
      answer = await response.json();
    } catch {} // no network, or a page that is no answer
    if (gone) return true;
    const { state, seconds_until_idle_end, seconds_until_session_end } = answer ?? {};
    // A later question was answered first, perhaps before this activity counted.
    if (state && at < newest) return body ? ask() : true;
    if (state === "active") {
      newest = at;
      count(seconds_until_idle_end ?? Infinity, seconds_until_session_end ?? Infinity, at);
      if (body) tellTabs();
      cover(false);
      if (left() > warn * 1000) confirmed = dismissed = false;
      if (!confirmed || shown === OVER) close();
      giveFocusBack();
      emit("active", { idle: seconds_until_idle_end, session: seconds_until_session_end });
      tick();
    } else if (["expired", "anonymous", "replaced"].includes(state)) {
      leave(answer);
    } else {
      failed(clicked);
      return false;
    }
    return true;
  };

  // Tells the server when somebody was active last.
  const keep = async (clicked) => {
    const body = new URLSearchParams(status.split("?")[1]);
    told = now();
    const when = clicked ? told : acted;
    acted = undefined;
    body.set("idle_for", ((told - when) / 1000).toFixed(3));
    if (!(await ask(body, clicked))) acted ??= when;
  };

  const act = ({ isTrusted }) => {
    if (!isTrusted || shown || gone || idleEnd === Infinity) return;
    acted = now();
    const wait = told + Math.min(MINUTE, (span - warn * 1000) / 2) - acted;
    clearTimeout(later);
    later = setTimeout(() => acted && keep(), Math.max(0, wait));
  };

  const askSoon = () => {
    clearTimeout(soon);
    soon = setTimeout(ask, Math.max(0, asked + SPACING - now()));
  };

  // Asleep, frozen or in the back/forward cache we have lost count. One clock stops meanwhile, and the
  // other can be set: whatever may be over by either is covered until the server has spoken.
  const wake = () => {
    if (gone || document.hidden) return;
    if (covered || left() <= 0 || Date.now() >= wallEnd) cover(true);
    if (covered || now() - asked > SPACING) ask();
  };

  const stay = () => {
    if (shown === OVER) return ask(undefined, true);
    if (shown === IDLE) return keep(true);
    dismissed = true;
    close();
  };

  count(Number(script.dataset.idleEnd || Infinity), Number(script.dataset.sessionEnd || Infinity), now());
  try {
    channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => data === CHANGED && askSoon();
  } catch {
    addEventListener("storage", ({ key }) => key === name && askSoon());
  }
  for (const type of ["keydown", "pointerdown", "wheel", "touchmove", "input"]) {
    addEventListener(type, act, { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", () => {
    wake();
    tick();
  });
  addEventListener("focus", wake);
  addEventListener("online", wake);
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    wake();
    tick();
  });
  addEventListener("pagehide", ({ persisted }) => {
    if (persisted) cover(true); // for the day it comes back out of the back/forward cache
    tellTabs(); // what this tab did, a sign-out perhaps, has happened by now
  });
  if (dialog) {
    find("button").addEventListener("click", stay);
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      stay();
    });
    // A second Escape closes it without asking anybody.
    dialog.addEventListener("close", () => {
      if (!shown || gone) return;
      show(shown);
      stay();
    });
  }
  tellTabs();
  tick();
})();
