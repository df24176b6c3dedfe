// Confirmation of a session with a passkey, at the site of tests/passkey.
import assert from "node:assert/strict";
import { addAuthenticator } from "./engine.mjs";
import { test } from "./scenarios.mjs";
import { atSite, newFolder, path, startProgram, visit } from "./site.mjs";

const OLD = 601; // seconds after which the session is not fresh

// Runs a test in which alice is signed in. `site.advance` moves the clock of the site.
const signedIn = (run) => atSite(() => startProgram("passkey-site", ["--test-clock"], newFolder()), async (page, site) => {
  site.advance = async (seconds) => {
    site.input.write(`${seconds}\n`);
    assert.equal((await site.lines.next()).value, `advanced ${seconds}`);
  };
  await signIn(page, "alice");
  await run(page, site, await addAuthenticator(page));
});

async function signIn(page, user) {
  await page.goto("/login");
  await page.fill("[name=username]", user);
  await page.fill("[name=password]", user);
  await follow(page, "button", "/");
}

const START = /\/confirm\/passkey\/start/;
const FINISH = /\/confirm\/passkey\/finish/;

// Clicks, and waits until the page with this path has loaded.
const follow = (page, selector, pathname) =>
  Promise.all([page.waitForURL((url) => url.pathname === pathname), page.click(selector)]);

const status = (page, text) => page.locator("[role=status]", { hasText: text }).waitFor();

async function register(page) {
  await page.goto("/settings");
  await page.click("[data-register]");
  await status(page, "The passkey was added.");
}

// Opens a page that asks for a confirmation.
async function askedToConfirm(page, site) {
  await site.advance(OLD);
  await page.goto("/settings");
  assert.equal(path(page), "/confirm?next=/settings");
}

const confirm = (page) => follow(page, "[data-confirm]", "/settings");

// Changes the options that the page gets from the site.
const changeOptions = (page, change) => page.route(START, async (route) => {
  const response = await route.fetch();
  const json = await response.json();
  change(json.publicKey);
  await route.fulfill({ response, json });
});

const forgetChallenge = (options) => { options.challenge = "AAAAAAAAAAAAAAAAAAAAAA"; };

// Sends a request as the page's script does. Returns the status, and the JSON if there is any.
const post = (page, where, body) => page.evaluate(async ([path, body]) => {
  const headers = { accept: "application/json", "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body });
  return [response.status, await response.json().catch(() => null)];
}, [where, body]);

// Records what the page sends to this path.
function record(page, path) {
  const sent = [];
  page.on("request", (request) => {
    if (path.test(request.url())) sent.push(request.postData());
  });
  return sent;
}

// Registers a passkey again, with a new challenge and with these changes. Clients can do so, because
// a registration is not signed.
async function registerAgain(page, registration, changes) {
  const [, { publicKey: { challenge } }] = await post(page, "/passkeys/start");
  const forged = JSON.parse(registration);
  const client = JSON.parse(Buffer.from(forged.response.clientDataJSON, "base64url"));
  const data = JSON.stringify({ ...client, challenge, ...changes });
  forged.response.clientDataJSON = Buffer.from(data).toString("base64url");
  return post(page, "/passkeys/finish", JSON.stringify(forged));
}

test("passkey confirms the session and leads back", signedIn(async (page, site) => {
  await register(page);
  const [before] = await page.context().cookies();
  await askedToConfirm(page, site);
  await confirm(page);
  const [after] = await page.context().cookies();
  assert.notEqual(after.value, before.value);
  await site.advance(OLD - 2);
  await page.goto("/settings");
  assert.equal(path(page), "/settings");
}));

test("passkey confirms as often as it is asked to", signedIn(async (page, site) => {
  await register(page);
  for (let n = 0; n < 3; n += 1) {
    await askedToConfirm(page, site);
    await confirm(page);
  }
}));

test("password confirms a user without a passkey", signedIn(async (page, site) => {
  await askedToConfirm(page, site);
  assert.equal(await page.locator("[data-confirm]").count(), 0);
  await page.fill("[name=password]", "alice");
  await follow(page, "button", "/settings");
}));

test("passkey can be added only to a fresh session", signedIn(async (page, site) => {
  await page.goto("/settings");
  await site.advance(OLD);
  await follow(page, "[data-register]", "/confirm");
  assert.equal(path(page), "/confirm?next=/settings");
}));

test("passkey is not added twice", signedIn(async (page) => {
  await register(page);
  await page.click("[data-register]");
  await status(page, "That did not work.");
}));

test("passkey of another user cannot be registered", signedIn(async (page) => {
  const registrations = record(page, /\/passkeys\/finish/);
  await register(page);
  await signIn(page, "bob");
  assert.deepEqual(await registerAgain(page, registrations[0]), [409, null]);
}));

test("passkey from a page of another origin cannot be registered", signedIn(async (page, site) => {
  const registrations = record(page, /\/passkeys\/finish/);
  await register(page);
  await signIn(page, "bob");
  for (const origin of ["http://localhost", "http://sub.localhost", site.address.replace("http:", "https:")]) {
    assert.deepEqual(await registerAgain(page, registrations[0], { origin }), [400, null], origin);
  }
}));

test("passkey of another user does not confirm", signedIn(async (page, site, authenticator) => {
  await register(page);
  const [own] = await authenticator.credentials();
  await signIn(page, "bob");
  await register(page);
  await askedToConfirm(page, site);
  await changeOptions(page, (options) => {
    const id = Buffer.from(own.credentialId, "base64").toString("base64url");
    options.allowCredentials = [{ type: "public-key", id }];
  });
  await page.click("[data-confirm]");
  await status(page, "Attempts left: 4");
  await page.goto("/settings");
  assert.equal(path(page), "/confirm?next=/settings");
}));

test("passkey without user verification does not confirm", signedIn(async (page, site, authenticator) => {
  await register(page);
  await askedToConfirm(page, site);
  await authenticator.setUserVerified(false);
  await page.click("[data-confirm]");
  await status(page, "No passkey was used.");
  await changeOptions(page, (options) => { options.userVerification = "discouraged"; });
  await page.click("[data-confirm]");
  await status(page, "Attempts left: 4");
}));

test("replayed assertion does not confirm", signedIn(async (page, site) => {
  const assertions = record(page, FINISH);
  await register(page);
  await askedToConfirm(page, site);
  await confirm(page);
  await askedToConfirm(page, site);
  assert.deepEqual(await post(page, "/confirm/passkey/finish", assertions[0]), [403, { attempts_left: 4 }]);
  await post(page, "/confirm/passkey/start");
  assert.deepEqual(await post(page, "/confirm/passkey/finish", assertions[0]), [403, { attempts_left: 3 }]);
}));

test("assertion that failed once does not confirm later", signedIn(async (page, site) => {
  const assertions = record(page, FINISH);
  await register(page);
  await askedToConfirm(page, site);
  await page.route(FINISH, (route) => route.abort());
  await page.click("[data-confirm]");
  await status(page, "That did not work.");
  await page.unroute(FINISH);
  const forged = JSON.parse(assertions[0]);
  forged.response.signature = forged.response.signature.replace(/^.{8}/, "AAAAAAAA");
  assert.deepEqual(await post(page, "/confirm/passkey/finish", JSON.stringify(forged)), [403, { attempts_left: 4 }]);
  assert.deepEqual(await post(page, "/confirm/passkey/finish", assertions[0]), [403, { attempts_left: 3 }]);
}));

test("challenge is valid for five minutes", signedIn(async (page, site) => {
  const assertions = record(page, FINISH);
  await register(page);
  await askedToConfirm(page, site);
  await page.route(FINISH, (route) => route.abort());
  for (const [seconds, expected] of [[300, [403, { attempts_left: 4 }]], [299, [200, { next: "/" }]]]) {
    await page.click("[data-confirm]");
    await status(page, "That did not work.");
    await site.advance(seconds);
    await page.unroute(FINISH);
    assert.deepEqual(await post(page, "/confirm/passkey/finish", assertions.at(-1)), expected);
    await page.route(FINISH, (route) => route.abort());
    await page.reload();
  }
}));

test("cloned passkey does not confirm", signedIn(async (page, site, authenticator) => {
  await register(page);
  const [clone] = await authenticator.credentials();
  for (let n = 0; n < 2; n += 1) {
    await askedToConfirm(page, site);
    await confirm(page);
  }
  // The clone has not counted these two uses.
  await authenticator.clear();
  await authenticator.add(clone);
  await askedToConfirm(page, site);
  await page.click("[data-confirm]");
  await status(page, "Attempts left: 4");
}));

test("passkey and its clone do not both confirm", signedIn(async (page, site, authenticator) => {
  const assertions = record(page, FINISH);
  await register(page);
  const [credential] = await authenticator.credentials();
  const other = await visit(page.context().browser(), site);
  await signIn(other, "alice");
  await page.bringToFront(); // a browser may ask for a passkey only in the tab that is in front
  await askedToConfirm(page, site);
  await page.route(FINISH, (route) => route.abort());
  await page.click("[data-confirm]");
  await status(page, "That did not work.");
  await (await addAuthenticator(other)).add(credential);
  await other.bringToFront();
  await other.goto("/settings");
  await confirm(other);
  await page.unroute(FINISH);
  assert.deepEqual(await post(page, "/confirm/passkey/finish", assertions[0]), [403, { attempts_left: 4 }]);
}));

test("five failures end the session", signedIn(async (page, site) => {
  await register(page);
  await askedToConfirm(page, site);
  await changeOptions(page, forgetChallenge);
  for (let left = 4; left > 0; left -= 1) {
    await page.click("[data-confirm]");
    await status(page, `Attempts left: ${left}`);
  }
  await follow(page, "[data-confirm]", "/login");
  await page.goto("/");
  assert.equal(path(page), "/login");
}));

test("success sets the number of failures to zero", signedIn(async (page, site) => {
  await register(page);
  for (let n = 0; n < 2; n += 1) {
    await askedToConfirm(page, site);
    await changeOptions(page, forgetChallenge);
    await page.click("[data-confirm]");
    await status(page, "Attempts left: 4");
    await page.unroute(START);
    await confirm(page);
  }
}));

test("return path to another site is ignored", signedIn(async (page, site) => {
  await register(page);
  await site.advance(OLD);
  await page.goto("/confirm?next=https://evil.example/");
  await follow(page, "[data-confirm]", "/");
  assert.equal(new URL(page.url()).origin, site.address);
}));
