import { hex } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";

/** The first bytes of pictures, fonts and keys: a file that costs nothing to load, for the registry. */

export function looksLikeWebp(start: Uint8Array): boolean {
  return /^52494646.{8}57454250/.test(hex(start.subarray(0, 12)));
}

export function looksLikeTiff(start: Uint8Array): boolean {
  return /^(49492a00|4d4d002a)/.test(hex(start.subarray(0, 4)));
}

/** Planes of 0 or 1 in the first entry, and its reserved byte: four bytes of magic are too few. */
export function looksLikeIcon(start: Uint8Array): boolean {
  return /^00000[12]00..00.{6}00..00/.test(hex(start.subarray(0, 12)));
}

export function looksLikeBmp(start: Uint8Array): boolean {
  return /^424d.{8}00000000.{4}0000[2-7].000000/.test(hex(start.subarray(0, 18)));
}

export function looksLikeFont(start: Uint8Array): boolean {
  return /^(?:00010000|4f54544f|74727565|74746366)00/.test(hex(start.subarray(0, 5)));
}

export function looksLikeWoff(start: Uint8Array): boolean {
  return /^774f4(?:646|632)/.test(hex(start.subarray(0, 4)));
}

export function looksLikePem(start: Uint8Array): boolean {
  return Buffer.from(start).includes("-----BEGIN ");
}

/** A key, a signature or a signed message as they begin; or told by its name. */
export function looksLikePgp(start: Uint8Array, name: string): boolean {
  return (
    /^(?:9[4589]..04|99.{4}04|c[56]..04|8[89]..04|89.{4}04|900d03|c40d03|a30[0-3])/.test(hex(start.subarray(0, 6))) ||
    /\.(?:pgp|gpg|sig)$/i.test(name)
  );
}

/** A SEQUENCE that is as long as the file: two or more bytes of length, or a short one. */
export function looksLikeDer(start: Uint8Array, _: string, source: ByteSource): boolean {
  const [tag, first = 0, high = 0, low = 0] = start;
  if (tag !== 0x30) return false;
  if (first === 0x82) return source.size === high * 256 + low + 4;
  return first === 0x81 ? source.size === high + 3 : first === 0x83 || source.size === first + 2;
}
