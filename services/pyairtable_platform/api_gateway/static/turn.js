// One turn on the page: what the user said, the steps, the answer, its cost or why there is none.
import { announce, el } from "./dom.js";
import { costLine, duration } from "./format.js";
import { showMarkdown } from "./markdown.js";
import { sentence } from "./problem.js";

const REMEDIES = {
  SESSION_BUSY: "Another answer is being written in this chat. Wait for it or stop it.",
  QUOTA_EXHAUSTED: "The monthly allowance is used up; a repeat does not help.",
  RATE_LIMITED: "Too many requests for now: wait a moment.",
  MODEL_UNAVAILABLE: "The model does not answer at the moment: try again shortly.",
  AIRTABLE_UNAVAILABLE: "Airtable does not answer at the moment: try again shortly.",
};

export class Turn {
  /** @param {string} question  @param {(turn: Turn) => void} [retry] sends the question again */
  constructor(question, retry) {
    this.question = question;
    this.retry = retry;
    this.steps = new Map();
    this.texts = []; // the pieces of the answer, with steps between them
    this.text = null; // the one that is being written
    this.body = el("div", { class: "answer-body" });
    this.waiting = el("p", { class: "waiting" }, el("span", { class: "dots", "aria-hidden": "true" }), el("span", { text: "Thinking" }));
    this.cost = el("span", { class: "cost", hidden: true });
    this.footer = el("footer", { class: "turn-footer", hidden: true }, this.cost);
    this.element = el("article", { class: "turn" },
      el("div", { class: "question" }, el("span", { class: "visually-hidden", text: "You: " }), question),
      el("div", { class: "answer" },
        el("img", { src: "/static/favicon.svg", alt: "", class: "avatar", width: 28, height: 28 }),
        el("div", { class: "answer-column" }, this.body, this.waiting, this.footer)));
  }

  /** Shows an event of the run. */
  show(event) {
    if (event.text) this.addText(event.text.text ?? "");
    else if (event.rewound) this.rewind(event.rewound.response ?? "");
    else if (event.tool_started) this.startStep(event.tool_started);
    else if (event.tool_ended) this.endStep(event.tool_ended);
    else if (event.cost) this.showCost(event.cost);
    else if (event.done) this.complete(event.done);
    else if (event.failed) this.fail(event.failed.message, { reason: event.failed.reason });
    else if (event.cancelled) this.stopped(event.cancelled.response);
  }

  /** Shows an answer that was completed earlier; `loadSteps` is called when the reader asks for the steps. */
  showPast(content, tools, loadSteps) {
    if (tools?.length) this.body.append(pastSteps(tools, loadSteps));
    this.addText(content);
    this.addCopyButton(content);
    this.end();
  }

  addText(text) {
    if (!this.text) {
      this.text = { element: el("div", { class: "markdown" }), source: "" };
      this.texts.push(this.text);
      this.body.append(this.text.element);
    }
    this.text.source += text;
    this.setWaiting("");
    this.redraw();
  }

  /** Takes text back: what remains is `response`, each part of it where it stood among the steps. */
  rewind(response) {
    let rest = response;
    for (const piece of this.texts) {
      piece.source = rest.slice(0, piece.source.length);
      rest = rest.slice(piece.source.length);
    }
    for (const emptied of this.texts.filter((piece) => !piece.source)) emptied.element.remove();
    this.texts = this.texts.filter((piece) => piece.source);
    if (!this.texts.includes(this.text)) this.text = null;
    if (rest) this.addText(rest);
    this.flush();
    this.setWaiting("Thinking");
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => this.flush());
  }

  flush() {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = 0;
    for (const piece of this.texts) {
      if (piece.shown !== piece.source) showMarkdown(piece.element, piece.source);
      piece.shown = piece.source;
    }
  }

  startStep({ call_id: id, tool, arguments: given }) {
    this.flush();
    this.text = null; // text after a step stands below it
    const step = new Step(tool, given);
    this.steps.set(id, step);
    this.body.append(step.element);
    this.setWaiting("");
    announce(`Step: ${step.title}`);
  }

  endStep(ended) {
    this.steps.get(ended.call_id)?.end(ended);
    const busy = [...this.steps.values()].some((step) => step.running);
    this.setWaiting(busy ? "" : "Thinking");
  }

  showCost(cost) {
    const line = costLine(cost);
    if (!line) return;
    this.cost.textContent = line;
    this.cost.title = cost.total_cost_usd ? `$${cost.total_cost_usd}` : "No price is known for this model";
    this.cost.hidden = this.footer.hidden = false;
  }

  complete(done) {
    if (!this.texts.length && done.response) this.addText(done.response);
    this.showCost(done.cost_info);
    if (done.thinking_process) this.body.prepend(thinking(done.thinking_process));
    if (done.response) this.addCopyButton(done.response);
    this.end();
    const said = this.texts.map(({ element }) => element.innerText); // with blanks between the cells of a table
    announce(`Answer: ${said.join("\n") || "none"}`);
  }

  stopped(response) {
    if (!this.texts.length && response) this.addText(response);
    this.body.append(el("p", { class: "stopped", text: "Stopped." }));
    this.end();
    announce("Stopped");
  }

  /** Says why there is no answer. `readAgain` is there when the run may go on although we cannot read it. */
  fail(message, { reason = "", requestId = "", readAgain } = {}) {
    const remedy = REMEDIES[reason];
    const [label, action] = readAgain ? ["Read the answer again", readAgain] : ["Try again", this.retry];
    this.body.append(el("div", { class: "failure", role: "alert" },
      el("p", { class: "failure-message", text: sentence(message) }),
      remedy && el("p", { text: remedy }),
      (reason || requestId) && el("p", { class: "failure-id", text: [reason, requestId && `request ${requestId}`].filter(Boolean).join(" · ") }),
      action && el("button", { class: "button", type: "button", text: label, onclick: () => action(this) })));
    this.end();
  }

  setWaiting(words) {
    this.waiting.hidden = !words;
    this.waiting.lastChild.textContent = words;
  }

  end() {
    this.flush();
    this.setWaiting("");
    for (const step of this.steps.values()) step.interrupt();
  }

  addCopyButton(text) {
    if (!navigator.clipboard) return; // browsers offer it under HTTPS and on this machine only
    const button = el("button", { class: "copy", type: "button", text: "Copy" });
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    this.footer.hidden = false;
    this.footer.append(button);
  }
}

/** A tool call: one line that opens to its arguments. */
class Step {
  constructor(tool, given) {
    this.title = titleOf(tool);
    this.running = true;
    this.note = el("span", { class: "step-note" });
    this.time = el("span", { class: "step-time" });
    this.details = el("div", { class: "step-details" },
      el("p", { class: "step-tool" }, "Tool ", el("code", { text: tool })),
      el("pre", { tabindex: 0 }, el("code", { text: JSON.stringify(given ?? {}, null, 2) })));
    this.element = el("details", { class: "step running" },
      el("summary", {},
        el("span", { class: "step-mark", role: "img", "aria-label": "running" }),
        el("span", { class: "step-title", text: this.title }), this.note, this.time),
      this.details);
  }

  end({ is_error: isError, error, summary, duration_ms: milliseconds }) {
    this.mark(isError ? "failed" : "succeeded");
    this.note.textContent = isError ? error || "did not work" : summary ?? "";
    this.time.textContent = duration(milliseconds ?? 0);
    if (isError && error) this.details.append(el("p", { class: "step-error", text: error }));
  }

  interrupt() {
    if (!this.running) return;
    this.mark("interrupted");
    this.note.textContent = "no result";
  }

  mark(state) {
    this.running = false;
    this.element.className = `step ${state}`;
    this.element.querySelector(".step-mark").setAttribute("aria-label", state);
  }
}

/** "list_tables" -> "List tables" */
function titleOf(tool) {
  const words = tool.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function thinking(text) {
  return el("details", { class: "step thinking" },
    el("summary", {}, el("span", { class: "step-mark", "aria-hidden": "true" }), el("span", { class: "step-title", text: "Thinking" })),
    el("div", { class: "step-details" }, el("p", { class: "plain", text })));
}

function pastSteps(tools, load) {
  const details = el("div", { class: "step-details" });
  const element = el("details", { class: "step past" },
    el("summary", {},
      el("span", { class: "step-mark", "aria-hidden": "true" }),
      el("span", { class: "step-title", text: tools.map(titleOf).join(", ") })),
    details);
  element.addEventListener("toggle", () => load(details), { once: true });
  return element;
}

/** Draws the steps of a run that has ended, and what the model thought, into an element. */
export function drawSteps(element, events) {
  const steps = new Map();
  const thoughts = [];
  for (const event of events) {
    if (event.done?.thinking_process) thoughts.push(thinking(event.done.thinking_process));
    if (event.tool_started) steps.set(event.tool_started.call_id, new Step(event.tool_started.tool, event.tool_started.arguments));
    if (event.tool_ended) steps.get(event.tool_ended.call_id)?.end(event.tool_ended);
  }
  for (const step of steps.values()) step.interrupt();
  element.replaceChildren(...thoughts, ...[...steps.values()].map((step) => step.element));
}
