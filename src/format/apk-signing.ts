import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * The signing block of an Android package ("APK Signature Scheme v2" and "v3"
 * of the Android Open Source Project), between the members and the directory of
 * the zip, lowest byte first:
 *
 *     size of what follows(8), pairs: length(8) id(4) value, size again(8), "APK Sig Block 42"
 *
 * The value of v2 and v3 is a sequence of signers, everything with its length(4) before it:
 *
 *     signer: signed data, [least and most SDK(4 each): v3], signatures, public key
 *     signed data: digests, certificates, [least and most SDK(4 each): v3], attributes
 */
const MAGIC = "APK Sig Block 42";
const MAX_PAIRS = 1000;
const MAX_ITEMS = 1000;
const MAX_BLOCK = 64 << 20;

const NAMES: Readonly<Record<number, string>> = {
  0x7109871a: "signature v2",
  0xf05368c0: "signature v3",
  0x1b93ad61: "signature v3.1",
  0x42726577: "padding",
  0x6dff800d: "source stamp v2",
  0x2b09189e: "source stamp v1",
  0x504b4453: "dependencies",
};

/** The block that ends at `end`, the beginning of the directory, and begins at `from` or behind it; undefined where there is none. */
export function apkSigningPart(source: ByteSource, from: number, end: number): Part | undefined {
  if (end - from < 32) return undefined;
  if (Buffer.from(source.read(end - 16, 16)).toString("latin1") !== MAGIC) return undefined;
  const size = uint64(source, end - 24);
  const offset = end - size - 8;
  if (size < 24 || size > MAX_BLOCK || offset < from || uint64(source, offset) !== size) return undefined;
  return group("signing block", offset, end - offset, () => blockParts(source, offset, end));
}

function* blockParts(source: ByteSource, offset: number, end: number): Generator<Part> {
  yield derived("size", offset, 8);
  let at = offset + 8;
  for (let pairs = 0; at < end - 24; pairs++) {
    if (pairs >= MAX_PAIRS) throw new BitforbitError("limit", `${source.name}: over ${MAX_PAIRS} pairs`);
    const length = at + 12 > end - 24 ? 0 : uint64(source, at);
    if (length < 4 || at + 8 + length > end - 24) throw bad(source, at, `a pair of ${length} bytes`);
    yield pairPart(source, at, at + 8 + length);
    at += 8 + length;
  }
  yield derived("size again", end - 24, 8);
  yield field("magic", end - 16, 16, () => MAGIC);
}

function pairPart(source: ByteSource, offset: number, end: number): Part {
  const id = uint32(source, offset + 8);
  const name = NAMES[id] ?? `0x${id.toString(16).padStart(8, "0")}`;
  const scheme = name.startsWith("signature");
  return group(name, offset, end - offset, function* () {
    yield derived("length", offset, 8);
    yield field("id", offset + 8, 4, () => `0x${id.toString(16).padStart(8, "0")}`);
    const value = offset + 12;
    if (name === "padding") yield { key: "zeros", kind: "padding", offset: value, length: end - value };
    else if (!scheme) yield { key: "value", kind: "content", offset: value, length: end - value };
    else {
      const signers = prefixed(source, value, end);
      yield derived("length of signers", value, 4);
      for (const signer of items(source, signers)) yield signerPart(source, signer, name !== "signature v2");
    }
  });
}

interface Span {
  offset: number;
  end: number;
}

/** What a length before it covers. Throws `input`. */
function prefixed(source: ByteSource, offset: number, end: number): Span {
  const length = offset + 4 > end ? -1 : uint32(source, offset);
  if (length < 0 || offset + 4 + length > end)
    throw bad(source, offset, `${length} bytes, where ${end - offset} are left`);
  return { offset: offset + 4, end: offset + 4 + length };
}

/** Each item with its length before it; `offset` is behind that. */
function* items(source: ByteSource, { offset, end }: Span): Generator<Span> {
  let at = offset;
  for (let count = 0; at < end; count++) {
    if (count >= MAX_ITEMS) throw new BitforbitError("limit", `${source.name}: over ${MAX_ITEMS} items`);
    const item = prefixed(source, at, end);
    yield item;
    at = item.end;
  }
}

function signerPart(source: ByteSource, signer: Span, third: boolean): Part {
  return group("signer", signer.offset - 4, signer.end - signer.offset + 4, function* () {
    yield derived("length", signer.offset - 4, 4);
    const data = prefixed(source, signer.offset, signer.end);
    yield group("signed data", signer.offset, data.end - signer.offset, () => signedParts(source, data, third));
    let at = data.end;
    if (third) {
      yield* sdkParts(source, at, signer.end);
      at += 8;
    }
    const signatures = prefixed(source, at, signer.end);
    yield derived("signatures", at, signatures.end - at);
    const key = prefixed(source, signatures.end, signer.end);
    yield derived("length of key", signatures.end, 4);
    yield { key: "public key", kind: "content", offset: key.offset, length: key.end - key.offset, name: "key.der" };
  });
}

function* signedParts(source: ByteSource, data: Span, third: boolean): Generator<Part> {
  yield derived("length", data.offset - 4, 4);
  const digests = prefixed(source, data.offset, data.end);
  yield derived("digests", data.offset, digests.end - data.offset);
  const certificates = prefixed(source, digests.end, data.end);
  yield derived("length of certificates", digests.end, 4);
  for (const { offset, end } of items(source, certificates)) {
    yield derived("length", offset - 4, 4);
    yield { key: "certificate", kind: "content", offset, length: end - offset, name: "certificate.der" };
  }
  let at = certificates.end;
  if (third) {
    yield* sdkParts(source, at, data.end);
    at += 8;
  }
  if (data.end > at) yield { key: "attributes", kind: "bytes", offset: at, length: data.end - at };
}

function* sdkParts(source: ByteSource, at: number, end: number): Generator<Part> {
  if (at + 8 > end) throw bad(source, at, "cut off before the SDK's versions");
  yield field("least SDK", at, 4, () => String(uint32(source, at)));
  yield field("most SDK", at + 4, 4, () => String(uint32(source, at + 4)));
}

function uint32(source: ByteSource, offset: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = source.read(offset, 4);
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

function uint64(source: ByteSource, offset: number): number {
  return uint32(source, offset) + uint32(source, offset + 4) * 2 ** 32;
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: APK signing block, offset ${offset}: ${what}`);
}
