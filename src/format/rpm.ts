import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { field, group, type Part } from "./part.ts";
import { rpmHeader, rpmHeaderParts, rpmString } from "./rpm-header.ts";

/**
 * An rpm package, versions 3 and 4 (rpm's manual, "Package format"):
 *
 *     lead(96): ed ab ee db, major(1) minor(1) type(2) architecture(2) name(66) system(2) signature type(2) reserved(16)
 *     signature: a header structure, filled up to 8
 *     header: a header structure
 *     payload: a cpio archive, compressed
 */
const LEAD = 96;
const TYPES = ["binary", "source"];

/** Lead, signature and header with each tag by its name, payload as content. Throws `input`, `limit`. */
export function rpmParts(source: ByteSource): Part[] {
  if (source.size < LEAD) throw bad(source, 0, "cut off in the lead");
  const lead = viewOf(source, 0, LEAD);
  if (lead.getUint32(0) !== 0xedabeedb) throw bad(source, 0, "no rpm lead");
  const parts = [group("lead", 0, LEAD, () => leadParts(source, lead))];
  const signature = rpmHeader(source, LEAD, true);
  parts.push(group("signature", LEAD, signature.end - LEAD, () => rpmHeaderParts(source, signature)));
  const start = Math.min(Math.ceil(signature.end / 8) * 8, source.size);
  if (start > signature.end) {
    parts.push({ key: "padding", kind: "padding", offset: signature.end, length: start - signature.end });
  }
  const header = rpmHeader(source, start, false);
  parts.push(group("header", start, header.end - start, () => rpmHeaderParts(source, header)));
  const compressor = rpmString(source, header, "payloadcompressor");
  const name = `payload.cpio${compressor === undefined ? "" : `.${compressor}`}`;
  parts.push({ key: "payload", kind: "content", offset: header.end, length: source.size - header.end, name });
  return parts;
}

function leadParts(source: ByteSource, lead: DataView): Part[] {
  const name = (): string => showable(source.read(10, 66)).replace(/\0[^]*$/, "");
  const number = (offset: number): (() => string) => {
    return () => String(lead.getUint16(offset));
  };
  return [
    field("magic", 0, 4),
    field("version", 4, 2, () => `${lead.getUint8(4)}.${lead.getUint8(5)}`),
    field("type", 6, 2, () => TYPES[lead.getUint16(6)] ?? String(lead.getUint16(6))),
    field("architecture", 8, 2, number(8)),
    field("name", 10, 66, name),
    field("system", 76, 2, number(76)),
    field("signature type", 78, 2, number(78)),
    { key: "reserved", kind: "padding", offset: 80, length: 16 },
  ];
}

function viewOf(source: ByteSource, offset: number, length: number): DataView {
  const bytes = source.read(offset, length);
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: rpm, offset ${offset}: ${what}`);
}
