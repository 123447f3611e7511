// Who the reader is to the door: a person's login or a key. Kept in this tab until it is closed, never in an address or
// a cookie.
//
// A refresh token counts once. Tabs that share a login (a tab that was duplicated, or opened beside another) therefore
// refresh one at a time and tell each other the outcome.
const STORED = "session";
const EARLY = 30_000; // milliseconds before its end that an access token is replaced
const ANSWER = 150; // milliseconds in which other tabs answer

const tabs = new BroadcastChannel("pyairtable-session");
const listeners = new Set();

/** What is kept: {key} or {access, refresh, ends, login, user}; null when nobody is signed in. */
function kept() {
  return JSON.parse(sessionStorage.getItem(STORED) ?? "null");
}

function keep(session) {
  if (session) sessionStorage.setItem(STORED, JSON.stringify(session));
  else sessionStorage.removeItem(STORED);
}

/** True for a person's login. */
export const isPerson = () => Boolean(kept()?.login);
/** True when a key is in use. */
export const isKey = () => Boolean(kept()?.key);
/** Identifies what is shown to the door, so that a caller can tell whether it changed. */
export const credential = () => kept()?.access ?? kept()?.key ?? "";

/** Calls the listener when the login ends without the reader having asked for it, or in another tab. */
export function onEnd(listener) {
  listeners.add(listener);
}

export function useKey(key) {
  keep({ key });
}

/** Keeps the tokens of a new login (Tokens of the contract). */
export function logIn(tokens) {
  keep(sessionOf(tokens));
}

function sessionOf(tokens) {
  return {
    access: tokens.access_token,
    refresh: tokens.refresh_token,
    ends: Date.now() + (tokens.expires_in ?? 0) * 1000,
    login: tokens.login_id,
  };
}

/** Ends the login everywhere, or forgets the key. Works without the door too: the tokens are gone from here. */
export async function logOut() {
  const session = kept();
  keep(null);
  if (!session?.login) return;
  tabs.postMessage({ ended: session.login });
  await post("/auth/logout", { refresh_token: session.refresh }).catch(() => {});
}

/** Takes over the login of another open tab, if there is one; true when somebody is signed in then. */
export async function join() {
  if (!kept()) {
    const found = await askOthers("");
    if (found) keep(found);
  }
  return Boolean(kept());
}

/** The headers that show who calls. Throws what fetch throws when a refresh cannot be sent. */
export async function authorization() {
  const session = kept();
  if (session?.login && session.ends - Date.now() < EARLY) await renew(session);
  const shown = credential();
  return shown ? { Authorization: `Bearer ${shown}` } : {};
}

/** The door refused `shown`: true when another credential is there to be tried instead. */
export async function replaced(shown) {
  const session = kept();
  if (!session) return false;
  if (credential() !== shown) return true;
  if (session.login) return renew(session);
  keep(null);
  return false;
}

/** New tokens for a login; false when it has ended. Calls and tabs that want the same wait for one another. */
function renew(session) {
  return oneAtATime(session.login, async () => {
    const now = kept();
    if (now?.login !== session.login) return Boolean(now);
    if (now.refresh !== session.refresh) return true;
    const newer = await askOthers(session.login);
    if (newer && newer.ends > session.ends) {
      keep(newer);
      return true;
    }
    return exchange(now);
  });
}

async function exchange(session) {
  const response = await post("/auth/refresh", { refresh_token: session.refresh });
  if (response.status === 401) {
    end(session.login);
    return false;
  }
  if (!response.ok) return false; // busy or away: the call is refused as it stands, the login goes on
  const { tokens } = await response.json();
  keep(sessionOf(tokens));
  tabs.postMessage({ renewed: kept() });
  return true;
}

function end(login) {
  if (kept()?.login !== login) return;
  keep(null);
  for (const listener of listeners) listener();
}

function post(path, body) {
  return fetch(`/api${path}`, {
    method: "POST",
    credentials: "same-origin",
    cache: "no-store",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

let waiting = Promise.resolve();

/** Runs one piece of work after the other: over all tabs where the browser has locks (HTTPS, localhost). */
function oneAtATime(login, work) {
  if (navigator.locks) return navigator.locks.request(`pyairtable-login-${login}`, work);
  const next = waiting.then(work);
  waiting = next.catch(() => {});
  return next;
}

/** The newest session that other tabs have of a login (of any, when none is named); null when nobody answers. */
function askOthers(login) {
  const question = crypto.getRandomValues(new Uint32Array(2)).join("-");
  return new Promise((resolve) => {
    let best = null;
    const hear = ({ data }) => {
      if (data.answer === question && data.session.ends > (best?.ends ?? 0)) best = data.session;
    };
    tabs.addEventListener("message", hear);
    tabs.postMessage({ question, login });
    setTimeout(() => {
      tabs.removeEventListener("message", hear);
      resolve(best);
    }, ANSWER);
  });
}

tabs.addEventListener("message", ({ data }) => {
  const mine = kept();
  if (data.question && mine?.login && (!data.login || data.login === mine.login)) {
    tabs.postMessage({ answer: data.question, session: mine });
  }
  if (data.renewed && data.renewed.login === mine?.login && data.renewed.ends > mine.ends) keep(data.renewed);
  if (data.ended) end(data.ended);
});
