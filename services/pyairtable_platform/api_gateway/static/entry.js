// Coming in: log in, register, prove an address, set a new password, or use a key.
import { byId } from "./dom.js";
import { logIn, useKey } from "./session.js";

const VIEWS = ["login", "register", "sent", "forgot", "reset", "key"];
let asking = null;
let resetToken = "";
let lastEmail = "";

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
    await attempt(async () => {
      const { account } = await call("/auth/verify-email", { token });
      show("login", { login: account.email });
      say("Your address is proved. Log in now.");
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
  byId("entry").setAttribute("aria-labelledby", form.querySelector("h2").id);
  const inputs = [...form.querySelectorAll("input")];
  (inputs.find((input) => !input.value) ?? form.querySelector("button"))?.focus();
}

function say(text) {
  byId("entry-note").textContent = text;
}

function complain(text) {
  byId("entry-problem").textContent = text;
}

/** Does one thing at a time and says what went wrong. */
async function attempt(work) {
  const buttons = byId("entry").querySelectorAll("button");
  complain("");
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch (error) {
    say("");
    complain(error instanceof TypeError ? "The server cannot be reached. Try again." : error.message);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** Calls what needs no credential; throws an Error with words for the reader. */
async function call(path, body) {
  const response = await fetch(`/api${path}`, {
    method: "POST",
    credentials: "same-origin",
    cache: "no-store",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || `The server answered with status ${response.status}.`);
  return answer;
}

async function enter(login, password) {
  const { tokens } = await call("/auth/login", { login, password, device: "web chat" });
  logIn(tokens);
  signedIn();
}

// --- What the forms do -------------------------------------------------------------------------------------------

const SUBMIT = {
  login: ({ login, password }) => enter(login.value.trim(), password.value),
  async register({ email, name, password }) {
    lastEmail = email.value.trim();
    const said = await call("/auth/register", { email: lastEmail, display_name: name.value.trim(), password: password.value });
    password.value = "";
    show("sent");
    say(said.message || "Look for the letter and follow its link.");
  },
  async sent() {
    const said = await call("/auth/resend-verification", { email: lastEmail });
    say(said.message || "The letter was sent again.");
  },
  async forgot({ email }) {
    const said = await call("/auth/request-password-reset", { email: email.value.trim() });
    show("login", { login: email.value.trim() });
    say(said.message || "Look for the letter and follow its link.");
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
    attempt(() => SUBMIT[view](byId(`entry-${view}`).elements));
  });
}
for (const link of document.querySelectorAll("[data-view]")) {
  link.addEventListener("click", () => show(link.dataset.view));
}
byId("entry").addEventListener("cancel", (event) => event.preventDefault()); // there is nothing behind it yet
byId("entry").addEventListener("close", () => asking && byId("entry").showModal()); // browsers close it all the same
