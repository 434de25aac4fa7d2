import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * Metadata of a Rust crate, in `.rmeta` and in the section `.rustc` of dynamic
 * libraries (rustc, rustc_metadata::rmeta):
 *
 *     "rust" 0 0 0 version(1)   place of its root (4 or 8)   length(1) "rustc 1.95.0 (…)"   tables, private to that compiler
 */
const MAX_VERSION = 127;

export function* rustMetadataParts(source: ByteSource): Generator<Part> {
  const start = source.read(0, Math.min(source.size, 32 + MAX_VERSION));
  const text = Buffer.from(start).toString("latin1");
  if (source.size < 16 || !text.startsWith("rust\0\0\0")) {
    throw new BitforbitError("input", `${source.name}: Rust metadata, offset 0: no "rust" and version`);
  }
  yield field("magic", 0, 7);
  yield field("format version", 7, 1, () => String(start[7]));
  const at = text.indexOf("rustc ");
  const length = start[at - 1] ?? 0;
  if (at < 12 || at > 32 || length > MAX_VERSION || at + length > source.size) return;
  yield derived("root", 8, at - 9);
  yield derived("length", at - 1, 1);
  yield field("compiler", at, length, () => showable(start.subarray(at, at + length)));
  yield { key: "tables", kind: "bytes", offset: at + length, length: source.size - at - length };
}
