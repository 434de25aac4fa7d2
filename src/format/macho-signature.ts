import type { ByteSource } from "../bytesource.ts";
import { derived, field, group, type Part } from "./part.ts";
import { flagged, named, Words } from "./record.ts";

/**
 * Code signatures (xnu, osfmk/kern/cs_blobs.h), big-endian whatever the file is:
 *
 *     fade0cc0 length count   kind(4) place(4) of each blob   blobs: magic(4) length(4) …
 *
 * A code directory holds the identifier and a hash of each page of the file.
 */
const MAX_BLOBS = 64;
const BLOBS: Readonly<Record<number, string>> = {
  0xfade0c02: "code directory",
  0xfade0c01: "requirements",
  0xfade7171: "entitlements",
  0xfade7172: "entitlements (DER)",
  0xfade0b01: "CMS signature",
};
const FLAGS = flagged({
  2: "adhoc",
  0x100: "hard",
  0x200: "kill",
  0x800: "restrict",
  0x2000: "library validation",
  0x10000: "runtime",
  0x20000: "linker signed",
});
const HASHES = named({ 1: "SHA-1", 2: "SHA-256", 3: "SHA-256, truncated", 4: "SHA-384" });

export function* signatureParts(source: ByteSource, offset: number, length: number): Generator<Part> {
  if (length < 12) return;
  const words = new Words(source.read(offset, length).slice(), false, `${source.name}: code signature`);
  const count = words.u32(8);
  if (words.u32(0) !== 0xfade0cc0 || count > MAX_BLOBS || 12 + count * 8 > length) return;
  yield derived("index", offset, 12 + count * 8);
  const places = Array.from({ length: count }, (_, index) => words.u32(16 + index * 8)).toSorted((a, b) => a - b);
  let end = 12 + count * 8;
  for (const at of places) {
    if (at < end || at + 8 > length) continue;
    const size = words.u32(at + 4);
    if (size < 8 || at + size > length) continue;
    const magic = words.u32(at);
    const kind = BLOBS[magic] ?? `blob 0x${magic.toString(16)}`;
    yield group(kind, offset + at, size, () => blobParts(words, offset, at, size, magic));
    end = at + size;
  }
}

function* blobParts(words: Words, offset: number, at: number, size: number, magic: number): Generator<Part> {
  const content: Part = { key: "content", kind: "bytes", offset: offset + at + 8, length: size - 8 };
  yield derived("length", offset + at, 8);
  if (magic === 0xfade0c02 && size >= 44) yield* codeDirectory(words, offset, at, size);
  else if (magic === 0xfade7171) yield { ...content, kind: "content", name: "entitlements.plist" };
  else if (magic === 0xfade0b01 || magic === 0xfade7172) {
    if (size > 8) yield { ...content, kind: "content", name: "signature.der" };
  } else yield content;
}

function* codeDirectory(words: Words, offset: number, at: number, size: number): Generator<Part> {
  const place = (into: number): number => offset + at + into;
  const [hashes, identifier] = [words.u32(at + 16), words.u32(at + 20)];
  yield field("version", place(8), 4, () => `0x${words.u32(at + 8).toString(16)}`);
  yield field("flags", place(12), 4, () => FLAGS(BigInt(words.u32(at + 12))));
  yield derived("places", place(16), 20);
  yield field("hash", place(36), 2, () => HASHES(BigInt(words.u8(at + 37))));
  yield field("platform", place(38), 1);
  yield field("page size", place(39), 1, () => String(2 ** words.u8(at + 39)));
  if (identifier < 44 || identifier >= size) return;
  const text = words.text(at + identifier, size - identifier);
  const end = identifier + Buffer.byteLength(text) + 1;
  if (end > size) return;
  yield field("identifier", place(identifier), end - identifier, () => text);
  if (hashes >= end && hashes <= size) yield derived("hashes", place(end), size - end);
}
