// Invitations that wait for the reader, and the link of a letter that tells of one.
import { api } from "./api.js";
import { announce, byId, el } from "./dom.js";

const LOOK = 60_000; // milliseconds between looks for new ones

export class Invitations {
  /** @param {{joined: (workspace: string) => Promise<void>, failed: (error: Error) => void}} on */
  constructor(on) {
    this.on = on;
    setInterval(() => document.hidden || this.load(), LOOK);
  }

  /** Shows what waits. Quiet when it cannot be asked: the page tells that elsewhere. */
  async load() {
    const waiting = await api.invitations().catch(() => []);
    byId("invitations").replaceChildren(...waiting.map((invitation) => this.row(invitation)));
    byId("invitations").hidden = !waiting.length;
  }

  row(invitation) {
    const where = invitation.workspace_display_name || invitation.workspace;
    const answer = (work) => () => this.answer(work);
    return el("li", { class: "invitation" },
      el("span", { class: "invitation-text", text: `You are invited to ${where} as ${invitation.role}.` }),
      el("button", { class: "button primary", type: "button", text: "Accept", "aria-label": `Accept: ${where}`,
        onclick: answer(() => this.accept({ invitation_id: invitation.invitation_id })) }),
      el("button", { class: "button", type: "button", text: "Decline", "aria-label": `Decline: ${where}`,
        onclick: answer(() => api.declineInvitation({ invitation_id: invitation.invitation_id })) }));
  }

  async answer(work) {
    for (const button of byId("invitations").querySelectorAll("button")) button.disabled = true;
    try {
      await work();
    } catch (error) {
      this.on.failed(error);
    }
    await this.load();
  }

  async accept(which) {
    const { workspace } = await api.acceptInvitation(which);
    announce("Invitation accepted");
    await this.on.joined(workspace);
  }

  /** The link of a letter: its invitation is among those shown, or the door says why it does not count. */
  async followLetter({ about, token }) {
    await this.load();
    if (about !== "invitations") return;
    const first = byId("invitations").querySelector("button");
    if (first) first.focus();
    else if (token) await this.answer(() => this.accept({ token }));
  }
}
