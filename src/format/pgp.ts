import { hex, showable } from "../bytes.ts";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { inflateAt } from "./deflate.ts";
import { inflatedContent } from "./inflated-content.ts";
import { InflationGuard } from "./inflation.ts";
import { derived, field, group, type Part } from "./part.ts";
import { signatureParts, signatureTitle } from "./pgp-signature.ts";
import { secretPart } from "./secret.ts";

/**
 * OpenPGP (RFC 9580, sections 4 and 5): packets one after another, each of
 *
 *     0x80 | type << 2 | size of the length   or   0xc0 | type      then a length and a body
 *
 * Packets go by what they are, and user ids by themselves. Bodies of partial
 * lengths, which only streams have, are bytes. Secret keys are told by their
 * digest only.
 */
const MAX_PACKETS = 200_000;
const MAX_BODY = 64 << 20;
const TYPES: Readonly<Record<number, string>> = {
  1: "encrypted session key",
  2: "signature",
  3: "session key by a password",
  4: "one-pass signature",
  5: "secret key",
  6: "public key",
  7: "secret subkey",
  8: "compressed data",
  9: "encrypted data",
  10: "marker",
  11: "literal data",
  12: "trust",
  13: "user ID",
  14: "public subkey",
  17: "user attribute",
  18: "encrypted data",
  19: "modification detection",
  20: "encrypted data",
  21: "padding",
};
const ALGORITHMS: Readonly<Record<number, string>> = {
  1: "RSA",
  16: "Elgamal",
  17: "DSA",
  18: "ECDH",
  19: "ECDSA",
  22: "EdDSA",
  25: "X25519",
  27: "Ed25519",
};

interface Packet {
  type: number;
  start: number;
  body: number;
  end: number;
  partial: boolean;
}

export function algorithmName(number: number): string {
  return ALGORITHMS[number] ?? `algorithm ${number}`;
}

export function* pgpParts(source: ByteSource, name: string): Generator<Part> {
  let at = 0;
  for (let count = 0; at < source.size; count++) {
    if (count > MAX_PACKETS) throw new BitforbitError("limit", `${name}: more than ${MAX_PACKETS} packets`);
    const packet = packetAt(source, at, name);
    yield packetPart(source, packet);
    at = packet.end;
  }
}

function bad(name: string, at: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: OpenPGP, offset ${at}: ${what}`);
}

function packetAt(source: ByteSource, at: number, name: string): Packet {
  const head = Buffer.alloc(7);
  head.set(source.read(at, Math.min(6, source.size - at)));
  const tag = head[0] ?? 0;
  if ((tag & 0x80) === 0) throw bad(name, at, `0x${tag.toString(16)} begins no packet`);
  const old = (tag & 0x40) === 0;
  const type = old ? (tag >> 2) & 15 : tag & 63;
  if (TYPES[type] === undefined && type < 60) throw bad(name, at, `no packet is of type ${type}`);
  const { size, length } = old ? oldLength(head, tag & 3) : newLength(head);
  const body = at + 1 + size;
  const end = length === undefined ? source.size : body + length;
  if (body > source.size || end > source.size) throw bad(name, at, `a packet of ${length} bytes, but the file ends`);
  return { type, start: at, body, end, partial: !old && length === undefined };
}

function oldLength(head: Buffer, kind: number): { size: number; length: number | undefined } {
  const size = [1, 2, 4, 0][kind] ?? 0;
  return { size, length: size === 0 ? undefined : head.readUIntBE(1, size) };
}

function newLength(head: Buffer): { size: number; length: number | undefined } {
  const first = head[1] ?? 0;
  if (first < 192) return { size: 1, length: first };
  if (first < 224) return { size: 2, length: ((first - 192) << 8) + (head[2] ?? 0) + 192 };
  return first === 255 ? { size: 5, length: head.readUInt32BE(2) } : { size: 0, length: undefined };
}

function packetPart(source: ByteSource, packet: Packet): Part {
  const { type, start, body, end, partial } = packet;
  const bytes = end - body <= MAX_BODY ? source.read(body, end - body).slice() : undefined;
  return group(titleOf(type, bytes), start, end - start, function* () {
    yield derived("header", start, body - start);
    if (end === body) return;
    if (partial || bytes === undefined) yield { key: "body", kind: "bytes", offset: body, length: end - body };
    else yield* bodyParts(source, type, bytes, body);
  });
}

function titleOf(type: number, body: Uint8Array | undefined): string {
  const name = TYPES[type] ?? `packet ${type}`;
  if (type === 13 && body !== undefined) return `${name} ${showable(body.subarray(0, 200))}`;
  return type === 2 && body !== undefined ? `${name}${signatureTitle(body)}` : name;
}

function* bodyParts(source: ByteSource, type: number, body: Uint8Array, at: number): Generator<Part> {
  if (type === 2) yield* signatureParts(body, at);
  else if (type === 6 || type === 14) yield* keyParts(body, at);
  else if (type === 5 || type === 7) {
    yield { ...secretPart("secret key", body, 0, body.length), offset: at };
  } else if (type === 11) yield* literalParts(body, at);
  else if (type === 8) yield* compressedParts(source, body, at);
  else if (type === 13) yield field("user ID", at, body.length, () => showable(body.subarray(0, 300)));
  else yield { key: "body", kind: "bytes", offset: at, length: body.length };
}

/** version(1) created(4) algorithm(1), and numbers that depend on it. */
function* keyParts(body: Uint8Array, at: number): Generator<Part> {
  if (body.length < 6 || body[0] !== 4) {
    yield { key: "key", kind: "bytes", offset: at, length: body.length };
    return;
  }
  yield field("version", at, 1, () => String(body[0]));
  yield field("created mtime", at + 1, 4, () => String(Buffer.from(body).readUInt32BE(1)));
  yield field("algorithm", at + 5, 1, () => algorithmName(body[5] ?? 0));
  if (body.length > 6) yield field("key", at + 6, body.length - 6, () => hex(body.subarray(6, 70)));
}

/** format(1) length(1) name, mtime(4), and the data. */
function* literalParts(body: Uint8Array, at: number): Generator<Part> {
  const length = body[1] ?? 0;
  const from = 2 + length + 4;
  if (body.length < from) {
    yield { key: "body", kind: "bytes", offset: at, length: body.length };
    return;
  }
  const name = showable(body.subarray(2, 2 + length));
  yield field("format", at, 1, () => showable(body.subarray(0, 1)));
  yield derived("length", at + 1, 1);
  if (length > 0) yield field("name", at + 2, length, () => name);
  yield field("mtime", at + 2 + length, 4, () => String(Buffer.from(body).readUInt32BE(2 + length)));
  if (body.length > from) yield { key: "data", kind: "content", offset: at + from, length: body.length - from, name };
}

/** algorithm(1): 1 is a bare deflate stream, 2 a zlib stream; what they hold are packets. */
function* compressedParts(source: ByteSource, body: Uint8Array, at: number): Generator<Part> {
  const algorithm = body[0] ?? 0;
  yield field("algorithm", at, 1, () => ["none", "ZIP", "ZLIB", "bzip2"][algorithm] ?? String(algorithm));
  const rest = { offset: at + 1, length: body.length - 1 };
  if (rest.length === 0) return;
  if (algorithm === 2) yield { ...inflatedContent(source, "", rest.offset, rest.length), name: "data.pgp" };
  else if (algorithm === 1) {
    const run: NonNullable<Part["decode"]>["run"] = async (sink, limits) => {
      const guard = new InflationGuard(source.name, rest.length, limits);
      return await inflateAt(partOf(source, rest.offset, rest.length), 0, sink, guard);
    };
    yield { key: "", kind: "content", ...rest, name: "data.pgp", decode: { name: "inflate", run } };
  } else yield { key: "data", kind: algorithm === 0 ? "content" : "bytes", ...rest };
}
