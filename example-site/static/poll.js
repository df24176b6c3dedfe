// Polls the server on the dashboard, and shows the response. The request is not activity.
(() => {
  "use strict";
  const card = document.querySelector("[data-poll]");
  const { poll, active, unlimited, ended, failed } = card.dataset;
  const button = card.querySelector("button");
  const state = card.querySelector("[role=status]");
  const json = card.querySelector("pre");
  const TIMEOUT = 10_000; // of a request, in milliseconds
  let newest; // aborts the newest request

  const describe = ({ user, seconds_until_idle_end: left }) =>
    (left === null ? unlimited : active.replace("{time}", () => asClock(left)))
      .replace("{user}", () => user);

  const show = (text, body = "") => {
    state.textContent = text;
    json.firstChild.textContent = body;
    json.hidden = !body;
  };

  const request = async (signal) => {
    const response = await fetch(poll, { cache: "no-store", signal });
    const body = await response.text();
    if (response.ok) show(describe(JSON.parse(body)), body);
    else show(response.status === 401 ? ended : failed);
  };

  button.parentElement.hidden = false;
  button.addEventListener("click", async () => {
    newest?.abort();
    const aborter = (newest = new AbortController());
    setTimeout(() => aborter.abort(), TIMEOUT);
    try {
      await request(aborter.signal);
    } catch {
      if (aborter === newest) show(failed);
    }
  });
})();
