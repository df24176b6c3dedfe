// Helpers for Firefox that Playwright does not provide.
import assert from "node:assert/strict";
import { implementationOf, systemOf } from "./system.mjs";

const idOf = (page) => implementationOf(page).delegate._session.sessionId;

// Returns the process of a page. The browser may use one process for several tabs.
export async function processOf(page) {
  const id = await systemOf(page)((_, context) => context.currentWindowGlobal.osPid, null, idOf(page));
  // A signal to the process -1 would reach every process of the machine.
  assert.ok(id > 1, `process ${id}`);
  return id;
}

// Returns the texts that a screen reader gets from a page.
export const accessibleTexts = (page) => systemOf(page)(async (_, { embedderElement }) => {
  const service = Cc["@mozilla.org/accessibilityService;1"].getService(Ci.nsIAccessibilityService);
  // Firefox builds the tree when the service is first used.
  const findDocument = () => service.getAccessibleFor(embedderElement)?.firstChild;
  for (let n = 0; n < 100 && !findDocument()?.childCount; n += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  const texts = [];
  const visit = (node) => {
    texts.push(node.name, node.value);
    for (let child = node.firstChild; child; child = child.nextSibling) visit(child);
  };
  visit(findDocument());
  return texts;
}, null, idOf(page));

const webAuthn = (page, name, ...rest) => systemOf(page)(({ name: method, rest: parameters }) => {
  const { webauthn } = ChromeUtils.importESModule("chrome://remote/content/marionette/webauthn.sys.mjs");
  const result = webauthn[method](...parameters);
  if (method !== "getCredentials") return result;
  const keys = ["credentialId", "isResidentCredential", "rpId", "privateKey", "userHandle", "signCount"];
  return result.map((credential) => Object.fromEntries(keys.map((key) => [key, credential[key]])));
}, { name, rest });

// Adds an authenticator that confirms each request at once, such as a fingerprint reader. Returns
// its functions. All pages use the authenticator that was added last: with several, Firefox would
// let the user choose.
export async function addAuthenticator(page) {
  const browser = implementationOf(page.context().browser());
  if (browser.authenticator) await webAuthn(page, "removeVirtualAuthenticator", browser.authenticator);
  const id = await webAuthn(page, "addVirtualAuthenticator", {
    protocol: "ctap2",
    transport: "internal",
    hasResidentKey: true,
    hasUserVerification: true,
    isUserConsenting: true,
    isUserVerified: true,
  });
  browser.authenticator = id;
  return {
    credentials: () => webAuthn(page, "getCredentials", id),
    add: (credential) => webAuthn(page, "addCredential", id, credential),
    clear: () => webAuthn(page, "removeAllCredentials", id),
    setUserVerified: (isUserVerified) => webAuthn(page, "setUserVerified", id, isUserVerified),
  };
}
