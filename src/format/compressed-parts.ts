import type { ByteSource } from "../bytesource.ts";
import { unzstd } from "./zstd.ts";
import type { GzipMember } from "./gzip.ts";
import type { Part } from "./part.ts";
import { unxz } from "./xz.ts";

/** An xz file: its content, compressed; the headers say nothing of interest. */
export function xzParts(source: ByteSource): Part[] {
  const decode = { name: "unxz", run: unxz.bind(undefined, source) };
  return [{ key: "unxz", kind: "content", offset: 0, length: source.size, decode }];
}

/** A zstd file: its content, compressed. */
export function zstdParts(source: ByteSource): Part[] {
  const decode = { name: "unzstd", run: unzstd.bind(undefined, source) };
  return [{ key: "unzstd", kind: "content", offset: 0, length: source.size, decode }];
}

/**
 * The parts of a gzip file whose members are known: each one's header fields,
 * its stream, its checksum. The streams hold one content, `opened`, the first
 * of them as `content` and the others as `stored`.
 */
export function gzipParts(members: readonly GzipMember[], end: number, size: number): Part[] {
  const parts: Part[] = [];
  for (const [at, member] of members.entries()) {
    for (const { field, offset, length } of member.spans) {
      const said = valueOf(member, field);
      const show = said === undefined ? {} : { show: () => said };
      parts.push({ key: field, kind: field === "header-crc" ? "derived" : "field", offset, length, ...show });
    }
    const place = { key: "gunzip", offset: member.dataOffset, length: member.dataLength };
    parts.push(
      at === 0 ? { ...place, kind: "content", decode: { name: "gunzip", run: unread } } : { ...place, kind: "stored" },
    );
    parts.push({ key: "checksum", kind: "derived", offset: member.end - 8, length: 8 });
  }
  parts.push({ key: "trailing", kind: "padding", offset: end, length: size - end, note: "after the last gzip member" });
  return parts;
}

function unread(): Promise<never> {
  throw new Error("unreachable: what a gzip holds is at hand when its parts are made");
}

/** RFC 1952, 2.3.1: those that are met. */
const SYSTEMS: Readonly<Record<number, string>> = {
  0: "0, FAT",
  3: "3, Unix",
  7: "7, Macintosh",
  10: "10, Windows (TOPS-20)",
  11: "11, NTFS",
  255: "255, unknown",
};
const EFFORTS: Readonly<Record<number, string>> = { 2: "2, max compression", 4: "4, max speed" };

function valueOf(member: GzipMember, field: string): string | undefined {
  if (field === "mtime") return String(member.mtime);
  if (field === "os") return SYSTEMS[member.os] ?? String(member.os);
  if (field === "xfl") return EFFORTS[member.extraFlags] ?? String(member.extraFlags);
  if (field === "flags") return `0x${member.flags.toString(16)}`;
  if (field === "name") return member.name ?? "";
  if (field === "comment") return member.comment ?? "";
  return undefined;
}
