// Markdown of a language model, rendered as text nodes and a fixed set of elements. There is no way in for HTML, and
// nothing is ever loaded: an image becomes a link. Links lead to http and https only.
import { el } from "./dom.js";

const DEPTH = 6; // of lists in lists, quotes in quotes, emphasis in emphasis
const FENCE = /^ {0,3}(```+|~~~+)\s*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])\s*(?:\1\s*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,12})([-*+]|\d{1,9}[.)])( +|$)/;
const DIVIDER = /^ {0,3}\|?(\s*:?-+:?\s*\|)*\s*:?-+:?\s*\|?\s*$/;

const shown = new WeakMap(); // element -> keys of the blocks it shows

/** Shows Markdown in an element. Called again with a longer text it redraws only the blocks that changed. */
export function showMarkdown(element, source) {
  const blocks = blocksOf(source.split("\n"));
  const keys = blocks.map((block) => `${block.kind}\n${block.lines.join("\n")}`);
  const old = shown.get(element) ?? [];
  let same = 0;
  while (same < old.length && same < keys.length && old[same] === keys[same]) same += 1;
  while (element.childNodes.length > same) element.lastChild.remove();
  for (const block of blocks.slice(same)) element.append(drawBlock(block, 0));
  shown.set(element, keys);
}

function blocksOf(lines) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const kind = kindOf(lines, at);
    const end = ENDS[kind](lines, at);
    blocks.push({ kind, lines: lines.slice(at, end) });
    at = end;
  }
  return blocks;
}

function kindOf(lines, at) {
  const line = lines[at];
  if (FENCE.test(line)) return "code";
  if (HEADING.test(line)) return "heading";
  if (RULE.test(line)) return "rule";
  if (QUOTE.test(line)) return "quote";
  if (ITEM.test(line)) return "list";
  if (line.includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && DIVIDER.test(lines[at + 1])) return "table";
  return "paragraph";
}

const ENDS = {
  heading: (lines, at) => at + 1,
  rule: (lines, at) => at + 1,
  code(lines, at) {
    const fence = FENCE.exec(lines[at])[1];
    const end = lines.findIndex((line, i) => i > at && line.trim().startsWith(fence) && !line.trim().replaceAll(fence[0], ""));
    return end < 0 ? lines.length : end + 1; // an open fence runs to the end: it is still being written
  },
  quote: (lines, at) => firstAfter(lines, at, (line) => !QUOTE.test(line)),
  table: (lines, at) => firstAfter(lines, at + 1, (line) => !line.trim() || !line.includes("|")),
  list: (lines, at) => firstAfter(lines, at, (line, i) => {
    if (line.trim()) return !ITEM.test(line) && !/^\s{2,}/.test(line) && !isLazy(lines, i);
    const next = lines[i + 1] ?? "";
    return !ITEM.test(next) && !/^\s{2,}\S/.test(next);
  }),
  paragraph: (lines, at) => firstAfter(lines, at, (line, i) => !line.trim() || kindOf(lines, i) !== "paragraph"),
};

function firstAfter(lines, at, ends) {
  let i = at + 1;
  while (i < lines.length && !ends(lines[i], i)) i += 1;
  return i;
}

/** A line that goes on with the item before it although it is not indented. */
function isLazy(lines, i) {
  return Boolean(lines[i - 1].trim()) && kindOf(lines, i) === "paragraph";
}

function drawBlock({ kind, lines }, depth) {
  return depth >= DEPTH ? el("p", { text: lines.join("\n") }) : DRAW[kind](lines, depth);
}

const DRAW = {
  paragraph: (lines) => withInline(el("p"), lines.map((line) => line.trimStart()).join("\n")),
  rule: () => el("hr"),
  heading(lines) {
    const [, marks, text] = HEADING.exec(lines[0]);
    return withInline(el(`h${Math.min(marks.length + 2, 6)}`), text); // h1 and h2 belong to the page
  },
  code(lines) {
    const [, fence, language] = FENCE.exec(lines[0]);
    const closed = lines.length > 1 && lines.at(-1).trim().startsWith(fence);
    const text = lines.slice(1, closed ? -1 : undefined).join("\n");
    return el("pre", { tabindex: 0, "data-language": language }, el("code", { text }));
  },
  quote(lines, depth) {
    const inner = blocksOf(lines.map((line) => line.replace(QUOTE, "")));
    return el("blockquote", {}, ...inner.map((block) => drawBlock(block, depth + 1)));
  },
  list: (lines, depth) => drawList(lines, depth),
  table: (lines) => drawTable(lines),
};

function drawList(lines, depth) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(mark);
  const list = el(ordered ? "ol" : "ul", { start: ordered && mark !== "1." ? parseInt(mark, 10) : undefined });
  let item = [];
  const flush = () => {
    if (item.length) list.append(drawItem(item, depth));
  };
  for (const line of lines) {
    const match = ITEM.exec(line);
    if (match && match[1].length <= indent.length + 1) {
      flush();
      item = [line.slice(match[0].length)];
    } else {
      item.push(line.replace(/^ {1,4}/, "")); // content is indented by two to four
    }
  }
  flush();
  return list;
}

function drawItem(lines, depth) {
  const item = el("li");
  for (const block of blocksOf(lines)) {
    const drawn = drawBlock(block, depth + 1);
    if (block.kind === "paragraph" && !item.hasChildNodes()) item.append(...drawn.childNodes);
    else item.append(drawn);
  }
  return item;
}

function drawTable(lines) {
  const rows = lines.slice(2).map(cellsOf);
  const sides = cellsOf(lines[1]).map((divider, i) => sideOf(divider, rows.map((cells) => cells[i])));
  const row = (cells, tag) => el("tr", {}, ...cells.slice(0, sides.length).map((cell, i) =>
    withInline(el(tag, { class: sides[i] || undefined }), cell)));
  return el("div", { class: "table", tabindex: 0, role: "region", "aria-label": "Table" }, el("table", {},
    el("thead", {}, row(cellsOf(lines[0]), "th")),
    el("tbody", {}, ...rows.map((cells) => row(cells, "td")))));
}

const NUMBER = /^\*{0,2}[-+−]?[$€£]?\d[\d.,]*\s?%?\*{0,2}$/;

/** Where a column stands: as its divider says, and numbers to the right when it says nothing. */
function sideOf(divider, cells) {
  if (divider.endsWith(":")) return divider.startsWith(":") ? "center" : "right";
  const filled = cells.filter(Boolean);
  return !divider.startsWith(":") && filled.length && filled.every((cell) => NUMBER.test(cell)) ? "right" : "";
}

function cellsOf(line) {
  const cells = [""];
  const text = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === "\\" && text[i + 1] === "|") cells[cells.length - 1] += text[(i += 1)];
    else if (text[i] === "|") cells.push("");
    else cells[cells.length - 1] += text[i];
  }
  return cells.map((cell) => cell.trim());
}

// Inline: code, strong, emphasis, struck, links, bare addresses. Everything else is text.

const TOKEN = /\\[!-/:-@[-`{-~]|`+|\*{1,3}|_{1,3}|~~|!?\[|<?https?:\/\/|\n/g;
const MARKS = { "***": "strong", "**": "strong", "*": "em", "___": "strong", "__": "strong", "_": "em", "~~": "del" };

function withInline(element, text, depth = 0) {
  drawInline(element, text, depth);
  return element;
}

function drawInline(parent, text, depth) {
  const missing = new Set(); // closers that do not come any more: looked for once, not once for each opener
  let done = 0;
  const token = new RegExp(TOKEN); // its own lastIndex: this function is recursive
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const drawn = drawToken(text, match[0], match.index, depth, missing);
    if (!drawn) continue;
    parent.append(text.slice(done, match.index), drawn.node);
    done = drawn.end;
    token.lastIndex = done;
  }
  parent.append(text.slice(done));
}

function drawToken(text, found, at, depth, missing) {
  if (found === "\n") return { node: el("br"), end: at + 1 }; // a model means its line breaks, unlike CommonMark
  if (found[0] === "\\") return { node: document.createTextNode(found[1]), end: at + 2 };
  if (found[0] === "`") return codeSpan(text, found, at, missing);
  if (found[0] === "h") return bareLink(text, at);
  if (found[0] === "<") return angleLink(text, at);
  if (found.endsWith("[")) return link(text, found, at, depth, missing);
  return emphasis(text, found, at, depth, missing);
}

function closerOf(text, closer, from, missing) {
  if (missing.has(closer)) return -1;
  const end = text.indexOf(closer, from);
  if (end < 0) missing.add(closer);
  return end;
}

function codeSpan(text, ticks, at, missing) {
  const end = closerOf(text, ticks, at + ticks.length, missing);
  if (end < 0) return null;
  return { node: el("code", { text: text.slice(at + ticks.length, end).trim() }), end: end + ticks.length };
}

function emphasis(text, mark, at, depth, missing) {
  const start = at + mark.length;
  if (depth >= DEPTH || !text[start] || /\s/.test(text[start])) return null;
  const inWord = mark[0] === "_" && /\w/.test(text[at - 1] ?? ""); // snake_case is a name
  const end = inWord ? -1 : closerOf(text, mark, start + 1, missing);
  if (end < 0 || /\s/.test(text[end - 1])) return null;
  if (mark[0] === "_" && /\w/.test(text[end + mark.length] ?? "")) return null;
  const inner = withInline(el(MARKS[mark]), text.slice(start, end), depth + 1);
  return { node: mark.length === 3 ? el("em", {}, inner) : inner, end: end + mark.length };
}

function link(text, found, at, depth, missing) {
  const middle = closerOf(text, "](", at + found.length, missing);
  if (middle < 0 || depth >= DEPTH) return null;
  const end = closerOf(text, ")", middle + 2, missing);
  const label = text.slice(at + found.length, middle);
  if (end < 0 || label.includes("[")) return null;
  const address = text.slice(middle + 2, end).trim().split(/\s/)[0];
  if (!/^https?:\/\/[^\s]+$/i.test(address)) return { node: document.createTextNode(text.slice(at, end + 1)), end: end + 1 };
  return { node: withInline(anchor(address), label || address, depth + 1), end: end + 1 };
}

function bareLink(text, at) {
  const [address] = /^[^\s<>"'`|\\^{}]*/.exec(text.slice(at, at + 2048));
  const clean = address.replace(/[.,;:!?)\]*_~]+$/, "");
  if (clean.length <= 8) return null;
  return { node: anchor(clean, clean), end: at + clean.length };
}

function angleLink(text, at) {
  const inner = bareLink(text, at + 1);
  if (!inner || text[inner.end] !== ">") return null;
  return { node: inner.node, end: inner.end + 1 };
}

function anchor(address, text) {
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow", text });
}
