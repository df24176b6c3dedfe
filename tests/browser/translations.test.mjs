// The dialog in the languages of the library, with markup from the server.
import assert from "node:assert/strict";
import { test } from "./scenarios.mjs";
import { at, dialog, inPageTime, isOpen, signIn } from "./site.mjs";

const text = (page, attribute) => page.locator(`dialog.session-expire [${attribute}]`).textContent();

// Opens a page that always shows the warning, in the language that the user has chosen.
const translated = (language, run) => at(["--idle", "50m", "--warn", "40m"], async (page, site) => {
  await page.context().addCookies([{ name: "language", value: language, url: site.address }]);
  await signIn(page);
  const server = await inPageTime(page, { idle: 3000, warn: 2400 });
  await page.goto("/dashboard");
  await server.stopTime();
  await run(page, server);
});

const LANGUAGES = {
  en: { dir: "ltr", stay: "Stay signed in", times: [[120, "in 2 minutes."], [1, "in 1 second."]] },
  de: { dir: "ltr", stay: "Angemeldet bleiben", times: [[120, "in 2 Minuten abgemeldet."], [1, "in 1 Sekunde abgemeldet."]] },
  fr: { dir: "ltr", stay: "Prolonger la session", times: [[120, "dans 2\u00a0minutes."], [1, "dans 1\u00a0seconde."]] },
  es: { dir: "ltr", stay: "Mantener la sesión", times: [[120, "en 2\u00a0minutos."], [1, "en 1\u00a0segundo."]] },
  pl: {
    dir: "ltr",
    stay: "Przedłuż sesję",
    times: [
      [22 * 60, "za 22 minuty."], [21 * 60, "za 21 minut."], [300, "za 5 minut."], [120, "za 2 minuty."],
      [60, "za 1 minutę."], [22, "za 22 sekundy."], [5, "za 5 sekund."], [2, "za 2 sekundy."], [1, "za 1 sekundę."],
    ],
  },
  ar: {
    dir: "rtl",
    stay: "تمديد الجلسة",
    times: [
      [11 * 60, "بعد 11 دقيقة."], [180, "بعد 3 دقائق."], [120, "بعد دقيقتين."], [60, "بعد دقيقة واحدة."],
      [11, "بعد 11 ثانية."], [3, "بعد 3 ثوانٍ."], [2, "بعد ثانيتين."], [1, "بعد ثانية واحدة."],
    ],
  },
};

for (const [language, { dir, stay, times }] of Object.entries(LANGUAGES)) {
  test(`warning is in the language ${language}`, translated(language, async (page, server) => {
    for (const [seconds, words] of times) {
      await server.pass(3000 - seconds - server.now);
      assert.equal(await isOpen(page), true);
      const shown = await text(page, "aria-hidden");
      assert.ok(shown.endsWith(` ${words}`), `${shown} and not ${words}`);
    }
    const [lang, direction] = await dialog(page).evaluate((element) => [element.lang, getComputedStyle(element).direction]);
    assert.deepEqual([lang, direction], [language, dir]);
    assert.equal(await page.locator("dialog.session-expire button").first().textContent(), stay);
  }));
}
