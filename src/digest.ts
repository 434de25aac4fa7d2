import { createHash, type Hash, hash } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { BitforbitError } from "./errors.ts";

/** `sha256:` and 64 lower-case hexadecimal digits, as OCI image-spec "Digests" writes it. */
export type Digest = `sha256:${string}`;

/** SHA-256 as 64 lower-case hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash("sha256", bytes, "hex");
}

export function sha256(bytes: Uint8Array | string): Uint8Array {
  return new Uint8Array(hash("sha256", bytes, "buffer"));
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${sha256Hex(bytes)}`;
}

/**
 * Digest of a file's content; memory does not grow with its size. Small files
 * are read at once: trees consist of them, and a stream costs many times what
 * reading and hashing do.
 */
export async function digestOfFile(path: string | Buffer): Promise<Digest> {
  const hasher = createHash("sha256");
  const file = openSync(path, "r");
  let rest = false;
  try {
    rest = hashStart(file, hasher);
  } finally {
    if (!rest) closeSync(file);
  }
  // The same descriptor, so that it is the same file whatever happens to its name.
  const stream = rest ? createReadStream(path, { fd: file, highWaterMark: 1 << 20, start: AT_ONCE }) : [];
  for await (const chunk of stream) hasher.update(chunk as Buffer);
  return `sha256:${hasher.digest("hex")}`;
}

const AT_ONCE = 4 << 20;
let buffer: Buffer | undefined;

/** Hashes the first `AT_ONCE` bytes and says whether there may be more. */
function hashStart(file: number, hasher: Hash): boolean {
  buffer ??= Buffer.allocUnsafeSlow(256 << 10);
  for (let left = AT_ONCE; left > 0;) {
    const count = readSync(file, buffer, 0, Math.min(left, buffer.length), null);
    if (count === 0) return false;
    hasher.update(buffer.subarray(0, count));
    left -= count;
  }
  return true;
}

export function isDigest(text: string): text is Digest {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

/** Checks the form of a digest that came from outside. Throws `input`. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new BitforbitError("input", `not a digest: ${JSON.stringify(text.slice(0, 100))}`, {
    hint: "a digest is 'sha256:' and 64 lower-case hexadecimal digits",
  });
}

/** The 64 hexadecimal digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}
