// Numbers and times as people read them.

/** "0.00041200" -> "$0.000412"; small amounts keep three significant digits. Empty: no price is known. */
export function money(decimal) {
  if (!decimal) return "";
  const amount = Number(decimal);
  if (amount === 0) return "$0.00";
  if (amount >= 0.995) return `$${amount.toFixed(2)}`;
  return `$${amount.toLocaleString("en-US", { maximumSignificantDigits: 3, maximumFractionDigits: 12 })}`;
}

export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.floor(milliseconds / 60000)} min ${Math.round((milliseconds % 60000) / 1000)} s`;
}

export function count(number, noun) {
  return `${Number(number || 0).toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [7, "day"], [4.35, "week"], [12, "month"], [Infinity, "year"]];

/** "2026-11-22T10:00:00Z" -> "5 minutes ago". */
export function ago(timestamp) {
  let value = (Date.parse(timestamp) - Date.now()) / 1000;
  if (Number.isNaN(value)) return "";
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  for (const [size, unit] of STEPS) {
    if (Math.abs(value) < size) return unit === "second" ? "just now" : words.format(Math.round(value), unit);
    value /= size;
  }
  return "";
}

/** One line under an answer, such as "$0.0024 · 9,872 tokens (8,676 cached, 192 thinking) · gemini-3.8-flash". */
export function costLine(cost) {
  if (!cost) return "";
  const among = [[cost.cached_tokens, "cached"], [cost.thinking_tokens, "thinking"]];
  const named = among.filter(([number]) => number).map(([number, word]) => `${number.toLocaleString()} ${word}`);
  const tokens = count(cost.total_tokens, "token") + (named.length ? ` (${named.join(", ")})` : "");
  return [money(cost.total_cost_usd), tokens, cost.model].filter(Boolean).join(" · ");
}
