// The chat page: wires the composer, the conversation, the list of chats and what is said about the system.
import { api, randomKey } from "./api.js";
import { Bases } from "./bases.js";
import { announce, byId, el } from "./dom.js";
import { followLetter, signIn, takeLetter } from "./entry.js";
import { follow } from "./follow.js";
import { money } from "./format.js";
import { Invitations } from "./invitations.js";
import { plainWords } from "./problem.js";
import { isKey, isPerson, join, logOut, onEnd } from "./session.js";
import { Sessions } from "./sessions.js";
import { drawSteps, Turn } from "./turn.js";

const state = {
  workspace: "",
  session: "", // empty: the next message begins a new chat
  run: null, // {id, abort, stopWanted} while an answer is written
};

const sessions = new Sessions({ open: (id) => openSession(id), deleted: sessionDeleted, failed: showBanner });
const invitations = new Invitations({ joined: (name) => showWorkspaces(name), failed: showBanner });
const bases = new Bases({ connected: baseConnected });
const composer = byId("composer");
const message = byId("message");
const thread = byId("thread");

// --- Sending and following ---------------------------------------------------------------------------------------

function send(text) {
  if (state.run || !text.trim()) return;
  run(addTurn(text, sendAgain), newRun(text));
}

function sendAgain(turn) {
  if (state.run) return;
  turn.element.remove();
  send(turn.question);
}

/** What `follow` needs for a new run. Who is quick may send before the workspaces have been read. */
async function newRun(text) {
  const request = { message: text, session_id: state.session, idempotency_key: randomKey() };
  await workspacesRead;
  return { workspace: state.workspace, request: { ...request, workspace: state.workspace } };
}

/** Follows a run to its end and shows it in a turn. `coming` is a target of `follow`, or the promise of one. */
async function run(turn, coming) {
  const run = { id: "", abort: new AbortController(), stopWanted: false };
  setRun(run);
  try {
    const target = await coming;
    run.id = target.runId ?? "";
    if (run.id && run.stopWanted) cancel(run);
    for await (const event of follow(target, run.abort.signal, showConnection)) {
      if (!run.id) accepted(run, event);
      turn.show(event);
      stayAtBottom();
    }
  } catch (error) {
    if (!run.abort.signal.aborted) failToFollow(turn, run, error);
  } finally {
    showConnection("open");
    if (state.run === run) setRun(null);
  }
  stayAtBottom();
  if (!run.abort.signal.aborted) refreshCost();
  sessions.load();
}

/** The stream broke for good. The run may go on, and has maybe written something: it is not begun a second time. */
function failToFollow(turn, run, error) {
  const readAgain = run.id && (() => followAgain(turn, run.id));
  turn.fail(plainWords(error), { reason: error.reason, requestId: error.requestId, readAgain });
}

function followAgain(turn, runId) {
  if (state.run) return;
  const again = new Turn(turn.question, turn.retry);
  turn.element.replaceWith(again.element);
  run(again, { workspace: state.workspace, runId });
}

/** The first event tells the ids; a stop that was asked for before is done now. */
function accepted(run, event) {
  run.id = event.run_id;
  if (event.started?.session_id) setSession(event.started.session_id);
  sessions.load();
  if (run.stopWanted) cancel(run);
}

function stop() {
  const run = state.run;
  if (!run || run.stopWanted) return;
  run.stopWanted = true;
  byId("stop").disabled = true;
  if (run.id) cancel(run);
}

async function cancel(run) {
  try {
    await api.cancelRun(state.workspace, run.id);
  } catch (error) {
    run.stopWanted = false;
    byId("stop").disabled = false;
    showBanner(error);
  }
}

/** Leaves a run that goes on without us: another chat is opened. */
function leave() {
  state.run?.abort.abort();
  setRun(null);
}

function setRun(run) {
  state.run = run;
  byId("send").hidden = Boolean(run);
  byId("stop").hidden = !run;
  byId("stop").disabled = false;
  thread.setAttribute("aria-busy", String(Boolean(run)));
  updateSend();
}

// --- Chats -------------------------------------------------------------------------------------------------------

function newChat() {
  leave();
  setSession("");
  byId("turns").replaceChildren();
  byId("welcome").hidden = false;
  showSessionCost(null);
  closeMenu();
  message.focus();
}

async function openSession(id) {
  leave();
  setSession(id);
  closeMenu();
  byId("welcome").hidden = true;
  byId("turns").replaceChildren(el("p", { class: "loading", text: "Reading the chat" }));
  try {
    const messages = await api.messages(state.workspace, id);
    if (state.session !== id) return; // another chat was opened meanwhile
    byId("turns").replaceChildren();
    await showHistory(messages);
    refreshCost();
  } catch (error) {
    if (state.session !== id) return;
    newChat();
    showBanner(error);
  }
}

async function showHistory(messages) {
  for (const [i, said] of messages.entries()) {
    if (said.role === "assistant") continue;
    const answer = messages[i + 1]?.role === "assistant" ? messages[i + 1] : null;
    const turn = addTurn(said.content);
    if (answer) turn.showPast(answer.content, answer.tools_used, (element) => loadSteps(turn, element, answer.run_id));
    else if (said.run_id) run(turn, { workspace: state.workspace, runId: said.run_id }); // unfinished, stopped or failed
    else turn.fail("There is no answer to this message.");
  }
  scrollToEnd();
}

async function loadSteps(turn, element, runId) {
  element.textContent = "Reading the steps";
  try {
    const events = [];
    for await (const event of follow({ workspace: state.workspace, runId }, new AbortController().signal, () => {})) events.push(event);
    drawSteps(element, events);
    turn.showCost(events.at(-1).done?.cost_info);
  } catch (error) {
    element.textContent = plainWords(error);
  }
}

function sessionDeleted(id) {
  if (id === state.session) newChat();
}

function setSession(id) {
  state.session = id;
  const address = id ? `#chat=${encodeURIComponent(id)}` : location.pathname;
  if (id !== sessionInAddress()) history.pushState(null, "", address);
  sessions.select(id);
}

function sessionInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get("chat") ?? "";
}

async function refreshCost() {
  const session = state.session;
  if (!session) return;
  try {
    const cost = await api.sessionCost(state.workspace, session);
    if (session === state.session) showSessionCost(cost);
  } catch (error) {
    if (error.status !== 404) showBanner(error); // 404: the first message was refused, there is no session
  }
}

function showSessionCost(cost) {
  const amount = money(cost?.total_cost_usd);
  byId("session-cost").textContent = amount;
  byId("session-cost").parentElement.hidden = !amount;
}

// --- The page ----------------------------------------------------------------------------------------------------

function addTurn(text, retry) {
  byId("welcome").hidden = true;
  const turn = new Turn(text, retry);
  byId("turns").append(turn.element);
  scrollToEnd();
  return turn;
}

let following = true; // the reader has not scrolled up

function stayAtBottom() {
  if (following) requestAnimationFrame(scrollToEnd);
}

function scrollToEnd() {
  thread.scrollTop = thread.scrollHeight;
}

function showBanner(error) {
  byId("banner").textContent = typeof error === "string" ? error : plainWords(error);
  byId("banner").hidden = false;
  setTimeout(() => { byId("banner").hidden = true; }, 8000);
}

function showConnection(connection) {
  document.body.classList.toggle("offline", connection === "lost");
  if (connection === "lost") {
    byId("banner").textContent = "Connection lost. Reconnecting.";
    byId("banner").hidden = false;
  } else if (byId("banner").textContent.startsWith("Connection lost")) {
    byId("banner").hidden = true;
  }
}

function updateSend() {
  byId("send").disabled = Boolean(state.run) || !message.value.trim();
}

function fitMessage() {
  message.style.height = "auto";
  message.style.height = `${Math.min(message.scrollHeight, 220)}px`;
}

function submit() {
  const text = message.value;
  if (state.run || !text.trim()) return;
  message.value = "";
  fitMessage();
  following = true;
  send(text);
}

function closeMenu() {
  if (!document.body.classList.contains("menu-open")) return;
  setMenu(false);
  byId("menu").focus();
}

function openMenu() {
  setMenu(true);
  byId("new-chat").focus();
}

/** On narrow screens the chats lie over the page, which cannot be reached meanwhile. */
function setMenu(open) {
  document.body.classList.toggle("menu-open", open);
  document.querySelector(".page").inert = open;
  byId("menu").setAttribute("aria-expanded", String(open));
  byId("backdrop").hidden = !open;
}

// --- What is said about the system -------------------------------------------------------------------------------

/** Reads the workspaces and goes to one: the one named, else the one of last time. */
async function showWorkspaces(wanted = localStorage.getItem("workspace")) {
  places = await firstWorkspaces();
  const before = state.workspace;
  state.workspace = (places.find(({ name }) => name === wanted) ?? places[0])?.name ?? "";
  byId("workspace").replaceChildren(...places.map(({ name, display_name: title }) => el("option", { value: name, text: title || name })));
  byId("workspace").value = state.workspace;
  byId("workspace-picker").hidden = places.length < 2;
  byId("workspace-name").hidden = places.length > 1;
  showPlace(places);
  if (before && before !== state.workspace) goToWorkspace(state.workspace);
}

let places = [];

/** A base that was connected shows as soon as the registry has it. */
async function baseConnected() {
  for (let attempt = 0; attempt < ATTEMPTS_FOR_WORKSPACE; attempt += 1) {
    await showWorkspaces(state.workspace);
    if (places.find(({ name }) => name === state.workspace)?.bases?.length) {
      announce("The base is connected");
      return message.focus();
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  showBanner("Connecting takes longer than usual. Reload the page in a minute.");
}

/** A person's first workspace is made while they log in for the first time. */
async function firstWorkspaces() {
  for (let attempt = 0; ; attempt += 1) {
    const all = await api.workspaces();
    byId("no-workspace").hidden = all.length > 0;
    if (all.length || !isPerson() || attempt >= ATTEMPTS_FOR_WORKSPACE) return all;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

const ATTEMPTS_FOR_WORKSPACE = 30;

function goToWorkspace(name) {
  state.workspace = name;
  localStorage.setItem("workspace", name);
  showPlace(places);
  newChat();
  sessions.workspace = name;
  sessions.load();
}

function showPlace(all) {
  const workspace = all.find(({ name }) => name === state.workspace);
  byId("workspace-name").textContent = workspace ? workspace.display_name || workspace.name : "";
  byId("workspace-name").title = byId("workspace-name").textContent;
  bases.show(workspace).catch(showBanner);
  if (workspace?.suspended) showBanner("This workspace is suspended: every call in it is refused.");
}

async function showHealth() {
  const light = byId("health");
  try {
    const health = await api.health();
    const away = Object.entries(health.services ?? {}).filter(([, service]) => service.status !== "healthy").map(([name]) => name);
    light.className = away.length ? "health bad" : "health good";
    describe(light, away.length ? `Not healthy: ${away.join(", ")}` : "All services are healthy");
    byId("mode").hidden = health.environment !== "development";
    byId("mode").title = (health.notes ?? []).join("\n");
  } catch (error) {
    light.className = "health bad";
    describe(light, error.status ? error.message : "The server does not answer");
  }
}

function describe(element, words) {
  element.title = words;
  element.setAttribute("aria-label", words);
}

// --- Start -------------------------------------------------------------------------------------------------------

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
message.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
message.addEventListener("input", () => {
  fitMessage();
  updateSend();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (document.body.classList.contains("menu-open")) closeMenu();
  else stop();
});
thread.addEventListener("scroll", () => {
  following = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
});
for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => send(example.textContent));
}
byId("stop").addEventListener("click", stop);
byId("workspace").addEventListener("change", () => goToWorkspace(byId("workspace").value));
byId("log-out").addEventListener("click", leaveSystem);
byId("new-chat").addEventListener("click", newChat);
byId("menu").addEventListener("click", openMenu);
matchMedia("(max-width: 46rem)").addEventListener("change", closeMenu); // the window was widened: they stand beside it
byId("backdrop").addEventListener("click", closeMenu);
addEventListener("popstate", () => {
  const id = sessionInAddress();
  if (id === state.session) return;
  if (id) openSession(id);
  else newChat();
});

// --- Who is signed in --------------------------------------------------------------------------------------------

async function showAccount() {
  byId("account").hidden = !isPerson() && !isKey();
  byId("log-out").textContent = isKey() ? "Forget the key" : "Log out";
  byId("account-name").textContent = isKey() ? "Access key" : "";
  if (!isPerson()) return;
  const { account } = await api.me();
  byId("account-name").textContent = account.user_name || account.email;
  byId("account-name").title = account.email;
}

/** Everything of the one who leaves goes with them: the page begins anew. */
async function leaveSystem() {
  leave();
  await logOut();
  location.replace("/");
}

onEnd(async () => {
  leave();
  await signIn("You were logged out. Log in again to go on.");
  location.reload(); // it may be somebody else now
});

async function start(wanted) {
  const letter = takeLetter();
  await join();
  await followLetter(letter);
  showHealth();
  setInterval(showHealth, 30000);
  await showWorkspaces();
  sessions.workspace = state.workspace;
  sessions.load();
  showAccount().catch(showBanner);
  await invitations.followLetter(letter);
  if (wanted && !state.run && !state.session) openSession(wanted);
}

const workspacesRead = start(sessionInAddress()).catch(showBanner);
