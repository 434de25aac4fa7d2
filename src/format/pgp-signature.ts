import { hex, showable } from "../bytes.ts";
import { derived, field, group, type Part } from "./part.ts";
import { algorithmName } from "./pgp.ts";

/**
 * A signature packet's body (RFC 9580, section 5.2): of version 4
 *
 *     4 type(1) key's algorithm(1) hash(1)
 *     length(2) subpackets that are signed, length(2) subpackets that are not
 *     the hash's first two bytes, the signature's numbers
 */
const KINDS: Readonly<Record<number, string>> = {
  0x00: "binary",
  0x01: "text",
  0x10: "generic certification",
  0x11: "persona certification",
  0x12: "casual certification",
  0x13: "positive certification",
  0x18: "subkey binding",
  0x19: "primary key binding",
  0x1f: "direct key",
  0x20: "key revocation",
  0x28: "subkey revocation",
  0x30: "certification revocation",
  0x40: "timestamp",
};
const HASHES = ["", "MD5", "SHA-1", "RIPEMD-160", "", "", "", "", "SHA-256", "SHA-384", "SHA-512", "SHA-224"];
const SUBPACKETS: Readonly<Record<number, string>> = {
  2: "created mtime",
  3: "expires after",
  4: "exportable",
  5: "trust",
  7: "revocable",
  9: "key expires after",
  11: "preferred ciphers",
  16: "issuer key ID",
  20: "notation",
  21: "preferred hashes",
  22: "preferred compression",
  23: "key server preferences",
  24: "key server",
  25: "primary user ID",
  26: "policy URI",
  27: "key flags",
  28: "signer's user ID",
  29: "reason for revocation",
  30: "features",
  32: "embedded signature",
  33: "issuer fingerprint",
  34: "preferred AEAD",
};
const NUMBERS = new Set([2, 3, 9]);
const TEXTS = new Set([20, 24, 26, 28, 29]);

/** What it signs, as a part of its name. */
export function signatureTitle(body: Uint8Array): string {
  const kind = body[0] === 3 ? body[2] : body[1];
  return kind === undefined ? "" : ` (${KINDS[kind] ?? `type ${kind}`})`;
}

export function* signatureParts(body: Uint8Array, at: number): Generator<Part> {
  const signed = body.length < 6 ? 0 : 6 + Buffer.from(body).readUInt16BE(4);
  const rest = signed === 0 || signed + 2 > body.length ? 0 : signed + 2 + Buffer.from(body).readUInt16BE(signed);
  if (body[0] !== 4 || rest === 0 || rest + 2 > body.length) {
    yield { key: "body", kind: "bytes", offset: at, length: body.length };
    return;
  }
  yield field("version", at, 1, () => String(body[0]));
  yield field("type", at + 1, 1, () => KINDS[body[1] ?? 0] ?? String(body[1]));
  yield field("algorithm", at + 2, 1, () => algorithmName(body[2] ?? 0));
  yield field("hash", at + 3, 1, () => HASHES[body[3] ?? 0] || String(body[3]));
  yield derived("length", at + 4, 2);
  yield* subpackets(body, 6, signed, at);
  yield derived("length", at + signed, 2);
  if (rest > signed + 2) {
    yield group("unhashed", at + signed + 2, rest - signed - 2, () => subpackets(body, signed + 2, rest, at));
  }
  yield derived("hash begins with", at + rest, 2);
  const from = rest + 2;
  if (from === body.length) return;
  yield field("signature", at + from, body.length - from, () => hex(body.subarray(from, from + 64)));
}

/** length(1, 2 or 5) type(1, the highest bit: critical) data, from `from` to `to` in the body, which stands at `at`. */
function* subpackets(body: Uint8Array, from: number, to: number, at: number): Generator<Part> {
  for (let next = from; next < to;) {
    const first = body[next] ?? 0;
    const size = first < 192 ? 1 : first < 255 ? 2 : 5;
    const view = Buffer.from(body.buffer, body.byteOffset, body.length);
    if (next + size >= to) return;
    const length =
      size === 1
        ? first
        : size === 2
          ? ((first - 192) << 8) + (body[next + 1] ?? 0) + 192
          : view.readUInt32BE(next + 1);
    const start = next + size;
    if (length < 1 || start + length > to) return;
    const type = (body[start] ?? 0) & 0x7f;
    const data = body.subarray(start + 1, start + length);
    yield field(SUBPACKETS[type] ?? `subpacket ${type}`, at + next, start + length - next, () => shown(type, data));
    next = start + length;
  }
}

function shown(type: number, data: Uint8Array): string {
  if (NUMBERS.has(type) && data.length === 4) {
    const value = Buffer.from(data).readUInt32BE(0);
    return type === 2 ? String(value) : `${value} seconds`;
  }
  return TEXTS.has(type) ? showable(data.subarray(0, 300)).replace(/^\0+/, "") : hex(data.subarray(0, 64));
}
