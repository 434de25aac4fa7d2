/** Writing DER (X.690): the few types that PKCS#8 needs. */
import { concat } from "../bytes.ts";

const CONTENT_LIMIT = 1 << 16;

function element(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  if (length >= CONTENT_LIMIT) throw new RangeError(`DER content of ${length} bytes`);
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return concat([Uint8Array.from(header), content]);
}

export function derSequence(...items: Uint8Array[]): Uint8Array {
  return element(0x30, concat(items));
}

export function derOctets(bytes: Uint8Array): Uint8Array {
  return element(0x04, bytes);
}

/** A non-negative integer below 2^31, in the fewest bytes. */
export function derInteger(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0 || bytes.length === 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  if ((bytes[0] ?? 0) >= 0x80) bytes.unshift(0);
  return element(0x02, Uint8Array.from(bytes));
}

/** An object identifier in dotted form, X.690 section 8.19. */
export function derOid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let high = arc >>> 7; high > 0; high >>>= 7) groups.unshift((high & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return element(0x06, Uint8Array.from(bytes));
}
