import { hex, showable } from "../bytes.ts";
import type { Part } from "./part.ts";

/** One field of a record with a fixed layout: what it is called, its bytes, and how it is shown. */
export type Cell = readonly [
  key: string,
  size: number,
  kind: "field" | "derived" | "padding",
  show?: (bytes: Uint8Array) => string,
];

/** Parts of a record that begins at `offset`; `bytes` are the record. Cells that reach beyond them are left out. */
export function recordParts(cells: readonly Cell[], bytes: Uint8Array, offset: number): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const [key, size, kind, show] of cells) {
    if (at + size > bytes.length) break;
    const own = bytes.subarray(at, at + size);
    const part: Part = { key, kind, offset: offset + at, length: size };
    if (kind === "field") part.show = () => (show ?? number)(own);
    parts.push(part);
    at += size;
  }
  return parts;
}

/** Up to 8 bytes, little endian. */
export function number(bytes: Uint8Array): string {
  return String(unsigned(bytes));
}

export function unsigned(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let at = Math.min(8, bytes.length) - 1; at >= 0; at--) value = (value << 8n) | BigInt(bytes[at] ?? 0);
  return value;
}

/** Up to the first NUL, without blanks at the end. */
export function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return showable(end < 0 ? bytes : bytes.subarray(0, end)).replace(/ +$/, "");
}

/** As RFC 9562 writes it. */
export function uuid(bytes: Uint8Array): string {
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The first eight bytes are three little-endian numbers, as GPT has it. */
export function guid(bytes: Uint8Array): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return uuid(Uint8Array.from(order, (at) => bytes[at] ?? 0));
}

/** A device's major and minor number, as Linux's new_encode_dev joins them. */
export function linuxDevice(device: number): string {
  return `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`;
}

/** Shows set bits by name; bits without a name as a number. */
export function flags(names: Readonly<Record<number, string>>): (bytes: Uint8Array) => string {
  return (bytes) => {
    const value = unsigned(bytes);
    const shown: string[] = [];
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      if (((value >> BigInt(bit)) & 1n) === 1n) shown.push(names[bit] ?? `bit ${bit}`);
    }
    return shown.length === 0 ? "none" : shown.join(" ");
  };
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Of those that begin together an empty one comes first, then the longer. */
function rank({ length }: Part): number {
  return length === 0 ? Infinity : length;
}

/**
 * Parts found by following references, in the order of the source. Of those
 * that overlap the one that begins first stays; what reaches outside is left
 * out. What is left out is raw bytes to the comparer.
 */
export function* placed(parts: Part[], size: number, from = 0): Generator<Part> {
  parts.sort((a, b) => a.offset - b.offset || (rank(a) < rank(b) ? 1 : -1));
  const contents = new Set<string>();
  let end = from;
  for (const part of parts) {
    if (!Number.isSafeInteger(part.offset) || part.offset < end || part.offset + part.length > size) continue;
    // What is left of a content that was left out belongs to nothing.
    if (part.kind === "stored" && !contents.has(part.key)) continue;
    if (part.decode !== undefined) contents.add(part.key);
    end = part.offset + part.length;
    yield part;
  }
}
