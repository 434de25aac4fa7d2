import { BitforbitError } from "../errors.ts";
import { latin1 } from "./json-index.ts";

/** Markup by offsets: XML 1.0 strictly, HTML as forgiving as browsers are, both without resolving anything. */
export interface MarkupIndex {
  name: string;
  bytes: Uint8Array;
  html: boolean;
  /** Four numbers an element, in order of their beginnings: the tag's beginning and end, the content's end, the element's end. */
  places: Uint32Array;
  count: number;
}

export type Token =
  | { kind: "element"; start: number; tagEnd: number; contentEnd: number; end: number; name: string }
  | { kind: "text" | "comment" | "cdata" | "instruction" | "doctype" | "stray"; start: number; end: number };

const MAX_ELEMENTS = 4 << 20;
const MAX_DEPTH = 512;
const VOID = new Set("area base br col embed hr img input link meta param source track wbr".split(" "));
const RAW = new Set("script style textarea title".split(" "));
/** Elements that end where another of the list after them begins. */
const ENDED_BY: Readonly<Record<string, readonly string[]>> = {
  li: ["li"],
  p: ["p", "div", "ul", "ol", "table", "h1", "h2", "h3", "h4", "pre", "section", "form"],
  td: ["td", "th", "tr"],
  th: ["td", "th", "tr"],
  tr: ["tr"],
  option: ["option"],
  dt: ["dt", "dd"],
  dd: ["dt", "dd"],
};

/** Throws `input` for XML whose tags do not match, `limit` for over four million elements or, in XML, 512 levels. */
export function indexMarkup(bytes: Uint8Array, name: string, html: boolean): MarkupIndex {
  const index: MarkupIndex = { name, bytes, html, places: new Uint32Array(4096), count: 0 };
  const open: { name: string; place: number }[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = bytes.indexOf(0x3c, at);
    if (start < 0) break;
    const end = markEnd(bytes, start);
    if (end < 0) {
      if (!html) throw bad(index, start, "a mark that does not end");
      break;
    }
    at = end;
    if (bytes[start + 1] === 0x2f) closed(index, open, start, end);
    else if (isLetter(bytes[start + 1])) at = opened(index, open, start, end);
    else if (!html && bytes[start + 1] !== 0x21 && bytes[start + 1] !== 0x3f) throw bad(index, start, "no tag");
  }
  if (open.length > 0 && !html) throw bad(index, bytes.length, `<${open.at(-1)?.name}> is not closed`);
  for (const { place } of open) finish(index, place, bytes.length, bytes.length);
  return index;
}

function bad({ name }: MarkupIndex, at: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: markup, offset ${at}: ${what}`);
}

function finish({ places }: MarkupIndex, place: number, contentEnd: number, end: number): void {
  places[place * 4 + 2] = contentEnd;
  places[place * 4 + 3] = end;
}

/** Gives where to go on. */
function opened(index: MarkupIndex, open: { name: string; place: number }[], start: number, end: number): number {
  const { bytes, html } = index;
  const name = tagName(bytes, start + 1, html);
  if (html) {
    for (let top = open.at(-1); top !== undefined && endsBefore(top.name, name); top = open.at(-1)) {
      finish(index, top.place, start, start);
      open.pop();
    }
  }
  if (index.count >= MAX_ELEMENTS) throw new BitforbitError("limit", `${index.name}: over ${MAX_ELEMENTS} elements`);
  if ((index.count + 1) * 4 > index.places.length) {
    const larger = new Uint32Array(index.places.length * 2);
    larger.set(index.places);
    index.places = larger;
  }
  const place = index.count++;
  index.places.set([start, end, end, end], place * 4);
  if (bytes[end - 2] === 0x2f || (html && VOID.has(name))) return end;
  if (html && RAW.has(name)) {
    const close = rawEnd(bytes, end, name);
    const after = bytes.indexOf(0x3e, close);
    finish(index, place, close, after < 0 ? bytes.length : after + 1);
    return after < 0 ? bytes.length : after + 1;
  }
  if (open.length < MAX_DEPTH) open.push({ name, place });
  else if (!html) throw new BitforbitError("limit", `${index.name}: nested deeper than ${MAX_DEPTH} levels`);
  return end;
}

function endsBefore(name: string, next: string): boolean {
  return ENDED_BY[name]?.includes(next) === true;
}

function closed(index: MarkupIndex, open: { name: string; place: number }[], start: number, end: number): void {
  const name = tagName(index.bytes, start + 2, index.html);
  const at = open.findLastIndex((element) => element.name === name);
  if (!index.html && (at < 0 || at !== open.length - 1)) {
    throw bad(index, start, `</${name}> closes <${open.at(-1)?.name ?? ""}>`);
  }
  if (at < 0) return;
  for (const { place } of open.splice(at + 1)) finish(index, place, start, start);
  const top = open.pop();
  if (top !== undefined) finish(index, top.place, start, end);
}

function rawEnd(bytes: Uint8Array, from: number, name: string): number {
  for (let at = bytes.indexOf(0x3c, from); at >= 0; at = bytes.indexOf(0x3c, at + 1)) {
    if (latin1(bytes, at, Math.min(bytes.length, at + 2 + name.length)).toLowerCase() === `</${name}`) return at;
  }
  return bytes.length;
}

/** After the `>` that ends what begins with `<` at `start`; -1 when nothing does. */
function markEnd(bytes: Uint8Array, start: number): number {
  const head = latin1(bytes, start, Math.min(bytes.length, start + 9));
  const until = (mark: string, from: number): number => {
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(mark, from);
    return at < 0 ? -1 : at + mark.length;
  };
  if (head.startsWith("<!--")) return until("-->", start + 4);
  if (head === "<![CDATA[") return until("]]>", start + 9);
  if (head.startsWith("<?")) return until(">", start + 2);
  if (head.startsWith("<!")) return doctypeEnd(bytes, start);
  let quote = 0;
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (quote !== 0) quote = byte === quote ? 0 : quote;
    // A quote that follows no equals sign is one in a text like <it's>.
    else if ((byte === 0x22 || byte === 0x27) && bytes[at - 1] === 0x3d) quote = byte;
    else if (byte === 0x3e) return at + 1;
    else if (byte === 0x3c) return at;
  }
  return -1;
}

/** What the brackets of an internal subset hold is stepped over, never read. */
function doctypeEnd(bytes: Uint8Array, start: number): number {
  let inside = false;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x5b) inside = true;
    else if (byte === 0x5d) inside = false;
    else if (byte === 0x3e && !inside) return at + 1;
  }
  return -1;
}

export function isLetter(byte: number | undefined): boolean {
  return (
    byte !== undefined &&
    ((byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte >= 0x80 || byte === 0x5f)
  );
}

export function nameEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (
    let byte = bytes[at];
    byte !== undefined && byte > 0x20 && byte !== 0x2f && byte !== 0x3e && byte !== 0x3d;
    byte = bytes[at]
  ) {
    at++;
  }
  return at;
}

function tagName(bytes: Uint8Array, from: number, html: boolean): string {
  const name = latin1(bytes, from, nameEnd(bytes, from));
  return html ? name.toLowerCase() : name;
}

/** What stands directly between `from` and `to`: elements are stepped over. */
export function* tokensIn(index: MarkupIndex, from: number, to: number): Generator<Token> {
  const { bytes, places } = index;
  let element = firstFrom(index, from);
  let text = from;
  let at = from;
  while (at < to) {
    const start = bytes.indexOf(0x3c, at);
    if (start < 0 || start >= to) break;
    while (element < index.count && (places[element * 4] ?? 0) < start) element++;
    const isElement = element < index.count && places[element * 4] === start;
    const mark = isElement ? (places[element * 4 + 3] ?? to) : markEnd(bytes, start);
    if (mark < 0 || mark > to) break;
    const second = bytes[start + 1];
    at = mark;
    if (!isElement && second !== 0x21 && second !== 0x3f && second !== 0x2f) continue;
    if (start > text) yield { kind: "text", start: text, end: start };
    text = mark;
    if (isElement) {
      const tagEnd = places[element * 4 + 1] ?? mark;
      const contentEnd = places[element * 4 + 2] ?? mark;
      yield { kind: "element", start, tagEnd, contentEnd, end: mark, name: tagName(bytes, start + 1, index.html) };
    } else yield { kind: kindAt(bytes, start), start, end: mark };
  }
  if (text < to) yield { kind: "text", start: text, end: to };
}

function kindAt(bytes: Uint8Array, start: number): "comment" | "cdata" | "instruction" | "doctype" | "stray" {
  if (bytes[start + 1] === 0x3f) return "instruction";
  if (bytes[start + 1] === 0x2f) return "stray";
  const head = latin1(bytes, start, Math.min(bytes.length, start + 9));
  return head.startsWith("<!--") ? "comment" : head === "<![CDATA[" ? "cdata" : "doctype";
}

function firstFrom({ places, count }: MarkupIndex, at: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle * 4] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
