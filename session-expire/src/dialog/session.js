// Warns before the session ends, keeps it alive while the user is active, and leaves when it ends.
//
// Times are seconds that the server counted, measured on the page's monotonic clock. What other tabs
// and the machine's wall clock say is never believed: it only makes us ask the server again.
//
// An element with the name or id of a DOM property shadows it on `document`, on its form and in the
// global scope. Such properties are read from the prototypes, where nothing shadows them.
(() => {
  "use strict";
  const { addEventListener: listen, dispatchEvent: dispatch } = EventTarget.prototype;
  const get = (object, name) => Reflect.get(Object.getPrototypeOf(object), name, object);
  const read = (name) => get(document, name);
  const query = (selector) => read("querySelector").call(document, selector);
  const script = read("currentScript");
  // A page may print the script twice, alone and with the dialog: the first one does the work.
  if (script !== query("script[data-status]")) return;

  const { status, keepAlive, login, next, channel: name, warn } = script.dataset;
  const resolve = (path) => new URL(path, location.href); // no `<base>` of the page moves it
  const statusUrl = resolve(status);
  const dialog = query("dialog.session-expire");
  const canShow = () => dialog?.isConnected; // a page may have replaced its body since
  const find = (part) => dialog.querySelector(part);

  const BEAT = 15_000; // a machine that slept for longer is noticed
  const SPACING = 1000; // between two requests without a click
  const PATIENCE = 10_000; // with the server
  const RETRY = 5000;
  const MINUTE = 60_000;
  const SPOKEN = [60, 30, 15, 5]; // the seconds at which a screen reader says what is left
  const CHANGED = "changed";
  const ENDED = ["expired", "anonymous", "replaced"];
  const TIMEOUTS = ["idle", "absolute"]; // the reasons that depend on the policy

  let idleEnd, sessionEnd, wallEnd, span, seenDrift; // set by count()
  let asked = -Infinity; // when the newest question was sent
  let newest = -Infinity; // when that question was sent whose answer we have
  let told = performance.now(); // when activity was last reported to the server
  let acted; // when the user was last active, until it is reported
  let confirmed; // that it is time to warn
  let dismissed; // the notice that nothing can be done
  let stale = false; // the server no longer accepts the page's token
  let shown; // what the dialog says: one of these three
  const [IDLE, SESSION, OVER] = ["whenIdle", "whenSession", "whenEnded"];
  let spoken;
  let prefix = "";
  let covered, blank, held; // hidden at all; with nothing to tell it; what had the focus before
  let gone, timer, soon, later, channel;

  const now = () => performance.now();
  const drift = () => Date.now() - now();
  const left = () => Math.min(idleEnd, sessionEnd) - now();
  const emit = (type, detail) => dispatch.call(document, new CustomEvent(`session-expire:${type}`, { detail }));

  const count = (idleLeft, sessionLeft, from) => {
    idleEnd = from + idleLeft * 1000;
    sessionEnd = from + sessionLeft * 1000;
    span = Math.max(span ?? 0, idleLeft * 1000);
    seenDrift = drift();
    wallEnd = Date.now() + left();
  };

  // Out of sight and out of reach of the keyboard, not just behind something.
  const cover = (on) => {
    const root = read("documentElement");
    if (on && !covered) held = read("activeElement");
    covered = on;
    // The dialog's style hides all but the dialog. Where there is none, or it did not arrive, all goes.
    root.toggleAttribute("data-session-over", on);
    blank = on && !(canShow() && getComputedStyle(read("body")).visibility === "hidden");
    root.style.setProperty("display", blank ? "none" : "", "important");
  };

  // What is hidden loses the focus, and with it the caret.
  const giveFocusBack = () => {
    if (held && read("activeElement") === read("body")) get(held, "focus").call(held, { preventScroll: true });
    held = undefined;
  };

  const tellTabs = () => {
    try {
      if (channel) channel.postMessage(CHANGED);
      else localStorage.setItem(name, Math.random());
    } catch {} // storage may be forbidden; then other tabs notice at their own end
  };

  const leave = ({ state, reason }, unsure) => {
    gone = true;
    clearTimeout(timer);
    cover(true);
    emit("end", { state, reason });
    tellTabs();
    // Another user is signed in by now, or the page's handler has to decide: the same page again.
    if ((state === "replaced" || unsure) && next === undefined) return location.reload();
    const target = resolve(login);
    const back = next ?? location.pathname + location.search + location.hash;
    if (back) target.searchParams.set("next", back);
    location.replace(target);
  };

  // The page may have got a new title of its own meanwhile.
  const setPrefix = (text) => {
    const title = read("title");
    const own = title.startsWith(prefix) ? title.slice(prefix.length) : title;
    if (text !== prefix) Reflect.set(Document.prototype, "title", text + own, document);
    prefix = text;
  };

  const inWords = (seconds) => {
    const [value, unit] = seconds > 60 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
    const inLanguage = (language) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value);
    try {
      return inLanguage(get(dialog.closest("[lang]"), "lang").replaceAll("_", "-"));
    } catch {
      return inLanguage(); // a language that the browser does not know
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
    find("button + button").hidden = what === OVER;
    [shown, spoken] = [what, speak];
    setPrefix(read("hidden") ? `(${inWords(seconds)}) ` : "");
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
    else if (!read("hidden") && Math.abs(drift() - seenDrift) > 2 * SPACING) wake();
    else if (until <= 0 && canShow() && !(dismissed && what === SESSION)) warnOf(what);
  };

  const warnOf = (what) => {
    if (shown || confirmed) return show(what);
    confirmed = true;
    // A user who was active a moment ago, here or in another tab, is not warned.
    if (acted) keep();
    else ask();
  };

  const end = () => {
    cover(true);
    ask();
  };

  // The next tick asks again. A server that has responded may still know the session: only one that
  // has not is a reason to leave a page that can show nothing.
  const failed = (clicked, responded) => {
    if (gone) return;
    if (covered || left() <= 0) {
      cover(true);
      if (!blank) show(OVER);
      else if (!responded) return leave({});
    }
    if (clicked && shown) find("[role=alert]").textContent = find("[role=alert]").dataset.text;
  };

  const ask = async (body, clicked) => {
    const at = (asked = now());
    seenDrift = drift();
    let answer;
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const response = await fetch(body ? resolve(keepAlive) : statusUrl, { method: body ? "POST" : "GET", body, cache: "no-store", signal });
      answer = await response.json();
    } catch {} // no network, or a page that is no answer
    if (gone) return true;
    const { state, reason, policy, seconds_until_idle_end, seconds_until_session_end } = answer ?? {};
    // A later question was answered first, perhaps before this activity counted.
    if (state && at < newest) return body ? ask() : true;
    // The policies have changed since the page was made: without its token it is asked anew, and the
    // application's policy counts. A laxer page is not left for that before its own time is over.
    if (policy === "stale" && !stale) {
      stale = true;
      statusUrl.searchParams.delete("policy");
      askSoon();
    }
    const unsure = stale && TIMEOUTS.includes(reason);
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
    } else if (ENDED.includes(state) && (covered || !unsure)) {
      leave(answer, unsure);
    } else {
      failed(clicked, state);
      return false;
    }
    return true;
  };

  // Reports to the server when the user was last active.
  const keep = async (clicked) => {
    const body = new URLSearchParams(statusUrl.search);
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
    if (gone || read("hidden")) return;
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
    listen("storage", ({ key }) => key === name && askSoon());
  }
  for (const type of ["keydown", "pointerdown", "wheel", "touchmove", "input"]) {
    listen(type, act, { capture: true, passive: true });
  }
  listen.call(document, "visibilitychange", () => {
    wake();
    tick();
  });
  listen("focus", wake);
  listen("online", wake);
  listen("pageshow", ({ persisted }) => {
    if (!persisted) return;
    wake();
    tick();
  });
  listen("pagehide", ({ persisted }) => {
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
