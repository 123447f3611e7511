// Invitations that wait for the reader, and the link of a letter that accepts one.
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

  /** Accepts the invitation of a letter (#invitation=TOKEN). The token does not stay in the address. */
  async followLetter() {
    const token = new URLSearchParams(location.hash.slice(1)).get("invitation");
    if (!token) return;
    history.replaceState(null, "", location.pathname);
    await this.answer(() => this.accept({ token }));
  }
}
