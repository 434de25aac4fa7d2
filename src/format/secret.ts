import { sha256Hex } from "../digest.ts";
import type { Part } from "./part.ts";

/**
 * A value that must not be shown, such as a private key: that it differs is
 * told by its SHA-256. Only for what nobody can guess and try.
 */
export function secretPart(key: string, bytes: Uint8Array, offset: number, length: number): Part {
  const show = (): string => `private, its SHA-256 is ${sha256Hex(bytes.subarray(offset, offset + length))}`;
  return { key, kind: "field", offset, length, secret: true, show };
}
