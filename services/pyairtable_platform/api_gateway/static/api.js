// The door's REST API. Every failure is a Problem, made from application/problem+json.
import { signIn } from "./entry.js";
import { Problem, problemOf } from "./problem.js";
import { authorization, credential, isPerson, replaced } from "./session.js";
import { serverSentEvents } from "./sse.js";

/** `path` may be a function: what is asked for can depend on who signed in meanwhile. */
async function send(method, path, { body, signal, headers = {}, query = {} } = {}) {
  const kind = body === undefined ? {} : { "Content-Type": "application/json" };
  let isRenewed = false; // once: a call that is refused with new tokens too, is refused
  for (;;) {
    const address = new URL(`/api${typeof path === "function" ? path() : path}`, location.origin);
    for (const [name, value] of Object.entries(query)) if (value) address.searchParams.set(name, String(value));
    const shown = await authorization();
    const response = await fetch(address, {
      method,
      signal,
      credentials: "same-origin",
      cache: "no-store",
      headers: { ...headers, ...kind, ...shown },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status !== 401) throw problem;
    const refused = (shown.Authorization ?? "").replace("Bearer ", "");
    if (!isRenewed && (await replaced(refused))) {
      isRenewed = true;
      continue;
    }
    if (credential()) throw problem; // the login goes on, but this call may not be made, or not now
    await signIn(refused ? problem.message : "");
  }
}

/** For requests that may be sent again: the same key, the same effect once. */
export function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const json = async (...call) => (await send(...call)).json();
const part = encodeURIComponent;

export const api = {
  /** How the services are. */
  async health() {
    const response = await fetch("/api/health", { cache: "no-store" });
    return response.ok || response.status === 503 ? response.json() : Promise.reject(await problemOf(response));
  },
  /** A person's, or the one of the key. */
  workspaces: async () => (await json("GET", () => (isPerson() ? "/my/workspaces" : "/workspaces"))).workspaces ?? [],
  connectBase: (workspace, base) => json("POST", `/workspaces/${part(workspace)}/bases`, { body: base }),
  me: () => json("GET", "/auth/me"),
  invitations: async () => (isPerson() ? (await json("GET", "/my/invitations")).invitations ?? [] : []),
  acceptInvitation: (which) => json("POST", "/my/invitations/accept", { body: which }),
  declineInvitation: (which) => json("POST", "/my/invitations/decline", { body: which }),
  sessions: (workspace, pageToken) =>
    json("GET", "/sessions", { query: { workspace, page_size: 30, page_token: pageToken } }),
  deleteSession: (workspace, id) => json("DELETE", `/sessions/${part(id)}`, { query: { workspace } }),
  sessionCost: async (workspace, id) =>
    (await json("GET", `/sessions/${part(id)}/cost-summary`, { query: { workspace } })).cost_info,
  run: async (workspace, id) => (await json("GET", `/runs/${part(id)}`, { query: { workspace } })).run,
  cancelRun: (workspace, id) => json("POST", `/runs/${part(id)}/cancel`, { body: { workspace } }),

  /** All messages of a session, the oldest first. */
  async messages(workspace, id) {
    const all = [];
    let pageToken = "";
    do {
      const query = { workspace, page_size: 200, page_token: pageToken };
      const page = await json("GET", `/sessions/${part(id)}/history`, { query });
      all.push(...(page.messages ?? []));
      pageToken = page.next_page_token;
    } while (pageToken);
    return all;
  },

  /** Sends a message; yields the events of its run. */
  async *chat(request, signal) {
    yield* runEvents(await send("POST", "/chat/stream", { body: request, signal }));
  },

  /** Yields the events of a run after one of them. */
  async *watch(workspace, runId, afterEventId, signal) {
    const headers = afterEventId ? { "Last-Event-ID": String(afterEventId) } : {};
    yield* runEvents(await send("GET", `/runs/${part(runId)}/events`, { query: { workspace }, headers, signal }));
  },
};

async function* runEvents(response) {
  for await (const message of serverSentEvents(response)) {
    const data = JSON.parse(message.data);
    if (message.event === "error") throw new Problem(data.status ?? 500, data);
    yield data;
  }
}
