// Registers passkeys, and confirms with one.
const show = (text) => { document.querySelector("[role=status]").textContent = text; };

// Returns the JSON of the response. Follows a challenge, and fails on errors.
async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const isJson = /json/.test(response.headers.get("content-type"));
  const json = isJson ? await response.json() : {};
  const page = json.confirm_url ?? json.login_url;
  if (page) location.assign(page);
  if (!response.ok) throw Object.assign(new Error(`${path}: ${response.status}`), json);
  return json;
}

async function register() {
  const { publicKey } = await post("/passkeys/start");
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.create({ publicKey: options });
  await post("/passkeys/finish", credential.toJSON());
  show("The passkey was added.");
}

async function confirm() {
  const { publicKey } = await post("/confirm/passkey/start");
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.get({ publicKey: options });
  const { next } = await post(`/confirm/passkey/finish${location.search}`, credential.toJSON());
  location.replace(next);
}

function explain(error) {
  if (error.attempts_left) show(`The passkey was not accepted. Attempts left: ${error.attempts_left}`);
  else show(error.name === "NotAllowedError" ? "No passkey was used." : "That did not work. Please try again.");
}

for (const [selector, action] of [["[data-register]", register], ["[data-confirm]", confirm]]) {
  document.querySelector(selector)?.addEventListener("click", () => action().catch(explain));
}
