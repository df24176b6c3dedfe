// Shows times in the time zone and the language of the user.
//
// The server writes UTC, which remains as the tooltip. A time that has a tooltip already, such as
// "2 minutes ago", keeps its text.
(() => {
  "use strict";
  const format = (time) => {
    const lang = time.closest("[lang]")?.lang || undefined;
    const timeStyle = "seconds" in time.dataset ? "medium" : "short";
    // All other numbers on the page have these digits.
    const numberingSystem = "latn";
    return new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle, numberingSystem })
      .format(new Date(time.dateTime));
  };

  const localize = () => {
    for (const time of document.querySelectorAll("time[datetime]:not([title])")) {
      try {
        const text = format(time);
        time.title = time.textContent.trim();
        time.textContent = text;
      } catch {} // an unknown language, or an old browser: the text stays UTC
    }
  };

  localize();
  // The script of the devices page replaces the lists.
  const lists = document.querySelector("[data-lists]");
  if (lists) new MutationObserver(localize).observe(lists, { childList: true });
})();
