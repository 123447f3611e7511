// What went wrong with a call, and the words for it.

/** An answer of the door that is an error (application/problem+json). */
export class Problem extends Error {
  /** @param {number} status @param {Record<string, any>} body */
  constructor(status, body) {
    super(body.detail || body.title || `The server answered with status ${status}.`);
    this.status = status;
    this.reason = body.reason || "";
    this.requestId = body.request_id || "";
    this.retryAfter = Number(body.retry_after_seconds) || 0;
    /** What is wrong with single fields of the request: {field, detail}. */
    this.errors = body.errors ?? [];
  }

  /** True when the same request may work a moment later. */
  get passing() {
    return [429, 502, 503, 504].includes(this.status);
  }
}

export async function problemOf(response) {
  const text = await response.text();
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { detail: `The server answered with status ${response.status} and no explanation.` };
  }
  body.request_id ||= response.headers.get("X-Request-ID");
  body.retry_after_seconds ||= response.headers.get("Retry-After");
  return new Problem(response.status, body);
}

/** What the reader is told: what happened, and what helps. */
export function plainWords(error) {
  if (error instanceof TypeError) return "The server cannot be reached. Check the connection and try again.";
  if (error.name === "TimeoutError") return "The server does not answer at the moment. Try again in a minute.";
  if (error.status === 429 && error.retryAfter) return `Too many attempts. Try again in ${wait(error.retryAfter)}.`;
  if ([502, 503, 504].includes(error.status) && !/try again/i.test(error.message)) return `${sentence(error.message)} Try again in a minute.`;
  return sentence(error.message);
}

/** "is too long" -> "Is too long." */
export function sentence(text) {
  const whole = text.trim();
  return whole.charAt(0).toUpperCase() + whole.slice(1) + (/[.!?]$/.test(whole) ? "" : ".");
}

function wait(seconds) {
  if (seconds <= 90) return `${Math.ceil(seconds)} ${seconds <= 1 ? "second" : "seconds"}`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
