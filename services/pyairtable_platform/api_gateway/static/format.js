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

/** One line under an answer: cost, tokens, model. */
export function costLine(cost) {
  if (!cost) return "";
  const parts = [money(cost.total_cost_usd), count(cost.total_tokens, "token")];
  if (cost.thinking_tokens) parts.push(`${count(cost.thinking_tokens, "token")} of thinking`);
  if (cost.model) parts.push(cost.model);
  return parts.filter(Boolean).join(" · ");
}
