// Pages of the example site, for checks that apply to all of them.
import { signIn } from "./site.mjs";

// Path → user of the pages that respond with 200.
export const PATHS = {
  "/": null,
  "/login": null,
  "/login?next=/settings": null,
  "/dashboard": "alice",
  "/editor": "alice",
  "/chat": "alice",
  "/devices": "alice",
  "/devices/others": "alice",
  "/vault": "alice",
  "/settings": "alice",
  "/confirm?next=/devices": "alice",
  "/admin/": "root",
  "/admin/users": "root",
  "/admin/sessions": "root",
  "/admin/audit": "root",
};

// Submits a form as a page of the site would.
const submit = async (page, path, fields = {}) => {
  await page.evaluate(([action, values]) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action });
    for (const [name, value] of Object.entries(values)) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    document.body.append(form);
    document.documentElement.toggleAttribute("data-submitted", true);
    form.submit();
  }, [path, fields]);
  await page.waitForSelector("html:not([data-submitted]) > body");
  await page.waitForLoadState();
};

export const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const BROWSERS = [
  IPHONE,
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
];

// Signs in with another browser. Returns its cookies.
export const signInElsewhere = async (site, user = "alice", number = 0) => {
  const response = await fetch(`${site.address}/login`, {
    method: "POST", redirect: "manual", headers: { "user-agent": BROWSERS[number % BROWSERS.length] },
    body: new URLSearchParams({ username: user, password: user }),
  });
  return response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; ");
};

const openAs = (user, path) => async (page) => {
  if (user) await signIn(page, user);
  await page.goto(path);
};

const submitAs = (user, path, fields) => async (page) => {
  await openAs(user, "/login")(page);
  await submit(page, path, fields);
};

// Returns a function that opens a page in another language.
const openIn = (language, user, path) => async (page) => {
  await openAs(user, user ? path : "/")(page);
  await submit(page, "/language", { language });
  await page.goto(path);
};

// Name → function that opens a page or an error for which a path is not enough.
const prepared = {
  "home page of a user": openAs("alice", "/"),
  "login page of a user": openAs("alice", "/login"),
  "login page after a sign-out": submitAs("alice", "/logout"),
  "devices page with many sessions": async (page, site) => {
    await signIn(page, "root");
    for (let number = 0; number < 40; number += 1) await signInElsewhere(site, "root", number);
    await page.goto("/devices");
  },
  "devices page with past sessions and a message": async (page, site) => {
    await signInElsewhere(site);
    await signIn(page);
    await page.goto("/devices");
    await submit(page, "/devices/end-others");
  },
  "confirmation of a sign-out elsewhere": async (page, site) => {
    await signInElsewhere(site);
    await signIn(page);
    await page.goto("/devices/others");
  },
  "settings page after a change": async (page) => {
    await signIn(page);
    await page.goto("/settings");
    await page.getByRole("radio", { name: "Large" }).check();
    await page.getByRole("button", { name: "Save text size" }).click();
    await page.waitForSelector("body.large");
  },
  "chat after a message": async (page) => {
    await signIn(page);
    await page.goto("/chat");
    await page.waitForFunction(() => document.querySelector("[data-state]").textContent.startsWith("Connected"));
    await page.fill("[name=text]", "Hello");
    await page.press("[name=text]", "Enter");
    await page.waitForSelector("[role=log] p");
  },
  "list of filtered sessions": openAs("root", "/admin/sessions?user=root&reason=open&from=2026-01-01&to=2126-12-31"),
  "page during an impersonation": async (page) => {
    await signIn(page, "root");
    await page.goto("/admin/users");
    await page.getByRole("button", { name: "Act as alice" }).click();
    await page.waitForURL("**/dashboard");
    await page.goto("/devices");
  },
  "end of the sign-in for a locked page": openAs(null, "/session/signed-in"),
  "400": openAs("root", "/admin/sessions?from=never"),
  "401 of the login page": submitAs(null, "/login", { username: "alice", password: "wrong" }),
  "401 of the confirmation page": submitAs("alice", "/confirm", { password: "wrong", next: "/devices" }),
  "403": openAs("alice", "/admin/"),
  "404": openAs(null, "/missing"),
  "404 of a user": openAs("alice", "/missing"),
  "405": submitAs("alice", "/dashboard"),
  "413": submitAs("alice", "/editor", { title: "Notes", text: "x".repeat(600_000) }),
};

const LANGUAGES = ["de", "ar"];
const TRANSLATED = ["/", "/login", "/dashboard", "/editor", "/devices", "/settings", "/confirm?next=/devices"];

const translated = LANGUAGES.flatMap((language) => TRANSLATED.map((path) =>
  [`${path} in the language ${language}`, openIn(language, PATHS[path], path)]));

const withFlags = (flags, open) => ({ flags: ["--registry", "memory", ...flags], open });

// Name → flags of the site and a function that opens the page.
export const PAGES = {
  ...Object.fromEntries(Object.entries(PATHS).map(([path, user]) => [path, withFlags([], openAs(user, path))])),
  ...Object.fromEntries([...Object.entries(prepared), ...translated].map(([name, open]) => [name, withFlags([], open)])),
  "login page after an eviction": withFlags(["--max-sessions", "1", "--live", "off"], async (page, site) => {
    await signIn(page);
    await signInElsewhere(site);
    await page.goto("/dashboard");
  }),
  "page for ended sessions": withFlags(["--max-sessions", "1", "--live", "off", "--expired-url", "/session-ended"], async (page, site) => {
    await signIn(page);
    await signInElsewhere(site);
    await page.goto("/dashboard");
  }),
  "409 of a refused login": withFlags(["--max-sessions", "1", "--overflow", "refuse"], async (page, site) => {
    await signInElsewhere(site);
    await submitAs(null, "/login", { username: "alice", password: "alice" })(page);
  }),
};
