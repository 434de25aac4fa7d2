/** One header block of a tar (POSIX.1-2024, "ustar Interchange Format"): where its fields stand, and what they say. */
export const BLOCK = 512;

/** Where `ustar` fields stand in a header block: offset and length. */
export const TAR_FIELDS: Readonly<Record<string, readonly [number, number]>> = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
  rest: [500, 12],
};

/** True when `block`, the first 512 bytes or more of a file, begins a tar member. */
export function looksLikeTar(block: Uint8Array): boolean {
  return block.length >= BLOCK && !isZero(block.subarray(0, BLOCK)) && checksumHolds(block);
}

export function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

export function fieldOf(block: Uint8Array, field: string): Uint8Array {
  const [at, length] = TAR_FIELDS[field] ?? [0, 0];
  return block.subarray(at, at + length);
}

export function cString(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

export function isZero(block: Uint8Array): boolean {
  for (const byte of block) if (byte !== 0) return false;
  return true;
}

/** The sum of a header's bytes, its checksum field counted as spaces. */
export function tarChecksum(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < 148; at++) sum += block[at] ?? 0;
  for (let at = 156; at < BLOCK; at++) sum += block[at] ?? 0;
  return sum;
}

export function checksumHolds(block: Uint8Array): boolean {
  const stated = octal(block.subarray(148, 156));
  if (stated === undefined) return false;
  if (stated === tarChecksum(block)) return true;
  // Some old tars summed signed bytes.
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at > 155) sum += ((block[at] ?? 0) << 24) >> 24;
  return stated === sum;
}

/** Octal digits after blanks, up to a blank or NUL; an empty field is 0. */
export function octal(bytes: Uint8Array): number | undefined {
  let at = 0;
  while (at < bytes.length && bytes[at] === 0x20) at++;
  let value = 0;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0 || byte === 0x20) break;
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + (byte - 0x30);
  }
  return value;
}

/** GNU tar's big-endian two's complement, first bit set. */
export function base256(bytes: Uint8Array): number | undefined {
  const negative = ((bytes[0] ?? 0) & 0x40) !== 0;
  let value = BigInt((bytes[0] ?? 0) & 0x7f) - (negative ? 0x80n : 0n);
  for (const byte of bytes.subarray(1)) value = value * 256n + BigInt(byte);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}
