import { createHash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { BitforbitError } from "./errors.ts";

/** `sha256:` and 64 lower-case hexadecimal digits, as OCI image-spec "Digests" writes it. */
export type Digest = `sha256:${string}`;

/** SHA-256 as 64 lower-case hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash("sha256", bytes, "hex");
}

export function sha256(bytes: Uint8Array | string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${sha256Hex(bytes)}`;
}

/** Digest of a file's content, streamed; memory does not grow with its size. */
export async function digestOfFile(path: string): Promise<Digest> {
  const hasher = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hasher.update(chunk as Buffer);
  return `sha256:${hasher.digest("hex")}`;
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
