import { latin1 } from "./json-index.ts";

/** Objects of PDF by offsets (ISO 32000-2, section 7.3): nothing is resolved, nothing is turned into values. */
export interface PdfEntry {
  /** Without its slash, escapes as they are written. */
  name: string;
  /** From the slash up to the next entry. */
  from: number;
  to: number;
  value: number;
  valueEnd: number;
}

const MAX_DEPTH = 64;
const WHITE = new Set([0, 9, 10, 12, 13, 32]);
const DELIMITERS = new Set(Buffer.from("()<>[]{}/%"));

export function isWhite(byte: number | undefined): boolean {
  return byte !== undefined && WHITE.has(byte);
}

/** After white space and comments. */
export function skipWhite(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    while (isWhite(bytes[at])) at++;
    if (bytes[at] !== 0x25) return at;
    while (at < bytes.length && bytes[at] !== 10 && bytes[at] !== 13) at++;
  }
}

export function isDictionary(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x3c && bytes[at + 1] === 0x3c;
}

/** After the object that begins at `start`; -1 when there is none, or it does not end. Depth costs no call stack. */
export function objectEnd(bytes: Uint8Array, start: number): number {
  let depth = 0;
  let at = start;
  do {
    at = skipWhite(bytes, at);
    const byte = bytes[at];
    if (byte === undefined || depth > MAX_DEPTH) return -1;
    if (byte === 0x5b) {
      depth++;
      at++;
    } else if (byte === 0x5d) {
      depth--;
      at++;
    } else if (isDictionary(bytes, at)) {
      depth++;
      at += 2;
    } else if (byte === 0x3e && bytes[at + 1] === 0x3e) {
      depth--;
      at += 2;
    } else {
      at = simpleEnd(bytes, at, byte);
      if (at < 0) return -1;
    }
  } while (depth > 0);
  return depth < 0 ? -1 : at;
}

function simpleEnd(bytes: Uint8Array, at: number, byte: number): number {
  if (byte === 0x28) return literalEnd(bytes, at);
  if (byte === 0x3c) {
    const end = bytes.indexOf(0x3e, at);
    return end < 0 ? -1 : end + 1;
  }
  const end = wordEnd(bytes, byte === 0x2f ? at + 1 : at);
  if (byte === 0x2f) return end;
  return end === at ? -1 : (referenceEnd(bytes, at) ?? end);
}

/** `12 0 R` is one object. */
function referenceEnd(bytes: Uint8Array, at: number): number | undefined {
  const first = bytes[at] ?? 0;
  if (first < 0x30 || first > 0x39) return undefined;
  const match = /^\d+[\0\t\n\f\r ]+\d+[\0\t\n\f\r ]+R(?![^\0\t\n\f\r ()<>[\]{}/%])/.exec(
    latin1(bytes, at, Math.min(bytes.length, at + 32)),
  );
  return match === null ? undefined : at + match[0].length;
}

function literalEnd(bytes: Uint8Array, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x5c) at++;
    else if (byte === 0x28) depth++;
    else if (byte === 0x29 && --depth === 0) return at + 1;
  }
  return -1;
}

function wordEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte !== undefined && !WHITE.has(byte) && !DELIMITERS.has(byte); byte = bytes[at]) at++;
  return at;
}

/** The entries of the dictionary that begins at `start`, each reaching up to the next; stops where one is broken. */
export function* entriesOf(bytes: Uint8Array, start: number): Generator<PdfEntry> {
  let at = skipWhite(bytes, start + 2);
  while (bytes[at] === 0x2f) {
    const nameEnd = wordEnd(bytes, at + 1);
    const value = skipWhite(bytes, nameEnd);
    const valueEnd = objectEnd(bytes, value);
    if (valueEnd < 0) return;
    const to = skipWhite(bytes, valueEnd);
    yield { name: latin1(bytes, at + 1, nameEnd), from: at, to, value, valueEnd };
    at = to;
  }
}

/** The value of an entry as it is written, at most `most` characters; undefined without such an entry. */
export function entryText(bytes: Uint8Array, start: number, name: string, most = 300): string | undefined {
  if (!isDictionary(bytes, start)) return undefined;
  for (const entry of entriesOf(bytes, start)) {
    if (entry.name === name) return latin1(bytes, entry.value, Math.min(entry.valueEnd, entry.value + most));
  }
  return undefined;
}
