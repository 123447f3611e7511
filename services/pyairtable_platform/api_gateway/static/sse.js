// Server-sent events out of a fetch response (EventSource can neither POST nor tell why it was refused).

/**
 * @param {Response} response
 * @returns {AsyncGenerator<{id: string, event: string, data: string}>} one item an event, comments left out
 */
export async function* serverSentEvents(response) {
  let event = blank();
  for await (const line of lines(response)) {
    if (line === "") {
      if (event.data.length) yield { ...event, data: event.data.join("\n") };
      event = blank();
      continue;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") event.data.push(value);
    else if (name === "event") event.event = value;
    else if (name === "id") event.id = value;
  }
}

function blank() {
  return { id: "", event: "message", data: [] };
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return; // an event without its blank line was cut: it comes again after the resume
      rest += value;
      const cut = rest.endsWith("\r") ? rest.length - 1 : rest.length; // "\r\n" may come in two pieces
      const parts = rest.slice(0, cut).split(/\r\n|\n|\r/);
      rest = parts.pop() + rest.slice(cut);
      yield* parts;
    }
  } finally {
    reader.cancel().catch(() => {}); // the connection is gone already: nothing is left to cancel
  }
}
