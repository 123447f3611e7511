// Following a run to its end over any number of connections, without losing or repeating an event.
import { api } from "./api.js";
import { Problem } from "./problem.js";

const PAUSES = [300, 700, 1500, 3000, 5000]; // milliseconds between attempts; the last one repeats
const ATTEMPTS_TO_SEND = 4; // a message that cannot be sent is said to be so after a few seconds
const ATTEMPTS_TO_WATCH = 120; // a run goes on without us: about ten minutes

/** True for the event that ends a run. */
export function isEnd(event) {
  return Boolean(event.done || event.failed || event.cancelled);
}

/**
 * Yields the events of a run, in order and each once, until it ends.
 *
 * `target` has `workspace`, and `runId` for a run that exists or `request` (a ChatRequest with an idempotency key, so
 * that sending it again finds the same run). `connection(state)` is told "lost" and "open".
 * Throws Problem, or TypeError when the network stays away.
 */
export async function* follow(target, signal, connection) {
  let runId = target.runId ?? "";
  let last = 0;
  let attempt = 0;
  for (;;) {
    let wait = 0;
    try {
      const events = runId ? api.watch(target.workspace, runId, last, signal) : api.chat(target.request, signal);
      for await (const event of events) {
        connection("open");
        attempt = 0;
        runId = event.run_id;
        if (event.id <= last) continue;
        last = event.id;
        yield event;
        if (isEnd(event)) return;
      }
    } catch (error) {
      if (signal.aborted || !mayPass(error, runId)) throw error;
      if (attempt >= (runId ? ATTEMPTS_TO_WATCH : ATTEMPTS_TO_SEND)) throw error;
      wait = (error.retryAfter ?? 0) * 1000;
    }
    connection("lost");
    await pause(Math.max(wait, PAUSES[Math.min(attempt, PAUSES.length - 1)]), signal);
    attempt += 1;
  }
}

function mayPass(error, runId) {
  if (error instanceof Problem) return Boolean(runId) && error.passing;
  return error instanceof TypeError; // what fetch and its body throw when the network fails
}

/** Waits, but no longer than until the network is back. */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", stop);
      resolve();
    };
    const stop = () => {
      done();
      reject(signal.reason);
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
    signal.addEventListener("abort", stop);
  });
}
