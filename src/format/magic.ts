import { hex } from "../bytes.ts";

/** What a file is by its first bytes, for the formats that others are found in. Costs nothing to load. */
export type Compression = "gzip" | "xz" | "zstd";

export function beginsWith(start: Uint8Array, ...magic: readonly number[]): boolean {
  return start.length >= magic.length && magic.every((byte, at) => start[at] === byte);
}

/** A test of the first bytes, told in hexadecimal; half a byte will do. */
export function beginsInHex(magic: string): (start: Uint8Array) => boolean {
  return (start) => hex(start.subarray(0, (magic.length + 1) >> 1)).startsWith(magic);
}

/** RFC 1952, with deflate, the only method there is. */
export function looksLikeGzip(start: Uint8Array): boolean {
  return beginsWith(start, 0x1f, 0x8b, 8);
}

export function looksLikeXz(start: Uint8Array): boolean {
  return beginsWith(start, 0xfd, 0x37, 0x7a, 0x58, 0x5a, 0);
}

/** With a member, or empty. */
export function looksLikeZip(start: Uint8Array): boolean {
  return beginsWith(start, 0x50, 0x4b, 3, 4) || beginsWith(start, 0x50, 0x4b, 5, 6);
}

/** What a file is compressed with. */
export function compressionOf(start: Uint8Array): Compression | undefined {
  if (looksLikeGzip(start)) return "gzip";
  if (looksLikeXz(start)) return "xz";
  return beginsWith(start, 0x28, 0xb5, 0x2f, 0xfd) ? "zstd" : undefined;
}
