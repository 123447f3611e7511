// The bases of the workspace: what stands in the top line, and connecting the first one.
import { api, randomKey } from "./api.js";
import { byId, el } from "./dom.js";
import { plainWords, sentence } from "./problem.js";
import { isPerson } from "./session.js";

const ACCESS = {
  BASE_ACCESS_READ_ONLY: "read only",
  BASE_ACCESS_READ_WRITE: "read and write",
  BASE_ACCESS_SCHEMA: "read, write and change tables",
};
const MANAGERS = ["owner", "admin"];
const STEP = /^(verify|read_schema|bind|prime|apply_template): /; // of the saga that failed: says nothing to people

export class Bases {
  /** @param {{connected: () => Promise<void>}} on */
  constructor(on) {
    this.on = on;
    this.workspace = null;
    this.key = "";
    this.form = byId("connect-form");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.connect();
    });
    this.form.addEventListener("input", () => { this.key = ""; }); // another request
  }

  /** Shows the bases of a workspace; without any, what to do about it. */
  async show(workspace) {
    this.workspace = workspace;
    const bases = workspace?.bases ?? [];
    byId("bases").replaceChildren(...bases.map(({ name, base_id: id, access }) =>
      el("span", { class: "base", title: `${id}, ${ACCESS[access] ?? "access unknown"}`, text: name || id })));
    const isBare = Boolean(workspace) && !bases.length;
    byId("no-base").hidden = !isBare;
    byId("welcome-ask").hidden = isBare;
    byId("welcome-connect").hidden = !isBare;
    if (!isBare) return;
    const may = await mayConnect(workspace);
    if (this.workspace !== workspace) return; // the reader went to another one meanwhile
    this.form.hidden = !may;
    byId("connect-elsewhere").hidden = may;
  }

  async connect() {
    const { base, access, button } = this.form.elements;
    const id = base.value.match(/app[A-Za-z0-9]{14}(?![A-Za-z0-9])/)?.[0];
    if (!id) return this.complain("This holds no base. The address of a base in Airtable looks like https://airtable.com/app…/tbl…");
    this.complain("");
    this.key ||= randomKey();
    button.disabled = true;
    button.textContent = "Asking Airtable";
    try {
      await api.connectBase(this.workspace.name, { base_id: id, access: access.value, idempotency_key: this.key });
      await this.on.connected();
      this.form.reset();
    } catch (error) {
      this.complain(wordsFor(error));
    } finally {
      button.disabled = false;
      button.textContent = "Connect the base";
    }
  }

  complain(text) {
    const { base } = this.form.elements;
    byId("connect-problem").textContent = text;
    base.setAttribute("aria-invalid", String(Boolean(text)));
    if (text) base.focus();
  }
}

function wordsFor(error) {
  if (error.passing || error instanceof TypeError) return plainWords(error);
  const remedy = error.reason === "CONFLICT" ? " If colleagues use it already, ask them to invite you." : "";
  return sentence(error.message.replace(STEP, "")) + remedy;
}

/** Only owners and admins may, and only where calls may change a workspace: declared ones are changed in their file. */
async function mayConnect({ members, source }) {
  if (!isPerson() || (source && source.kind !== "Api")) return false;
  const { account } = await api.me();
  return MANAGERS.includes(members?.find((member) => member.user_id === account.user_id)?.role);
}
