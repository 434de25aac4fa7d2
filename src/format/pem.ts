import type { ByteSource } from "../bytesource.ts";
import { showable } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { certificateSubject } from "./der-parts.ts";
import { latin1 } from "./json-index.ts";
import { derived, field, group, type Part } from "./part.ts";
import { secretPart } from "./secret.ts";

/**
 * PEM (RFC 7468) and OpenPGP's armour (RFC 9580, section 6.2):
 *
 *     -----BEGIN LABEL-----
 *     [Header: value …, an empty line]
 *     base64
 *     [=crc24, of OpenPGP]
 *     -----END LABEL-----
 *
 * Blocks go by their labels, certificates by their subjects, too; what they
 * hold is a content. What lies in a private key is never looked into.
 */
const MAX_BYTES = 64 << 20;
const MAX_BLOCKS = 100_000;
const BEGIN = "-----BEGIN ";

export function pemParts(source: ByteSource, name: string): Part[] {
  if (source.size > MAX_BYTES) throw new BitforbitError("limit", `${name}: PEM of more than ${MAX_BYTES} bytes`);
  const bytes = source.read(0, source.size).slice();
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts: Part[] = [];
  let at = 0;
  for (let begin = buffer.indexOf(BEGIN); begin >= 0; begin = buffer.indexOf(BEGIN, at)) {
    if (parts.length > 2 * MAX_BLOCKS) throw new BitforbitError("limit", `${name}: more than ${MAX_BLOCKS} blocks`);
    const label = /^([\x20-\x2c\x2e-\x7e]{1,80})-----[ \t]*\r?\n/.exec(
      latin1(bytes, begin + 11, Math.min(bytes.length, begin + 110)),
    )?.[1];
    const end = label === undefined ? -1 : buffer.indexOf(`-----END ${label}-----`, begin);
    if (label === undefined || end < 0) {
      throw new BitforbitError("input", `${name}: PEM, offset ${begin}: a block that does not end`);
    }
    if (begin > at) parts.push(textPart(bytes, at, begin));
    at = end + 14 + label.length;
    if (bytes[at] === 0x0d) at++;
    if (bytes[at] === 0x0a) at++;
    parts.push(blockPart(bytes, begin, end, at, label));
  }
  if (parts.length === 0) throw new BitforbitError("input", `${name}: PEM, offset 0: no block`);
  if (at < bytes.length) parts.push(textPart(bytes, at, bytes.length));
  return parts;
}

function textPart(bytes: Uint8Array, from: number, to: number): Part {
  const text = bytes.subarray(from, to);
  if (text.length > 300) return { key: "text", kind: "content", offset: from, length: to - from };
  return field("text", from, to - from, () => showable(text).trim());
}

interface Body {
  headers: { name: string; from: number; to: number }[];
  from: number;
  to: number;
  crc: number | undefined;
}

function bodyOf(bytes: Uint8Array, begin: number, end: number): Body {
  let at = bytes.indexOf(0x0a, begin) + 1;
  const headers: Body["headers"] = [];
  for (let line = lineAt(bytes, at, end); /^[\w-]+: |^\s+\S/.test(line); line = lineAt(bytes, at, end)) {
    headers.push({ name: line.split(":")[0]?.trim() ?? "", from: at, to: at + line.length });
    at += line.length;
  }
  const from = at;
  const tail = /\n=([A-Za-z0-9+/]{4})\s*$/.exec(latin1(bytes, Math.max(from, end - 16), end));
  const crc = tail === null ? undefined : end - tail[0].length + 1;
  return { headers, from, to: crc ?? end, crc };
}

function lineAt(bytes: Uint8Array, at: number, end: number): string {
  const feed = bytes.indexOf(0x0a, at);
  return latin1(bytes, at, feed < 0 || feed >= end ? end : Math.min(feed + 1, at + 1000));
}

function blockPart(bytes: Uint8Array, begin: number, end: number, to: number, label: string): Part {
  const body = bodyOf(bytes, begin, end);
  const plain = (): Uint8Array => new Uint8Array(Buffer.from(latin1(bytes, body.from, body.to), "base64"));
  const subject =
    label.endsWith("CERTIFICATE") && body.to - body.from < 1 << 20 ? certificateSubject(plain()) : undefined;
  const key = subject === undefined ? label : `${label} ${subject}`;
  return group(key, begin, to - begin, function* () {
    const first = body.headers[0]?.from ?? body.from;
    yield field("label", begin, first - begin, () => label);
    for (const header of body.headers) {
      yield field(header.name, header.from, header.to - header.from, () => headerText(bytes, header));
    }
    yield contentPart(bytes, body, label, plain);
    if (body.crc !== undefined) yield derived("crc", body.crc, end - body.crc);
    yield derived("end", end, to - end);
  });
}

function headerText(bytes: Uint8Array, { from, to }: { from: number; to: number }): string {
  return showable(bytes.subarray(from, to))
    .replace(/^[\w-]+: /, "")
    .trim();
}

function contentPart(bytes: Uint8Array, { from, to }: Body, label: string, plain: () => Uint8Array): Part {
  const length = to - from;
  if (/PRIVATE KEY/.test(label)) return secretPart("private key", bytes, from, length);
  return {
    key: "",
    kind: "content",
    offset: from,
    length,
    name: label.startsWith("PGP") ? "armour.pgp" : "armour.der",
    decode: {
      name: "base64",
      run: (sink) => {
        sink(plain());
        return Promise.resolve();
      },
    },
  };
}
