import { hex } from "../bytes.ts";

/** Line and exception tables of CPython's code objects as lines; lines counted from the function's first. */

/** Objects/lnotab_notes.txt (to 3.9), Objects/locations of 3.10 (PEP 626) and of 3.11 on (InternalDocs/code_objects.md). */
export function positionLines(bytes: Uint8Array, version: number): string[] {
  if (version >= 311) return locations(bytes);
  const lines: string[] = [];
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    const length = bytes[at] ?? 0;
    const step = bytes[at + 1] ?? 0;
    const signed = version < 306 ? step : (step << 24) >> 24;
    if (version === 310)
      lines.push(signed === -128 ? `no line: ${length} bytes` : `line ${plus(signed)}: ${length} bytes`);
    else lines.push(`${length} bytes, then line ${plus(signed)}`);
  }
  if (bytes.length % 2 === 1) lines.push("one byte more");
  return lines;
}

function plus(step: number): string {
  return step < 0 ? String(step) : `+${step}`;
}

/** A number in pieces of six bits, least first. */
function varint(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  let next = at;
  for (let shift = 0; next < bytes.length && shift < 36; shift += 6) {
    const byte = bytes[next++] ?? 0;
    value += (byte & 63) * 2 ** shift;
    if ((byte & 64) === 0) break;
  }
  return { value, next };
}

function locations(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  let at = 0;
  const number = (): number => {
    const { value, next } = varint(bytes, at);
    at = next;
    return value;
  };
  const signed = (): number => {
    const value = number();
    return value % 2 === 1 ? -Math.floor(value / 2) : value / 2;
  };
  while (at < bytes.length) {
    const head = bytes[at++] ?? 0;
    const length = ((head & 7) + 1) * 2;
    const kind = (head >> 3) & 15;
    let text: string;
    if ((head & 0x80) === 0) text = `not an entry: ${hex(bytes.subarray(at - 1, at))}`;
    else if (kind === 15) text = "no position";
    else if (kind === 14) {
      const step = signed();
      const more = number();
      const [from, to] = [number(), number()];
      text = `line ${plus(step)}, ${more} more, columns ${from - 1} to ${to - 1}`;
    } else if (kind === 13) text = `line ${plus(signed())}`;
    else if (kind >= 10) {
      const [from, to] = [bytes[at++] ?? 0, bytes[at++] ?? 0];
      text = `line +${kind - 10}, columns ${from} to ${to}`;
    } else {
      const second = bytes[at++] ?? 0;
      const from = kind * 8 + (second >> 4);
      text = `line +0, columns ${from} to ${from + (second & 15)}`;
    }
    lines.push(`${text}: ${length} bytes`);
  }
  return lines;
}

/** From 3.11 on: start, length, target and depth, the first byte of each entry marked with its highest bit. */
export function exceptionLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  let at = 0;
  const number = (): number => {
    let value = 0;
    while (at < bytes.length) {
      const byte = bytes[at++] ?? 0;
      value = (value * 64 + (byte & 63)) % 2 ** 40;
      if ((byte & 64) === 0) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const [start, length, target, depth] = [number() * 2, number() * 2, number() * 2, number()];
    const lasti = depth % 2 === 1 ? ", with the place" : "";
    lines.push(`${start} to ${start + length}, handled at ${target}: depth ${Math.floor(depth / 2)}${lasti}`);
  }
  return lines;
}
