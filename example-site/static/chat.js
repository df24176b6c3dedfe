// Chat: shows the messages of the room, and sends those of the user.
//
// The server closes the socket when the session ends. The script of the warning dialog then opens
// the login page.
(() => {
  "use strict";
  const room = document.querySelector("[data-chat]");
  const log = room.querySelector("[data-log]");
  const state = room.querySelector("[data-state]");
  const texts = state.dataset; // in the language of the page
  const form = room.querySelector("form");
  const field = form.elements.text;
  const user = document.querySelector("[data-user]").textContent;
  const url = new URL(room.dataset.chat, location.href);
  url.protocol = url.protocol.replace("http", "ws");

  const SESSION_ENDED = 4401;
  const KEY_REASONS = ["renewed", "logged_out"]; // the browser may have another session key
  const TRY_LATER = 1013;
  const TOO_LONG = 1009;
  const MAX_LINES = 200;
  // Delays in milliseconds. They double with each failure, and are random, so that clients do not
  // reconnect all at once after a restart of the server.
  const FIRST_DELAY = 1000;
  const LATER_DELAY = 5000;
  const MAX_DELAY = 30_000;
  let socket, timer, failures = 0, isSignedOut = false, hasEnded = false;

  const announce = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };

  const addLine = (from, text) => {
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const line = document.createElement("p");
    const name = document.createElement("b");
    name.textContent = from;
    line.append(name, " ", text);
    line.classList.toggle("own", from === user);
    log.append(line);
    while (log.children.length > MAX_LINES) log.firstChild.remove();
    if (isAtEnd || from === user) log.scrollTop = log.scrollHeight;
  };

  const connect = () => {
    clearTimeout(timer);
    if (hasEnded || socket) return;
    socket = new WebSocket(url);
    socket.onopen = () => {
      failures = 0;
      isSignedOut = false;
      announce(texts.connected);
    };
    socket.onmessage = ({ data }) => {
      const { user: from, text } = JSON.parse(data);
      addLine(from, text);
    };
    socket.onclose = handleClose;
  };

  const reconnectIn = (delay) => {
    const longer = Math.min(delay * 2 ** failures, MAX_DELAY);
    failures += 1;
    clearTimeout(timer);
    timer = setTimeout(connect, longer * (0.75 + Math.random() / 2));
  };

  const end = () => {
    hasEnded = true;
    log.remove();
    form.remove();
    announce(texts.ended);
  };

  const handleClose = ({ code, reason }) => {
    socket = undefined;
    if (isSignedOut || (code === SESSION_ENDED && !KEY_REASONS.includes(reason))) return end();
    // The user may have signed in again in another tab, so the script reconnects once.
    if (reason === "logged_out") {
      isSignedOut = true;
      announce(texts.signedOut);
      timer = setTimeout(connect, FIRST_DELAY);
      return;
    }
    // The session continues with a new key, which the browser already has.
    if (code === SESSION_ENDED && failures === 0) {
      failures += 1;
      return connect();
    }
    announce(code === TOO_LONG ? texts.tooLong : texts.lost);
    reconnectIn(code === TRY_LATER ? LATER_DELAY : FIRST_DELAY);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (socket?.readyState !== WebSocket.OPEN) {
      return announce(texts.notSent);
    }
    socket.send(field.value);
    field.value = "";
  });
  addEventListener("online", connect);
  // A page in the back/forward cache has no connection.
  addEventListener("pagehide", () => {
    clearTimeout(timer);
    if (!socket) return;
    socket.onclose = null;
    socket.close();
    socket = undefined;
  });
  addEventListener("pageshow", ({ persisted }) => persisted && connect());
  connect();
})();
