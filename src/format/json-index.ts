import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";

/** Longer documents are compared as text. */
const MAX_BYTES = 64 << 20;
const MAX_DEPTH = 256;
const MAX_CONTAINERS = 4 << 20;

/**
 * JSON (RFC 8259) by offsets: where each object and array ends, so that any
 * value is stepped over at once. Nothing is turned into values: numbers of any
 * size, keys that stand twice and escapes stay as they are written.
 */
export interface JsonIndex {
  name: string;
  bytes: Uint8Array;
  /** Values of the outermost level: several in a file of lines (NDJSON). */
  roots: Span[];
  /** Where the objects and arrays begin, ascending, and where each ends. */
  starts: Uint32Array;
  ends: Uint32Array;
}

export interface Span {
  start: number;
  end: number;
}

/** A member of an object, or an element of an array: with the blanks around it and the comma after it. */
export interface JsonMember {
  from: number;
  to: number;
  /** With its quotes; undefined in an array. */
  name: Span | undefined;
  colon: number;
  value: Span;
  comma: number | undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
export const OBJECT = 0x7b;
export const ARRAY = 0x5b;
const SCALAR = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity)$/;

/** Throws `input` with the offset for what is not JSON, `limit` for over 64 MiB, 256 levels or four million containers. */
export function indexJson(source: ByteSource, name: string): JsonIndex {
  if (source.size > MAX_BYTES) throw new BitforbitError("limit", `${name}: JSON of more than ${MAX_BYTES} bytes`);
  const bytes = source.read(0, source.size).slice();
  return new Indexer(bytes, name).index();
}

class Indexer {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  #starts = new Uint32Array(1024);
  #ends = new Uint32Array(1024);
  #count = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  index(): JsonIndex {
    const bytes = this.#bytes;
    const roots: Span[] = [];
    let at = blankEnd(bytes, bomLength(bytes));
    while (at < bytes.length) {
      const end = this.#valueEnd(at);
      roots.push({ start: at, end });
      at = blankEnd(bytes, end);
      const lineEnd = bytes.indexOf(0x0a, end);
      if (at < bytes.length && (lineEnd < 0 || lineEnd >= at)) throw this.#bad(at, "the end or a new line");
    }
    if (roots.length === 0) throw this.#bad(at, "a value");
    const starts = this.#starts.subarray(0, this.#count);
    return { name: this.#name, bytes, roots, starts, ends: this.#ends.subarray(0, this.#count) };
  }

  /** Walks one value with a stack of its own: depth costs no call stack. */
  #valueEnd(start: number): number {
    const bytes = this.#bytes;
    const open: number[] = [];
    let at = start;
    do {
      const first = bytes[at];
      if (first === OBJECT || first === ARRAY) {
        if (open.length >= MAX_DEPTH) throw new BitforbitError("limit", `${this.#name}: deeper than ${MAX_DEPTH}`);
        open.push(this.#opened(at));
        at = blankEnd(bytes, at + 1);
        if (bytes[at] !== first + 2) {
          if (first === OBJECT) at = this.#colonAfter(at);
          continue;
        }
      } else at = this.#scalarEnd(at);
      at = this.#closed(open, at);
    } while (open.length > 0);
    return at;
  }

  /** From the end of a value, or from the bracket that closes an empty one: on to the next value. */
  #closed(open: number[], from: number): number {
    let at = from;
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      at = blankEnd(this.#bytes, at);
      const kind = this.#bytes[this.#starts[top] ?? 0] ?? 0;
      if (this.#bytes[at] === COMMA) {
        at = blankEnd(this.#bytes, at + 1);
        return kind === OBJECT ? this.#colonAfter(at) : at;
      }
      if (this.#bytes[at] !== kind + 2) throw this.#bad(at, `a comma or ${String.fromCharCode(kind + 2)}`);
      this.#ends[top] = ++at;
      open.pop();
    }
    return at;
  }

  #colonAfter(at: number): number {
    if (this.#bytes[at] !== QUOTE) throw this.#bad(at, "a name in quotes");
    const colon = blankEnd(this.#bytes, this.#stringEnd(at));
    if (this.#bytes[colon] !== COLON) throw this.#bad(colon, "a colon");
    return blankEnd(this.#bytes, colon + 1);
  }

  #scalarEnd(at: number): number {
    if (this.#bytes[at] === QUOTE) return this.#stringEnd(at);
    const end = wordEnd(this.#bytes, at);
    if (!SCALAR.test(latin1(this.#bytes, at, end))) throw this.#bad(at, "a value");
    return end;
  }

  #stringEnd(at: number): number {
    const end = stringEnd(this.#bytes, at);
    if (end < 0) throw this.#bad(at, "a string that ends");
    return end;
  }

  #opened(at: number): number {
    if (this.#count >= MAX_CONTAINERS) {
      throw new BitforbitError("limit", `${this.#name}: more than ${MAX_CONTAINERS} objects and arrays`);
    }
    if (this.#count === this.#starts.length) {
      this.#starts = doubled(this.#starts);
      this.#ends = doubled(this.#ends);
    }
    this.#starts[this.#count] = at;
    return this.#count++;
  }

  #bad(at: number, expected: string): BitforbitError {
    const found = at < this.#bytes.length ? `0x${hex(this.#bytes.subarray(at, at + 1))}` : "the end";
    return new BitforbitError("input", `${this.#name}: JSON, offset ${at}: ${found}, expected ${expected}`);
  }
}

function doubled(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** Where the value that begins at `start` ends; it was walked before. */
export function valueEnd(index: JsonIndex, start: number): number {
  const { bytes, starts, ends } = index;
  const first = bytes[start];
  if (first === QUOTE) return stringEnd(bytes, start);
  if (first !== OBJECT && first !== ARRAY) return wordEnd(bytes, start);
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  return ends[low] ?? start;
}

/** The members of the object, or the elements of the array, that begins at `start`. */
export function* membersOf(index: JsonIndex, start: number): Generator<JsonMember> {
  const { bytes } = index;
  const named = bytes[start] === OBJECT;
  let from = start + 1;
  let at = blankEnd(bytes, from);
  if (bytes[at] === (named ? 0x7d : 0x5d)) return;
  for (;;) {
    const name = named ? { start: at, end: stringEnd(bytes, at) } : undefined;
    const colon = name === undefined ? at : blankEnd(bytes, name.end);
    const first = name === undefined ? at : blankEnd(bytes, colon + 1);
    const value = { start: first, end: valueEnd(index, first) };
    const after = blankEnd(bytes, value.end);
    const comma = bytes[after] === COMMA ? after : undefined;
    const to = comma === undefined ? value.end : comma + 1;
    yield { from, to, name, colon, value, comma };
    if (comma === undefined) return;
    from = to;
    at = blankEnd(bytes, from);
  }
}

/** The text of a string with its quotes, or of another scalar as it is written. */
export function textOf(bytes: Uint8Array, { start, end }: Span): string {
  return bytes[start] === QUOTE ? showable(unescaped(bytes, start + 1, end - 1)) : latin1(bytes, start, end);
}

const SIMPLE: Readonly<Record<string, number>> = { b: 8, t: 9, n: 10, f: 12, r: 13 };

/** The bytes that a string stands for: escapes resolved, everything else as it is. Lone surrogates become three bytes. */
export function unescaped(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const out = new Uint8Array(end - start);
  let length = 0;
  for (let at = start; at < end;) {
    // Within the string only: most have no escape, and the document may be large.
    const stop = bytes.subarray(at, end).indexOf(BACKSLASH);
    const plain = stop < 0 ? end : at + stop;
    out.set(bytes.subarray(at, plain), length);
    length += plain - at;
    at = plain;
    if (at >= end) break;
    const letter = String.fromCharCode(bytes[at + 1] ?? 0);
    const unit = letter === "u" ? unitAt(bytes, at, end) : undefined;
    if (unit === undefined) {
      out[length++] = SIMPLE[letter] ?? bytes[at + 1] ?? 0;
      at += 2;
      continue;
    }
    const low = unit >= 0xd800 && unit < 0xdc00 ? unitAt(bytes, at + 6, end) : undefined;
    const paired = low !== undefined && low >= 0xdc00 && low < 0xe000;
    length = put(out, length, paired ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) : unit);
    at += paired ? 12 : 6;
  }
  return out.subarray(0, length);
}

function unitAt(bytes: Uint8Array, at: number, end: number): number | undefined {
  if (at + 6 > end || bytes[at] !== BACKSLASH || bytes[at + 1] !== 0x75) return undefined;
  const digits = latin1(bytes, at + 2, at + 6);
  return /^[\da-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}

/** An escape is never shorter than what it stands for, so the room always suffices. */
function put(out: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    out[at] = code;
    return at + 1;
  }
  const size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (let index = size - 1, rest = code; index > 0; index--, rest >>= 6) out[at + index] = 0x80 | (rest & 0x3f);
  out[at] = ((0xf00 >> size) & 0xff) | (code >> (6 * (size - 1)));
  return at + size;
}

export function blankEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = bytes[at]) at++;
  return at;
}

export function bomLength(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

function wordEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte !== undefined && isWord(byte); byte = bytes[at]) at++;
  return at;
}

function isWord(byte: number): boolean {
  if (byte >= 0x30 && byte <= 0x39) return true;
  return (
    (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2b || byte === 0x2d || byte === 0x2e
  );
}

/** After the closing quote, or -1. */
function stringEnd(bytes: Uint8Array, start: number): number {
  for (let from = start + 1; ;) {
    const quote = bytes.indexOf(QUOTE, from);
    if (quote < 0) return -1;
    let before = quote;
    while (before > from && bytes[before - 1] === BACKSLASH) before--;
    if ((quote - before) % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}

export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}
