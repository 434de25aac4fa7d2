/**
 * Small files as a whole: policies, keys, bundles. Read at once and without
 * node:fs/promises: to load that and to start its threads takes longer than
 * to decide on what is read.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { BitforbitError, systemCode } from "./errors.ts";

/**
 * The bytes of a regular file of at most `most` bytes. Throws `input` for what
 * cannot be read or is no regular file, `limit` for a larger one; both name `path`.
 */
export function smallFile(path: string, most: number): Uint8Array {
  try {
    // Before it is opened: a device may do something then, and a pipe keep us waiting for ever.
    requireSmall(statSync(path), path, most);
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      requireSmall(stats, path, most);
      return wholeOf(file, stats.size);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}

/** The same as text; what is no UTF-8 becomes U+FFFD. */
export function smallText(path: string, most: number): string {
  const { buffer, byteOffset, length } = smallFile(path, most);
  return Buffer.from(buffer, byteOffset, length).toString("utf8");
}

function requireSmall(stats: { isFile(): boolean; size: number }, path: string, most: number): void {
  if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
  if (stats.size > most) throw new BitforbitError("limit", `${path} is larger than ${most} bytes`);
}

/** What a file that grows meanwhile has beyond `size` is left: it was bounded by that. */
function wholeOf(file: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const count = readSync(file, bytes, at, size - at, null);
    if (count === 0) break;
    at += count;
  }
  return bytes.subarray(0, at);
}
