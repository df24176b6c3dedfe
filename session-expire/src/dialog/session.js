// Warns before the session ends, reports the user's activity and opens the login page at the end.
//
// The server sends the remaining seconds, and the script measures them with the monotonic clock of
// the page. Messages of other tabs and the wall clock may be wrong or forged. They only make the
// script query the server.
//
// With `data-events`, one tab of the browser receives the event stream of the server: the leader.
// With `data-lock`, a page whose idle timeout has passed is locked: it stays, covered.
//
// An element with the name or id of a DOM property shadows it on `document`, on its form and in the
// global scope. The script reads such properties from the prototypes, which elements cannot shadow.
(() => {
  "use strict";
  const { addEventListener: listen, dispatchEvent: dispatch } = EventTarget.prototype;
  const readProperty = (object, name) => Reflect.get(Object.getPrototypeOf(object), name, object);
  const readDocument = (name) => readProperty(document, name);
  const findElement = (selector) => readDocument("querySelector").call(document, selector);
  const script = readDocument("currentScript");
  // A page can contain the script twice: alone and with the dialog. Only the first one runs.
  if (script !== findElement("script[data-status]")) return;

  const {
    status: statusPath,
    keepAlive: keepAlivePath,
    events: eventsPath,
    login: loginPath,
    next: returnPath,
    channel: channelName,
    warn: warnSeconds,
    lock: lockSeconds,
  } = script.dataset;
  // A `<base>` element of the page must not change the URLs.
  const resolveUrl = (path) => new URL(path, location.href);
  const statusUrl = resolveUrl(statusPath);
  const dialog = findElement("dialog.session-expire");
  // The page may have replaced its body since.
  const hasDialog = () => dialog?.isConnected;
  const findInDialog = (selector) => dialog.querySelector(selector);

  // Times are in milliseconds unless the name says otherwise.
  const TICK_INTERVAL = 15_000; // longest time until the script detects a sleep of the machine
  const REQUEST_INTERVAL = 1000; // shortest time between requests that the user has not caused
  const REQUEST_TIMEOUT = 10_000;
  const RETRY_INTERVAL = 5000;
  const REPORT_INTERVAL = 60_000; // time between reports of activity; less for a short idle timeout
  const ANNOUNCED_SECONDS = [60, 30, 15, 5]; // when a screen reader announces the remaining time
  const LEADER_INTERVAL = 1000; // time in which the leader has to reply
  const STREAM_INTERVAL = 60_000; // shortest time until a stream that the server refused is opened again
  const STREAM_CLOSED = 2; // `EventSource.CLOSED`
  // Messages to the other tabs. The second one asks for the leader, which replies with the third.
  const [CHANGED, ASK_LEADER, LEADING] = ["changed", "?", "!"];
  const ENDED_STATES = ["expired", "anonymous", "replaced"];
  const KEY_REASONS = ["renewed", "logged_out"]; // the browser may have another session key
  const TIMEOUT_REASONS = ["idle", "absolute"]; // the reasons that depend on the policy

  // `setDeadlines` sets these. `maxIdle` is the longest remaining idle time that the server sent.
  let idleEnd, sessionEnd, deadlineOffset, maxIdle, lastOffset;
  let requestedAt = -Infinity; // when the script sent its newest request
  let appliedAt = -Infinity; // when the script sent the request whose response it applied last
  let reportedAt = performance.now(); // when the script last reported activity
  let activeAt; // when the user was last active, unless the script has reported it
  let warningChecked; // the script has queried the server since the warning is due
  let noticeDismissed; // the user has closed the notice of the absolute timeout
  let tokenStale = false; // the server no longer accepts the page's policy token
  let shownView; // one of these four while the dialog is open
  const [IDLE_VIEW, SESSION_VIEW, ENDED_VIEW, LOCKED_VIEW] = ["whenIdle", "whenSession", "whenEnded", "whenLocked"];
  let announced; // the member of `ANNOUNCED_SECONDS` that the dialog announced last
  let pageTitle, ownTitle; // the title of the page, and the one that the script has set
  let covered; // the page shows at most the dialog
  let rootHidden; // the covered page cannot show the dialog either
  let focused; // the element that had the focus before the dialog was open or the page was covered
  let locked;
  let lockEnd = lockSeconds && Infinity; // until then the page may be locked; never if it is undefined
  let releaseLead; // set while this tab leads
  let stream; // the `EventSource` of the leader
  let streamedAt; // when the script opened it
  let hasLeader = true; // the leader has replied
  let leaving, tickTimer, requestTimer, reportTimer, channel;

  const now = () => performance.now();
  // A sleep of the machine or a change of the wall clock changes the offset.
  const clockOffset = () => Date.now() - now();
  // The later of the two clocks: the monotonic clock may stop while the machine sleeps.
  const latest = () => Math.max(now(), Date.now() - deadlineOffset);
  const hasSlept = () => Math.abs(clockOffset() - lastOffset) > 2 * REQUEST_INTERVAL;
  const remainingTime = () => Math.min(idleEnd, sessionEnd) - now();
  // The page must not show its content until the server responds.
  const mustCover = () => covered || latest() >= Math.min(idleEnd, sessionEnd);
  const isLocked = () => locked && latest() < lockEnd;
  const emit = (type, detail) =>
    dispatch.call(document, new CustomEvent(`session-expire:${type}`, { detail }));

  const setDeadlines = (idleSeconds, sessionSeconds, measuredAt) => {
    idleEnd = measuredAt + idleSeconds * 1000;
    sessionEnd = measuredAt + sessionSeconds * 1000;
    maxIdle = Math.max(maxIdle ?? 0, idleSeconds * 1000);
    deadlineOffset = lastOffset = clockOffset();
  };

  const saveFocus = () => (focused ??= readDocument("activeElement"));

  // The user can neither see nor focus the content of a covered page.
  const setCovered = (value) => {
    const root = readDocument("documentElement");
    if (value) saveFocus();
    covered = value;
    // The style sheet hides all elements except the dialog. The script hides the whole page if the
    // dialog or the style sheet is missing.
    root.toggleAttribute("data-session-over", value);
    rootHidden =
      value && !(hasDialog() && getComputedStyle(readDocument("body")).visibility === "hidden");
    root.style.setProperty("display", rootHidden ? "none" : "", "important");
  };

  // A hidden element loses the focus, and the user loses the position of the caret.
  const restoreFocus = () => {
    if (focused) readProperty(focused, "focus").call(focused, { preventScroll: true });
    focused = undefined;
  };

  const notifyTabs = () => {
    try {
      if (channel) channel.postMessage(CHANGED);
      else localStorage.setItem(channelName, Math.random());
    } catch {} // the browser may forbid storage; other tabs then query the server at a deadline
  };

  const leavePage = (detail, isUncertain) => {
    leaving = true;
    clearTimeout(tickTimer);
    emit("end", detail);
    notifyTabs();
    // After a login of another user or a change of the policy, the server may still show this page.
    // The script does not reload the response to a form, because the browser would send it again.
    if ((detail.state === "replaced" || isUncertain) && returnPath === undefined) return location.reload();
    const target = resolveUrl(loginPath);
    const path = returnPath ?? location.pathname + location.search + location.hash;
    if (path) target.searchParams.set("next", path);
    location.replace(target);
  };

  // The page may have changed its title since. `makeTitle` gets the newest title of the page.
  const setTitle = (makeTitle) => {
    const current = readDocument("title");
    if (current !== ownTitle) pageTitle = current;
    const title = makeTitle(pageTitle);
    if (title !== current) Reflect.set(Document.prototype, "title", title, document);
    ownTitle = readDocument("title");
  };

  const formatTime = (seconds) => {
    const [value, unit] = seconds > 60 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
    const format = (language) =>
      new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value);
    try {
      return format(readProperty(dialog.closest("[lang]"), "lang").replaceAll("_", "-"));
    } catch {
      return format(); // the page has no `lang` attribute, or its language is invalid
    }
  };

  const showView = (view) => {
    const seconds = Math.max(0, Math.ceil(remainingTime() / 1000));
    const announcement = ANNOUNCED_SECONDS.findLast((mark) => seconds <= mark);
    const isNew = shownView !== view;
    for (const element of dialog.querySelectorAll("[data-when-idle]")) {
      // A screen reader announces each change of a live region. The script changes the visible text
      // every second, and the live region only at `ANNOUNCED_SECONDS`.
      if (!element.ariaLive || isNew || announcement !== announced) {
        element.textContent = element.dataset[view].replace("{time}", formatTime(seconds));
      }
    }
    if (isNew) findInDialog("[role=alert]").textContent = "";
    findInDialog("button + button").hidden = covered;
    [shownView, announced] = [view, announcement];
    setTitle((title) =>
      view === LOCKED_VIEW
        ? findInDialog("h2").textContent
        : readDocument("hidden")
          ? `(${formatTime(seconds)}) ${title}`
          : title);
    saveFocus();
    if (!dialog.open) dialog.showModal();
  };

  const closeDialog = () => {
    shownView = announced = undefined;
    setTitle((title) => title);
    dialog?.close();
    restoreFocus();
  };

  const tick = () => {
    clearTimeout(tickTimer);
    if (leaving) return;
    const remaining = remainingTime();
    const untilWarning = remaining - warnSeconds * 1000;
    const view = sessionEnd <= idleEnd ? SESSION_VIEW : IDLE_VIEW;
    tickTimer = setTimeout(
      tick,
      isLocked()
        ? Math.min(lockEnd - latest(), TICK_INTERVAL)
        : mustCover()
          ? RETRY_INTERVAL
          : untilWarning > 0
            ? Math.min(untilWarning, TICK_INTERVAL)
            : remaining % 1000 || 1000, // until the next full second
    );
    if (isLocked()) {
      showView(LOCKED_VIEW);
    } else if (mustCover()) {
      setCovered(true);
      queryServer();
    } else if (!readDocument("hidden") && hasSlept()) {
      resume();
    } else if (untilWarning <= 0 && hasDialog() && !(noticeDismissed && view === SESSION_VIEW)) {
      openWarning(view);
    }
  };

  // The user may have been active in this tab or in another one. The script queries the server
  // before it shows a warning, because an active user must not see one.
  const openWarning = (view) => {
    if (shownView || warningChecked) return showView(view);
    warningChecked = true;
    if (activeAt) reportActivity();
    else queryServer();
  };

  // Handles a request without a usable response. The next tick sends another request.
  const handleFailure = (isClick, hasState) => {
    if (leaving) return;
    if (mustCover()) {
      setCovered(true);
      if (!rootHidden) showView(isLocked() ? LOCKED_VIEW : ENDED_VIEW);
      // Without a dialog, the user cannot try again. A server that has sent a state may still have
      // the session, so the page stays in that case.
      else if (!hasState) return leavePage({});
    }
    if (isClick && shownView) {
      findInDialog("[role=alert]").textContent = findInDialog("[role=alert]").dataset.text;
    }
  };

  // The page stays while the user signs in in another tab. It must show nothing of the session.
  const lockPage = () => {
    if (!locked) {
      locked = true;
      lockEnd = latest() + lockSeconds * 1000;
      stopLeading();
      emit("lock");
      notifyTabs();
    }
    tick();
  };

  const setToken = (token) => {
    tokenStale = !token;
    statusUrl.searchParams[token ? "set" : "delete"]("policy", token);
    if (stream) openStream();
    querySoon();
  };

  // The page has a token of the session before. A new one is in the markup of the same page, which
  // the script requests like a prefetch: flash messages stay unread.
  const renewToken = async () => {
    try {
      const response = await fetch(location.href, { headers: { purpose: "prefetch" } });
      setToken((await response.text()).match(/ data-status="[^"]+\?policy=([^"&]+)/)[1]);
    } catch {} // the application's policy stays in force
  };

  // Requests the status, or reports activity if there is a body. Returns `false` after a failure.
  const queryServer = async (body, isClick, isRepeated) => {
    const sentAt = (requestedAt = now());
    lastOffset = clockOffset();
    let status;
    try {
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT);
      const response = await fetch(
        body ? resolveUrl(keepAlivePath) : statusUrl,
        { method: body && "POST", body, cache: "no-store", signal },
      );
      status = await response.json();
    } catch {} // the network failed, or a proxy sent a page of its own
    // The script has applied the response to a later request, which may not include this activity.
    if (status?.state && sentAt < appliedAt) return body ? queryServer() : true;
    return applyStatus(status ?? {}, sentAt, body, isClick, isRepeated);
  };

  // Applies a response, or an event of the stream, which has no `sentAt`.
  const applyStatus = async (status, sentAt, body, isClick, isRepeated) => {
    if (leaving) return true;
    const { state, reason, policy, seconds_until_idle_end, seconds_until_session_end } = status;
    // The policies have changed since the server rendered the page. Without the token, the server
    // applies the application's policy, which may be stricter than the policy of the page.
    if (policy === "stale" && !tokenStale) setToken();
    // A timeout under that policy does not end the page before its own deadline.
    const isUncertain = tokenStale && TIMEOUT_REASONS.includes(reason);
    if (state === "active") {
      appliedAt = sentAt ?? appliedAt;
      setDeadlines(seconds_until_idle_end ?? Infinity, seconds_until_session_end ?? Infinity, sentAt ?? now());
      if (body) notifyTabs();
      setCovered(false);
      if (remainingTime() > warnSeconds * 1000) warningChecked = noticeDismissed = false;
      if (!warningChecked || locked || shownView === ENDED_VIEW) closeDialog();
      if (!shownView) restoreFocus();
      if (locked) {
        locked = false;
        lockEnd = Infinity;
        emit("unlock");
        if (tokenStale && returnPath === undefined) renewToken();
      }
      emit("active", { idle: seconds_until_idle_end, session: seconds_until_session_end });
      tick();
    } else if (KEY_REASONS.includes(reason) && !isRepeated) {
      // A parallel request has changed the session key, or signed in again. The browser may not have
      // received the new cookie in time, so the script queries once more.
      if (reason !== "renewed") setCovered(true);
      await new Promise((resolve) => setTimeout(resolve, REQUEST_INTERVAL));
      await queryServer(undefined, isClick, true);
      return !body;
    } else if (ENDED_STATES.includes(state) && (covered || !isUncertain)) {
      setCovered(true);
      // Another tab may have told the user the reason, and the server forgets it then.
      const isIdle =
        reason === "idle" ||
        (state === "anonymous" && (locked || (latest() >= idleEnd && latest() < sessionEnd)));
      if (isIdle && latest() < lockEnd && !rootHidden) lockPage();
      else leavePage({ state, reason }, isUncertain);
    } else {
      // The server closes the stream, and the browser would reconnect every second.
      if (state) stream?.close();
      handleFailure(isClick, state);
      return false;
    }
    return true;
  };

  // Reports to the server when the user was last active.
  const reportActivity = async (isClick) => {
    const body = new URLSearchParams(statusUrl.search);
    reportedAt = now();
    const lastActivity = isClick ? reportedAt : activeAt;
    activeAt = undefined;
    body.set("idle_for", ((reportedAt - lastActivity) / 1000).toFixed(3));
    if (!(await queryServer(body, isClick))) activeAt ??= lastActivity;
  };

  const recordActivity = ({ isTrusted }) => {
    if (!isTrusted || shownView || leaving || idleEnd === Infinity) return;
    activeAt = now();
    const delay = reportedAt + Math.min(REPORT_INTERVAL, (maxIdle - warnSeconds * 1000) / 2) - activeAt;
    clearTimeout(reportTimer);
    reportTimer = setTimeout(() => activeAt && reportActivity(), Math.max(0, delay));
  };

  const querySoon = () => {
    clearTimeout(requestTimer);
    requestTimer = setTimeout(queryServer, Math.max(0, requestedAt + REQUEST_INTERVAL - now()));
  };

  // Timers stop while the machine sleeps, or the tab is frozen or in the back/forward cache. The
  // monotonic clock may stop too, and the user can set the wall clock. If the session may have
  // ended by either clock, the script covers the page until the server responds.
  const resume = () => {
    if (leaving || readDocument("hidden")) return;
    if (mustCover()) setCovered(true);
    if (covered || now() - requestedAt > REQUEST_INTERVAL) queryServer();
  };

  const openLogin = () => {
    const target = resolveUrl(loginPath);
    target.searchParams.set("next", new URL("signed-in", statusUrl).pathname);
    // A tab that a script has opened may close itself. It must not control the page that opened it.
    (open(target) ?? {}).opener = null;
  };

  const handleFirstButton = (click) => {
    if (shownView === IDLE_VIEW) return reportActivity(true);
    if (shownView === SESSION_VIEW) {
      noticeDismissed = true;
      return closeDialog();
    }
    // The browser opens a tab after a click, and not after Escape.
    if (shownView === LOCKED_VIEW && click) return openLogin();
    queryServer(undefined, true);
  };

  const openStream = () => {
    stream?.close();
    const url = resolveUrl(eventsPath);
    url.search = statusUrl.search;
    streamedAt = now();
    stream = new EventSource(url);
    stream.onmessage = ({ data }) => {
      notifyTabs();
      // The browser may have received the event before a sleep, or before the page was frozen.
      if (mustCover() || hasSlept()) querySoon();
      else applyStatus(JSON.parse(data));
    };
  };

  const stopLeading = () => {
    stream?.close();
    stream = releaseLead = releaseLead?.();
  };

  const lead = () => {
    let release;
    hasLeader = true;
    navigator.locks
      .request(channelName, { steal: true }, () => new Promise((resolve) => {
        release = releaseLead = resolve;
        openStream();
        channel.postMessage(LEADING);
      }))
      .catch(() => release === releaseLead && stopLeading()); // another tab has stolen the lock
  };

  // A visible tab asks for the leader, and leads if there is no reply: the browser releases the lock
  // of a closed tab, but not that of a frozen one. Timers of hidden tabs may run once a minute.
  const watchLeader = () => {
    if (leaving || locked) return stopLeading();
    if (stream) {
      // The browser does not reconnect after a refusal.
      if (stream.readyState === STREAM_CLOSED && now() - streamedAt > STREAM_INTERVAL) openStream();
    } else if (!readDocument("hidden")) {
      if (!hasLeader) return lead();
      hasLeader = false;
      channel.postMessage(ASK_LEADER);
    }
  };

  setDeadlines(script.dataset.idleEnd || Infinity, script.dataset.sessionEnd || Infinity, now());
  try {
    channel = new BroadcastChannel(channelName);
    channel.onmessage = ({ data }) => {
      if (data === CHANGED) querySoon();
      if (data === ASK_LEADER && stream) channel.postMessage(LEADING);
      if (data === LEADING) hasLeader = true;
    };
    if (eventsPath && navigator.locks) {
      setInterval(watchLeader, LEADER_INTERVAL);
      watchLeader();
    }
  } catch {
    listen("storage", ({ key }) => key === channelName && querySoon());
  }
  for (const type of ["keydown", "pointerdown", "wheel", "touchmove", "input"]) {
    listen(type, recordActivity, { capture: true, passive: true });
  }
  const comeBack = () => {
    resume();
    tick();
  };
  listen.call(document, "visibilitychange", comeBack);
  listen("focus", resume);
  listen("online", resume);
  listen("pageshow", ({ persisted }) => persisted && comeBack());
  listen("pagehide", ({ persisted }) => {
    // The browser shows a page from the back/forward cache before the script can query the server.
    if (persisted) setCovered(true);
    stopLeading();
    // The server has processed the request that left the page, for example a sign-out.
    notifyTabs();
  });
  if (dialog) {
    findInDialog("button").addEventListener("click", handleFirstButton);
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      handleFirstButton();
    });
    // The browser closes the dialog at a second Escape without a `cancel` event.
    dialog.addEventListener("close", () => {
      if (!shownView || leaving) return;
      showView(shownView);
      handleFirstButton();
    });
  }
  notifyTabs();
  tick();
})();
