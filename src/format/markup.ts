import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { latin1 } from "./json-index.ts";
import { hasLongLine } from "./long-lines.ts";
import { indexMarkup, isLetter, type MarkupIndex, nameEnd, type Token, tokensIn } from "./markup-index.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * XML 1.0 and HTML whose lines are too long to be compared line by line:
 *
 *     group element         by name and what tells it from its like: `a href=/x`
 *       derived tag           `<a`, blanks, `>`
 *       field @href           each attribute
 *       field text, comment, groups of elements, contents of scripts and styles
 *       derived tag           `</a>`
 *
 * Entities are not resolved, a DOCTYPE is one field. What is laid out in lines
 * of at most 400 characters is refused: comparing lines is what people want.
 */
const MAX_BYTES = 64 << 20;
const LONG = 300;
const MAX_KEY = 200;
const NAMING = [
  "id",
  "xml:id",
  "Id",
  "name",
  "Name",
  "key",
  "property",
  "rel",
  "Include",
  "path",
  "ref",
  "href",
  "src",
  "for",
];

interface Attribute {
  name: string;
  start: number;
  end: number;
  value: string;
}

export function xmlParts(source: ByteSource, name: string): Iterable<Part> {
  return markupParts(source, name, false);
}

export function htmlParts(source: ByteSource, name: string): Iterable<Part> {
  return markupParts(source, name, true);
}

function markupParts(source: ByteSource, name: string, html: boolean): Iterable<Part> {
  if (source.size > MAX_BYTES) throw new BitforbitError("limit", `${name}: markup of more than ${MAX_BYTES} bytes`);
  const bytes = source.read(0, source.size).slice();
  if (!hasLongLine(bytes)) throw new BitforbitError("input", `${name}: markup in lines: compared line by line`);
  const index = indexMarkup(bytes, name, html);
  return insideParts(index, 0, bytes.length);
}

function* insideParts(index: MarkupIndex, from: number, to: number): Generator<Part> {
  for (const token of tokensIn(index, from, to)) yield tokenPart(index, token);
}

function tokenPart(index: MarkupIndex, token: Token): Part {
  const { bytes } = index;
  const { kind, start, end } = token;
  if (token.kind === "element") return elementPart(index, token);
  const length = end - start;
  if (kind === "stray") return derived("tag", start, length);
  if (kind === "text" && isBlank(bytes, start, end))
    return { key: "whitespace", kind: "padding", offset: start, length };
  const show = (): string => shown(bytes, start, end);
  if (kind === "instruction")
    return field(`<?${latin1(bytes, start + 2, nameEnd(bytes, start + 2))}`, start, length, show);
  const key = kind === "cdata" ? "text" : kind;
  if (length > LONG && kind !== "doctype") return { key, kind: "content", offset: start, length };
  return field(key, start, length, show);
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] ?? 0) > 0x20) return false;
  return true;
}

function shown(bytes: Uint8Array, start: number, end: number): string {
  return showable(bytes.subarray(start, Math.min(end, start + LONG)));
}

type Element = Extract<Token, { kind: "element" }>;

function elementPart(index: MarkupIndex, element: Element): Part {
  const { bytes } = index;
  const { start, end, name } = element;
  const attributes = [...attributesOf(bytes, element)];
  const naming = NAMING.map((key) => attributes.find((attribute) => attribute.name === key)).find(
    (one) => one !== undefined,
  );
  const key = naming === undefined ? name : `${name} ${naming.name}=${naming.value}`.slice(0, MAX_KEY);
  const cut = (): Iterable<Part> => insideElement(index, element, attributes);
  return { ...group(key, start, end - start, cut), show: () => shown(bytes, start, end) };
}

/** Attributes in order; what is none is stepped over. */
function* attributesOf(bytes: Uint8Array, { start, tagEnd }: Element): Generator<Attribute> {
  for (let at = nameEnd(bytes, start + 1); at < tagEnd;) {
    if (!isLetter(bytes[at]) && !(bytes[at] === 0x40 || bytes[at] === 0x3a || bytes[at] === 0x2d)) {
      at++;
      continue;
    }
    const from = at;
    at = nameEnd(bytes, at);
    const name = showable(bytes.subarray(from, at));
    let value = at;
    while (value < tagEnd && (bytes[value] ?? 0) <= 0x20) value++;
    if (bytes[value] !== 0x3d) {
      yield { name, start: from, end: at, value: "" };
      continue;
    }
    value++;
    while (value < tagEnd && (bytes[value] ?? 0) <= 0x20) value++;
    const quote = bytes[value];
    const quoted = quote === 0x22 || quote === 0x27;
    const inside = quoted ? bytes.subarray(value + 1, tagEnd).indexOf(quote) : -1;
    const close = !quoted ? bareEnd(bytes, value, tagEnd) : inside < 0 ? -1 : value + 1 + inside;
    at = Math.min(tagEnd, close < 0 ? tagEnd : close + (quoted ? 1 : 0));
    const text = bytes.subarray(quoted ? value + 1 : value, Math.min(at, value + LONG) - (quoted ? 1 : 0));
    yield { name, start: from, end: at, value: showable(text) };
    if (at === from) at++;
  }
}

function bareEnd(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && (bytes[at] ?? 0) > 0x20 && bytes[at] !== 0x3e) at++;
  return at;
}

function* insideElement(index: MarkupIndex, element: Element, attributes: readonly Attribute[]): Generator<Part> {
  const { bytes, html } = index;
  const { start, tagEnd, contentEnd, end, name } = element;
  let at = start;
  let before = "tag";
  for (const attribute of attributes) {
    if (attribute.start < at || attribute.end > tagEnd) continue;
    yield derived(before, at, attribute.start - at);
    yield attributePart(attribute);
    // The blank after an attribute comes, goes and moves with it.
    before = `tag after ${attribute.name}`;
    at = attribute.end;
  }
  yield derived("tag end", at, tagEnd - at);
  const raw = html && (name === "script" || name === "style");
  if (raw && contentEnd > tagEnd) {
    const type = attributes.find((attribute) => attribute.name === "type")?.value ?? "";
    const file = name === "style" ? "style.css" : type.includes("json") ? "script.json" : "script.js";
    yield { key: "", kind: "content", offset: tagEnd, length: contentEnd - tagEnd, name: file };
  } else if (contentEnd > tagEnd)
    yield* html && (name === "textarea" || name === "title")
      ? [textPart(bytes, tagEnd, contentEnd)]
      : insideParts(index, tagEnd, contentEnd);
  if (end > contentEnd) yield derived("closing tag", contentEnd, end - contentEnd);
}

function textPart(bytes: Uint8Array, from: number, to: number): Part {
  return field("text", from, to - from, () => shown(bytes, from, to));
}

function attributePart({ name, start, end, value }: Attribute): Part {
  return field(`@${name}`.slice(0, MAX_KEY), start, end - start, () => value);
}
