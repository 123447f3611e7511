// Coming in: log in, register, prove an address, set a new password, or use a key.
import { byId } from "./dom.js";
import { plainWords, problemOf, sentence } from "./problem.js";
import { logIn, useKey } from "./session.js";

const VIEWS = ["login", "register", "sent", "forgot", "reset", "key"];
let asking = null;
let resetToken = "";

/** Has the reader sign in, and says why; calls that are refused meanwhile wait for the same answer. */
export function signIn(why = "") {
  asking ??= new Promise((resolve) => { done = resolve; });
  if (!byId("entry").open) {
    byId("entry").showModal();
    show("login");
  }
  if (why && !byId("entry-note").textContent) say(why); // the first one to ask knows best
  return asking;
}

let done = () => {};

function signedIn() {
  asking = null;
  byId("entry").close();
  for (const form of byId("entry").querySelectorAll("form")) form.reset();
  done();
}

/** Takes the token out of the link of a letter (/verify-email#token=...): it does not stay in the address. */
export function takeLetter() {
  const about = location.pathname.slice(1);
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (about) history.replaceState(null, "", "/");
  return { about, token };
}

/** Proves an address or sets a new password, as a letter says; has the reader sign in then. */
export async function followLetter({ about, token }) {
  if (about !== "verify-email" && about !== "reset-password") return;
  const signed = signIn();
  if (about === "reset-password") {
    resetToken = token;
    show(token ? "reset" : "forgot");
  } else {
    say("Looking at the link");
    await attempt("login", async () => {
      const { account } = await call("/auth/verify-email", { token });
      show("login", { login: account.email });
      say("Your address is confirmed. Log in now.");
    });
  }
  await signed;
}

// --- Views -------------------------------------------------------------------------------------------------------

/** Shows one form, with what is known already in its fields; the first empty one is asked for. */
function show(view, fields = {}) {
  say("");
  complain("");
  for (const name of VIEWS) byId(`entry-${name}`).hidden = name !== view;
  const form = byId(`entry-${view}`);
  for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
  hidePasswords();
  byId("entry").setAttribute("aria-labelledby", form.querySelector("h2").id);
  const inputs = [...form.querySelectorAll("input")];
  (inputs.find((input) => !input.value) ?? form.querySelector("button"))?.focus();
}

function hidePasswords() {
  for (const box of document.querySelectorAll("[data-shows]")) {
    box.checked = false;
    box.form.elements[box.dataset.shows].type = "password";
  }
}

function say(text) {
  byId("entry-note").textContent = text;
}

/** Says what is wrong, and goes to the field that it is about. */
function complain(text, field) {
  for (const wrong of byId("entry").querySelectorAll("[aria-invalid]")) wrong.removeAttribute("aria-invalid");
  byId("entry-problem").textContent = text;
  if (!field) return;
  field.setAttribute("aria-invalid", "true");
  field.focus();
  field.select();
}

/** Does one thing at a time for a form, and says what went wrong. */
async function attempt(view, work) {
  const buttons = byId("entry").querySelectorAll("button");
  const pressed = document.activeElement;
  complain("");
  for (const button of buttons) button.disabled = true;
  let refusal = null;
  try {
    await work();
  } catch (error) {
    refusal = error;
  }
  for (const button of buttons) button.disabled = false; // before something is focused: browsers refuse it to disabled ones
  if (refusal) explain(view, refusal);
  else if (document.activeElement === document.body) pressed?.focus(); // a button loses it while it is disabled
}

/** Tells a refusal in words that say what to do now, where it can be done. */
function explain(view, error) {
  say("");
  const { elements } = byId(`entry-${view}`);
  if (error.reason === "LETTER_TOKEN_INVALID") return explainLetter(view);
  if (view === "login" && error.status === 401) return complain(NOT_LOGGED_IN, elements.password);
  const [wrong] = error.errors ?? [];
  const field = elements[FIELDS[wrong?.field] ?? wrong?.field];
  if (field) complain(sentence(`${field.labels[0].textContent.trim()} ${wrong.detail}`), field);
  else complain(plainWords(error), elements.password ?? elements.key);
}

/** The link of a letter does not count: the reader can have another at once. */
function explainLetter(view) {
  show(view === "reset" ? "forgot" : "sent");
  const remedy = view === "reset" ? "Have another letter sent." : "If your address is confirmed already, log in. If not, have the letter sent again.";
  complain(`This link was used before or has expired. ${remedy}`);
}

const NOT_LOGGED_IN =
  "This name and password do not fit together. Check both, or set a new password. Just registered? Open the link in our letter first.";
const PATIENCE = 30_000; // milliseconds until a call counts as not answered
const FIELDS = { display_name: "name", new_password: "password" }; // of requests -> of forms, where they differ

/** Calls what needs no credential. Throws Problem, TypeError when the network is away, TimeoutError without an answer. */
async function call(path, body) {
  const response = await fetch(`/api${path}`, {
    method: "POST",
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE),
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

async function enter(login, password) {
  const { tokens } = await call("/auth/login", { login, password, device: "web chat" });
  logIn(tokens);
  signedIn();
}

/** The address that was typed already, for the field of the next form. */
function addressFor(link) {
  const { login, email } = link.form.elements;
  const typed = (login ?? email)?.value.trim() ?? "";
  const target = byId(`entry-${link.dataset.view}`).elements;
  if (!typed.includes("@")) return {};
  return target.login ? { login: typed } : target.email && { email: typed };
}

// --- What the forms do -------------------------------------------------------------------------------------------

const SUBMIT = {
  login: ({ login, password }) => enter(login.value.trim(), password.value),
  async register({ email, name, password }) {
    const address = email.value.trim();
    const said = await call("/auth/register", { email: address, display_name: name.value.trim(), password: password.value });
    password.value = "";
    show("sent", { email: address });
    say(said.message);
  },
  async sent({ email }) {
    const said = await call("/auth/resend-verification", { email: email.value.trim() });
    say(said.message);
  },
  async forgot({ email }) {
    const said = await call("/auth/request-password-reset", { email: email.value.trim() });
    show("login", { login: email.value.trim() });
    say(said.message);
  },
  async reset({ password, revoke_api_keys }) {
    const body = { token: resetToken, new_password: password.value, revoke_api_keys: revoke_api_keys.checked };
    const said = await call("/auth/reset-password", body);
    password.value = "";
    show("login");
    const keys = said.revoked_api_keys ? ` API keys revoked: ${said.revoked_api_keys}.` : "";
    say(`The new password is set. Log in with it.${keys}`);
  },
  async key({ key }) {
    useKey(key.value.trim());
    signedIn();
  },
};

for (const view of VIEWS) {
  byId(`entry-${view}`).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(view, () => SUBMIT[view](byId(`entry-${view}`).elements));
  });
}
for (const link of document.querySelectorAll("[data-view]")) {
  link.addEventListener("click", () => show(link.dataset.view, { ...addressFor(link) }));
}
for (const box of document.querySelectorAll("[data-shows]")) {
  box.addEventListener("change", () => {
    box.form.elements[box.dataset.shows].type = box.checked ? "text" : "password";
  });
}
byId("entry").addEventListener("cancel", (event) => event.preventDefault()); // there is nothing behind it yet
byId("entry").addEventListener("close", () => asking && byId("entry").showModal()); // browsers close it all the same
