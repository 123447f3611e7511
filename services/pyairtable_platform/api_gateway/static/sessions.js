// The list of chats in the sidebar.
import { api } from "./api.js";
import { byId, el } from "./dom.js";
import { ago } from "./format.js";
import { plainWords } from "./problem.js";

export class Sessions {
  /** @param {{open: (id: string) => void, deleted: (id: string) => void, failed: (error: Error) => void}} on */
  constructor(on) {
    this.on = on;
    this.workspace = "";
    this.current = "";
    this.all = [];
    this.nextPage = "";
    byId("more-sessions").addEventListener("click", () => this.load(this.nextPage));
  }

  /** Reads the list anew, or the page after the ones that are shown. */
  async load(pageToken = "") {
    try {
      const page = await api.sessions(this.workspace, pageToken);
      this.all = [...(pageToken ? this.all : []), ...(page.sessions ?? [])];
      this.nextPage = page.next_page_token ?? "";
      this.draw();
    } catch (error) {
      this.note(`The list of chats cannot be read. ${plainWords(error)}`);
    }
  }

  select(id) {
    this.current = id;
    this.draw();
  }

  note(text) {
    byId("sessions-note").textContent = text;
    byId("sessions-note").hidden = !text;
  }

  draw() {
    byId("sessions").replaceChildren(...this.all.map((session) => this.row(session)));
    byId("more-sessions").hidden = !this.nextPage;
    this.note(this.all.length ? "" : "Your chats will appear here.");
  }

  row(session) {
    const title = session.title || session.id;
    const current = session.id === this.current;
    return el("li", { class: current ? "session current" : "session" },
      el("button", { class: "session-open", type: "button", title, "aria-current": current && "page", onclick: () => this.on.open(session.id) },
        el("span", { class: "session-title", text: title }),
        el("span", { class: "session-time", text: ago(session.updated_at) })),
      el("button", { class: "session-delete", type: "button", "aria-label": `Delete chat: ${title}`, title: "Delete", onclick: () => this.delete(session.id, title), text: "×" }));
  }

  async delete(id, title) {
    if (!(await confirmed(title))) return;
    try {
      await api.deleteSession(this.workspace, id);
    } catch (error) {
      if (error.status !== 404) return this.on.failed(error); // 404: somebody else was quicker
    }
    this.all = this.all.filter((session) => session.id !== id);
    this.draw();
    this.on.deleted(id);
  }
}

function confirmed(title) {
  const dialog = byId("confirm-delete");
  byId("confirm-text").textContent = `“${title}” and its answers are removed. What was changed in Airtable stays.`;
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}
