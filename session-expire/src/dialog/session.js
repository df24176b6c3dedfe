// Warns before the session ends, reports the user's activity and opens the login page at the end.
//
// The server sends the remaining seconds, and the script measures them with the monotonic clock of
// the page. Messages of other tabs and the wall clock may be wrong or forged. They only make the
// script query the server.
//
// With `data-events`, the tabs of a browser elect a leader, which receives the event stream of the
// server. With `data-lock`, the script locks a page whose idle timeout has passed: the page stays
// open, but is covered.
//
// An element with the name or id of a DOM property shadows it on `document`, on its form and in the
// global scope. The script reads such properties from the prototypes, which elements cannot shadow.
(() => {
  "use strict";
  let parameters; // the `data-` attributes of the script element
  const start = () => {
    const readProperty = (object, name) => Reflect.get(Object.getPrototypeOf(object), name, object);
    const readDocument = (name) => readProperty(document, name);
    const find = (selector) => readDocument("querySelector").call(document, selector);
    const script = readDocument("currentScript");
    // A page can contain the script twice: alone and with the dialog. Only the first script runs.
    if (script !== find("script[data-status]")) return;
    parameters = script.dataset;

    const listen = readDocument("addEventListener");
    const warnTime = parameters.warn * 1000;
    // A `<base>` element of the page must not change the URLs.
    const resolveUrl = (path) => new URL(path, location.href);
    const statusUrl = resolveUrl(parameters.status);
    const dialog = find("dialog.session-expire");
    const findInDialog = (selector) => dialog.querySelector(selector);

    // Times are in milliseconds unless the name says otherwise.
    const TICK_INTERVAL = 15_000; // longest time until the script detects a sleep of the machine
    const REQUEST_INTERVAL = 1000; // shortest time between requests that the user has not caused
    const REQUEST_TIMEOUT = 10_000;
    const RETRY_INTERVAL = 5000;
    const LOCKED_INTERVAL = 1000; // how often a locked page restores its title
    // Time between reports of activity; less for a short idle timeout.
    const REPORT_INTERVAL = 60_000;
    const LEADER_INTERVAL = 1000; // time in which the leader has to reply
    // Longest delay before a refused stream is opened again. It doubles with each refusal.
    const STREAM_INTERVAL = 5000;
    const MAX_STREAM_INTERVAL = 60_000;
    const STREAM_CLOSED = 2; // `EventSource.CLOSED`
    // Messages to the other tabs. A tab sends `ASK_LEADER`, and the leader replies with `LEADING`.
    const CHANGED = "changed";
    const ASK_LEADER = "?";
    const LEADING = "!";

    // `setDeadlines` sets these. `maxIdle` is the longest remaining idle time that the server sent.
    let idleEnd, sessionEnd, end, deadlineOffset;
    let maxIdle = 0;
    let requestedAt = -Infinity; // when the script sent its newest request
    let appliedAt; // when the script sent the request whose response it applied last
    let reportedAt = 0; // when the script, or the request of the page, last reported activity
    let activeAt; // when the user was last active, unless the script has reported it
    let warningChecked; // the script has queried the server since the warning became due
    let noticeDismissed; // the user has closed the notice of the absolute timeout
    let tokenStale = false; // the server no longer accepts the page's policy token
    let shownView; // view of the open dialog: one of the next four
    const IDLE_VIEW = "whenIdle";
    const SESSION_VIEW = "whenSession";
    const ENDED_VIEW = "whenEnded";
    const LOCKED_VIEW = "whenLocked";
    let announced; // the last announcement of the remaining time
    let pageTitle, ownTitle; // the title of the page, and the one that the script has set
    let covered; // the page shows at most the dialog
    let focused; // the element that had the focus before the dialog opened or the page was covered
    let lockEnd; // time at which a locked page leaves; unset if the page is not locked
    let releaseLead; // set while this tab leads, or has requested the lock
    let stream; // the `EventSource` of the leader
    let streamDueAt; // time at which the script opens a refused stream again
    let streamInterval = STREAM_INTERVAL;
    let hasLeader = true; // the leader has replied
    let leaving, tickTimer, requestTimer, reportTimer, channel;

    const now = () => performance.now();
    // A sleep of the machine or a change of the wall clock changes the offset.
    const clockOffset = () => Date.now() - now();
    let lastOffset = clockOffset();
    // The later of the two clocks: the monotonic clock may stop while the machine sleeps.
    const latest = () => Math.max(now(), Date.now() - deadlineOffset);
    const hasSlept = () => Math.abs(clockOffset() - lastOffset) > 2 * REQUEST_INTERVAL;
    // The page must not show its content until the server responds.
    const mustCover = () => covered || latest() >= end;
    const isLocked = () => latest() < lockEnd;
    const emit = (type, detail) =>
      readDocument("dispatchEvent").call(
        document,
        new CustomEvent("session-expire:" + type, { detail }),
      );

    const setDeadlines = (measuredAt, offset, idleSeconds, sessionSeconds) => {
      end = Math.min(
        (idleEnd = measuredAt + idleSeconds * 1000),
        (sessionEnd = measuredAt + sessionSeconds * 1000),
      );
      maxIdle = Math.max(maxIdle, idleSeconds * 1000);
      deadlineOffset = offset; // from before the request: the machine may have slept since
    };

    const saveFocus = () => (focused ??= readDocument("activeElement"));

    // The user can neither see nor focus the content of a covered page. Returns `true` if the
    // covered page cannot show the dialog either.
    const setCovered = (value) => {
      const root = readDocument("documentElement");
      if (value) saveFocus();
      covered = value;
      // The style sheet hides all elements except the dialog. The script hides the whole page if
      // the dialog or the style sheet is missing: the page may have replaced its body since.
      root.toggleAttribute("data-session-over", value);
      root.style.setProperty("visibility", value ? "hidden" : "", "important");
      const isHidden =
        value && !(dialog?.isConnected && getComputedStyle(readDocument("body")).opacity === "0");
      root.style.setProperty("display", isHidden ? "none" : "", "important");
      return isHidden;
    };

    // A hidden element loses the focus, and the user loses the position of the caret.
    const restoreFocus = () => {
      if (focused) readProperty(focused, "focus").call(focused, { preventScroll: true });
      focused = undefined;
    };

    // Without a channel, the other tabs query the server when they get the focus, and at a
    // deadline.
    const notifyTabs = () => channel?.postMessage(CHANGED);

    const leavePage = (detail, isUncertain) => {
      emit("end", detail);
      notifyTabs();
      const target = resolveUrl(parameters.login);
      const path = parameters.next ?? location.pathname + location.search + location.hash;
      if (path) target.searchParams.set("next", path);
      leaving = true;
      // After a login of another user or a change of the policy, the server may still show this
      // page. The script does not reload the response to a form, because the browser would send it
      // again.
      if ((detail.state === "replaced" || isUncertain) && !("next" in parameters)) {
        location.reload();
      } else {
        location.replace(target);
      }
    };

    // The page may have changed its title since.
    const updateTitle = (time) => {
      const current = readDocument("title");
      if (current !== ownTitle) pageTitle = current;
      const title =
        shownView === LOCKED_VIEW
          ? findInDialog("h2").textContent
          : shownView && readDocument("hidden")
            ? "(" + time + ") " + pageTitle
            : pageTitle;
      if (title !== current) Reflect.set(Object.getPrototypeOf(document), "title", title, document);
      ownTitle = readDocument("title");
    };

    const formatTime = (seconds) => {
      const unit = seconds < 60 ? "second" : "minute";
      const value = seconds < 60 ? seconds : Math.ceil(seconds / 60);
      const format = (language) =>
        (dialog.getAttribute("data-" + unit + "-" + new Intl.PluralRules(language).select(value)) ??
          dialog.getAttribute("data-" + unit + "-other"))?.replace("{n}", value) ??
        value.toLocaleString(language, { style: "unit", unit, unitDisplay: "long" });
      try {
        return format(readProperty(dialog.closest("[lang]"), "lang").replaceAll("_", "-"));
      } catch {
        return format(); // the page has no `lang` attribute, or its language is invalid
      }
    };

    const showAlert = (name) => {
      const alert = findInDialog("[role=alert]");
      alert.textContent = alert.dataset[name]; // empty without a name
    };

    const showView = (view) => {
      const seconds = Math.ceil(Math.max(0, end - now()) / 1000);
      const time = formatTime(seconds);
      // A screen reader announces the remaining time at these seconds.
      const announcement = [5, 15, 30, 60].find((mark) => seconds <= mark);
      const isNew = shownView !== view;
      for (const element of dialog.querySelectorAll("[data-when-idle]")) {
        // A screen reader announces each change of a live region. The script changes the visible
        // text every second, and the live region only if there is a new announcement.
        const text = element.dataset[view].replace("{time}", time);
        if (
          element.textContent !== text &&
          (!element.getAttribute("aria-live") || isNew || announcement !== announced)
        ) {
          element.textContent = text;
        }
      }
      if (isNew) showAlert();
      findInDialog("button + button").hidden = covered;
      shownView = view;
      announced = announcement;
      updateTitle(time);
      saveFocus();
      // A modal dialog that the page has opened since has the focus, and makes this one inert.
      if (covered && !dialog.contains(readDocument("activeElement"))) dialog.close();
      if (!dialog.open) dialog.showModal();
    };

    const closeDialog = () => {
      shownView = announced = undefined;
      updateTitle();
      dialog?.close();
      restoreFocus();
    };

    const tick = async () => {
      clearTimeout(tickTimer);
      if (leaving) return;
      const remaining = end - now();
      const untilWarning = remaining - warnTime;
      tickTimer = setTimeout(
        tick,
        isLocked()
          ? LOCKED_INTERVAL
          : mustCover()
            ? RETRY_INTERVAL
            : untilWarning > 0
              ? Math.min(untilWarning, TICK_INTERVAL)
              : remaining % 1000 || 1000, // until the next full second
      );
      try {
        if (isLocked()) {
          showEnd();
        } else if (mustCover()) {
          setCovered(true);
          await queryServer();
        } else if (!readDocument("hidden") && hasSlept()) {
          resume();
        } else if (
          untilWarning <= 0 &&
          dialog?.isConnected &&
          (idleEnd < sessionEnd || !noticeDismissed)
        ) {
          openWarning(idleEnd < sessionEnd ? IDLE_VIEW : SESSION_VIEW);
        }
      } catch (error) {
        // An error in the script must not keep the page open past its deadline.
        try {
          if (mustCover()) leavePage({}, true);
        } catch {
          location.reload();
        }
        throw error;
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

    // Covers a page that is locked, or whose session may have ended. `hasState` is true if the
    // server has sent a state: the session may still be active.
    const showEnd = (hasState) => {
      if (!setCovered(true)) showView(isLocked() ? LOCKED_VIEW : ENDED_VIEW);
      // Without a dialog, the user can neither try again nor unlock the page.
      else if (!hasState) leavePage({});
    };

    // The page stays open while the user signs in again in another tab. The dialog must show
    // nothing about the session.
    const lockPage = () => {
      if (!lockEnd) {
        lockEnd = latest() + parameters.lock * 1000;
        statusUrl.searchParams.set("locked", 1);
        stopLeading();
        emit("lock");
        notifyTabs();
      }
      tick();
    };

    const setTokenStale = (value) => {
      tokenStale = value;
      if (stream) openStream();
      querySoon();
    };

    // Returns the body of the response. Returns nothing if the network failed, if the server did
    // not respond in time, or if the body is unreadable. A proxy may respond with its own page.
    const request = async (url, options, read) => {
      const aborter = new AbortController();
      setTimeout(() => aborter.abort(), REQUEST_TIMEOUT);
      // An exception of the call is a fault of the script. A failed request rejects the promise.
      const response = fetch(url, { cache: "no-store", signal: aborter.signal, ...options });
      try {
        return await (await response)[read]();
      } catch {} // only network errors may end here
    };

    // The parameters belong to the former session. The script reads new ones from the markup of the
    // same page. It requests the page with the header of a prefetch: flash messages stay unread.
    const renewParameters = async (isRepeated) => {
      const options = { headers: { purpose: "prefetch" }, redirect: "error" };
      const page = await request(location.href, options, "text");
      const query = page?.match(/ data-status="[^"]+(\?policy[^"]+)/);
      if (query) {
        statusUrl.search = query[1].replace("&amp;", "&");
        setTokenStale(false);
      } else if (!isRepeated) {
        // Without a new token, the application's policy stays in force.
        setTimeout(renewParameters, TICK_INTERVAL, true);
      }
    };

    // Requests the status, or reports activity if there is a body. Returns `true` if the session is
    // active.
    const queryServer = async (body, isClick, isRepeated) => {
      const sentAt = (requestedAt = now());
      const offset = (lastOffset = clockOffset());
      const { state, reason, policy, seconds_until_idle_end, seconds_until_session_end } =
        (await request(
          body ? resolveUrl(parameters.keepAlive) : statusUrl,
          { method: body && "POST", body },
          "json",
        )) ?? {};
      // The script has applied the response to a later request, which may not include this
      // activity.
      if (state && sentAt < appliedAt) return body && queryServer();
      if (leaving) return;
      if (state) appliedAt = sentAt;
      // The policies have changed since the server rendered the page. Without the token, the server
      // applies the application's policy, which may be stricter than the policy of the page.
      if (policy === "stale" && !tokenStale) {
        statusUrl.searchParams.delete("policy");
        setTokenStale(true);
      }
      // A timeout under the application's policy must not end the page before its own deadline.
      const isUncertain = tokenStale && /idle|absolute/.test(reason);
      if (state === "active") {
        setDeadlines(
          sentAt,
          offset,
          seconds_until_idle_end ?? Infinity,
          seconds_until_session_end ?? Infinity,
        );
        streamInterval = STREAM_INTERVAL;
        if (body) notifyTabs();
        setCovered(false);
        if (end - now() > warnTime) warningChecked = noticeDismissed = false;
        if (!warningChecked || lockEnd || shownView === ENDED_VIEW) closeDialog();
        if (!shownView) restoreFocus();
        if (lockEnd) {
          lockEnd = undefined;
          statusUrl.searchParams.delete("locked");
          emit("unlock");
          if (!("next" in parameters)) renewParameters();
        }
        emit("active", { idle: seconds_until_idle_end, session: seconds_until_session_end });
        tick();
        return true;
      }
      if (!isRepeated && /renewed|logged_out/.test(reason)) {
        // A parallel request has changed the session key, or signed in again. The browser may not
        // have received the new cookie in time, so the script queries once more.
        if (reason === "logged_out") setCovered(true);
        setTimeout(queryServer, REQUEST_INTERVAL, undefined, isClick, true);
      } else if (/expired|anonymous|replaced/.test(state) && (covered || !isUncertain)) {
        const isHidden = setCovered(true);
        // Another tab may have shown the reason. The server then no longer has it.
        const isIdle =
          reason === "idle" ||
          (state === "anonymous" && (lockEnd || (latest() >= idleEnd && latest() < sessionEnd)));
        if (isIdle && parameters.lock && !(latest() >= lockEnd) && !isHidden) lockPage();
        else leavePage({ state, reason }, isUncertain);
      } else {
        // The server closes the stream, and the browser would reconnect every second.
        if (state) stream?.close();
        // The next tick sends another request.
        if (mustCover()) showEnd(state);
        if (isClick && shownView) showAlert("text");
      }
    };

    // Reports to the server when the user was last active.
    const reportActivity = async (isClick) => {
      const body = new URLSearchParams(statusUrl.search);
      reportedAt = now();
      const lastActivity = isClick ? reportedAt : activeAt;
      activeAt = undefined;
      body.set("idle_for", (reportedAt - lastActivity) / 1000);
      if (!(await queryServer(body, isClick))) activeAt ??= lastActivity;
    };

    const recordActivity = ({ isTrusted }) => {
      if (!isTrusted || shownView || leaving || idleEnd === Infinity) return;
      activeAt = now();
      clearTimeout(reportTimer);
      reportTimer = setTimeout(
        () => activeAt && reportActivity(),
        reportedAt + Math.min(REPORT_INTERVAL, (maxIdle - warnTime) / 2) - activeAt,
      );
    };

    const querySoon = () => {
      clearTimeout(requestTimer);
      requestTimer = setTimeout(queryServer, requestedAt + REQUEST_INTERVAL - now());
    };

    // Timers stop while the machine sleeps, or the tab is frozen or in the back/forward cache. The
    // monotonic clock may stop too, and the user can set the wall clock. If the session may have
    // ended by either clock, the script covers the page until the server responds.
    const resume = () => {
      if (leaving || readDocument("hidden")) return;
      if (mustCover()) setCovered(true);
      if (covered || now() > requestedAt + REQUEST_INTERVAL) queryServer();
    };

    const openLogin = () => {
      const target = resolveUrl(parameters.signIn);
      target.searchParams.set("next", new URL("signed-in", statusUrl).pathname);
      const tab = open(target);
      // A tab that a script has opened can close itself. It must not have access to this page.
      if (tab) tab.opener = null;
      else showAlert("blocked");
    };

    const handleFirstButton = (click) => {
      if (shownView === IDLE_VIEW) return reportActivity(true);
      if (shownView === SESSION_VIEW) {
        noticeDismissed = true;
        return closeDialog();
      }
      // The browser permits a new tab after a click, but not after Escape.
      if (shownView === LOCKED_VIEW && click) return openLogin();
      queryServer(undefined, true);
    };

    const openStream = () => {
      stream?.close();
      const url = resolveUrl(parameters.events);
      url.search = statusUrl.search;
      streamDueAt = now() + streamInterval / (1 + Math.random());
      streamInterval = Math.min(2 * streamInterval, MAX_STREAM_INTERVAL);
      stream = new EventSource(url);
      // An event may be outdated, so the script does not apply it. It queries the server, as the
      // other tabs do.
      stream.onmessage = () => {
        notifyTabs();
        querySoon();
      };
    };

    const stopLeading = () => {
      stream?.close();
      stream = releaseLead = releaseLead?.();
    };

    const lead = () => {
      const released = new Promise((resolve) => (releaseLead = resolve));
      const release = releaseLead;
      hasLeader = true;
      navigator.locks
        .request(parameters.channel, { steal: true }, () => {
          // Another tab may have stolen the lock before the browser calls this.
          if (release === releaseLead) {
            queueMicrotask(openStream); // `catch` must not hide its errors
            channel.postMessage(LEADING);
          }
          return released;
        })
        .catch(() => release === releaseLead && stopLeading()); // another tab has stolen the lock
    };

    // A visible tab asks for the leader, and leads if there is no reply. The browser releases the
    // lock of a closed tab, but not the lock of a frozen tab. Timers of hidden tabs may run once a
    // minute.
    const watchLeader = () => {
      if (leaving || lockEnd) return stopLeading();
      if (stream) {
        // The browser does not reconnect after a refusal.
        if (stream.readyState === STREAM_CLOSED && now() > streamDueAt) openStream();
      } else if (!readDocument("hidden")) {
        if (!hasLeader) return lead();
        hasLeader = false;
        channel.postMessage(ASK_LEADER);
      }
    };

    const openChannel = () => {
      try {
        channel = new BroadcastChannel(parameters.channel);
      } catch {
        return; // the browser may refuse a channel
      }
      channel.onmessage = ({ data }) => {
        if (data === CHANGED) querySoon();
        if (data === ASK_LEADER && stream) channel.postMessage(LEADING);
        if (data === LEADING) hasLeader = true;
      };
      if (parameters.events && navigator.locks && self.EventSource) {
        setInterval(watchLeader, LEADER_INTERVAL);
        watchLeader();
      }
    };

    const comeBack = () => {
      resume();
      tick();
    };

    const listenToPage = () => {
      for (const type of ["keydown", "pointerdown", "wheel", "touchmove", "input"]) {
        listen(type, recordActivity, { capture: true, passive: true });
      }
      listen.call(document, "visibilitychange", comeBack);
      listen("focus", resume);
      listen("online", resume);
      listen("pageshow", ({ persisted }) => persisted && comeBack());
      listen("pagehide", ({ persisted }) => {
        // The browser shows a page from the back/forward cache before the script can query the
        // server.
        if (persisted) setCovered(true);
        stopLeading();
        // The server has processed the request that left the page, for example a sign-out.
        notifyTabs();
      });
    };

    const listenToDialog = () => {
      listen.call(findInDialog("button"), "click", handleFirstButton);
      listen.call(dialog, "cancel", (event) => {
        event.preventDefault();
        handleFirstButton();
      });
      // The browser closes the dialog at a second Escape without a `cancel` event.
      listen.call(dialog, "close", () => {
        if (!shownView || leaving || dialog.open) return;
        showView(shownView);
        handleFirstButton();
      });
    };

    setDeadlines(
      now(),
      lastOffset,
      parameters.idleEnd || Infinity,
      parameters.sessionEnd || Infinity,
    );
    openChannel();
    listenToPage();
    if (dialog) listenToDialog();
    notifyTabs();
    tick();
  };

  try {
    start();
  } catch (error) {
    // If the script fails at the start, the browser reloads the page at its deadline, and the
    // server decides. A delay above this maximum would overflow, and the timer would run at once.
    parameters ??= document.currentScript.dataset; // a prototype may be broken
    setTimeout(
      () => location.reload(),
      Math.min(parameters.idleEnd || Infinity, parameters.sessionEnd || Infinity, 2e6) * 1000,
    );
    throw error;
  }
})();
