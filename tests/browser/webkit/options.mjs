// Options of a browser context, which are environment variables of its browser.
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const C_LOCALE = "/usr/lib/locale/C.utf8";

const DEFAULTS = {
  baseURL: undefined,
  colorScheme: "light",
  javaScriptEnabled: true,
  locale: "en-US",
  timezoneId: undefined, // that of the machine
  viewport: { width: 1280, height: 720 },
};

// Returns the options with their defaults. Throws for an option that the browser would not apply.
export function readOptions(options) {
  const unknown = Object.keys(options).filter((name) => !Object.hasOwn(DEFAULTS, name));
  if (unknown.length) throw new Error(`WebKitGTK has no option ${unknown.join(", ")}`);
  const chosen = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...Object.fromEntries(chosen) };
}

// The browser takes its language from the name of the C library's locale, which must exist.
function addLocale(folder, locale) {
  const name = `${locale.replaceAll("-", "_")}.UTF-8`;
  if (!existsSync(join(folder, name))) symlinkSync(C_LOCALE, join(folder, name));
  return name;
}

// Returns the environment of a browser with these options. `env` is that of the display.
export const toEnvironment = ({ colorScheme, locale, timezoneId }, env) => ({
  ...env,
  GTK_THEME: colorScheme === "dark" ? "Adwaita:dark" : "Adwaita",
  LC_ALL: addLocale(env.LOCPATH, locale),
  ...(timezoneId && { TZ: timezoneId }),
});
