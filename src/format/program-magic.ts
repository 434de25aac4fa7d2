import type { ByteSource } from "../bytesource.ts";

/** The first bytes of programs and libraries: a file that costs nothing to load, for the registry. */

export function looksLikeElf(start: Uint8Array): boolean {
  return latin1(start, 4) === "\x7fELF";
}

/** An image by its two signatures, an object by its machine, its place of symbols, and having no optional header. */
export function looksLikePe(start: Uint8Array, _name: string, { size }: ByteSource): boolean {
  const words = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < 64) return false;
  const peAt = words.getUint32(60, true);
  if (words.getUint16(0) === 0x4d5a)
    return peAt + 4 > start.length ? peAt < size : words.getUint32(peAt) === 0x50450000;
  const machine = [0x8664, 0x14c, 0xaa64, 0x1c4].includes(words.getUint16(0, true));
  const [sections, symbolsAt] = [words.getUint16(2, true), words.getUint32(8, true)];
  return (
    machine && sections > 0 && words.getUint16(16, true) === 0 && symbolsAt >= 20 + sections * 40 && symbolsAt < size
  );
}

export function looksLikeMachO(start: Uint8Array): boolean {
  return /^(?:\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe)/.test(latin1(start, 4));
}

/** A Java class begins so, too: its version stands where the few slices are counted. */
export function looksLikeUniversal(start: Uint8Array): boolean {
  return /^\xca\xfe\xba[\xbe\xbf]\0\0\0[\x01-\x28]/.test(latin1(start, 8));
}

export function looksLikeAr(start: Uint8Array): boolean {
  return /^!<(?:arch|thin)>\n/.test(latin1(start, 8));
}

/** Notes and data of coverage, in either byte order. */
export function looksLikeGcov(start: Uint8Array): boolean {
  return /^(?:gcno|gcda|oncg|adcg)/.test(latin1(start, 4));
}

function latin1(start: Uint8Array, length: number): string {
  return String.fromCharCode(...start.subarray(0, length));
}
