import type { ByteSource } from "../bytesource.ts";
import { paxRecords, type TarEntry, type TarExtension } from "./tar.ts";
import { BLOCK, padded, TAR_FIELDS } from "./tar-header.ts";

export interface TarSpan {
  field: string;
  offset: number;
  length: number;
}

/**
 * The pieces of a member's headers, in order and without gaps, from its first
 * extension header up to its data: `name`, `mode`… of its own header (see
 * `TAR_FIELDS`; GNU's use of the prefix is `gnu-times`), `extension.name`…
 * of the headers before it, `pax.KEY` and `global.KEY` for PAX records,
 * `longname`, `longlink`, and what fills up.
 */
export function tarSpans(source: ByteSource, entry: TarEntry): TarSpan[] {
  const spans = entry.extensions.flatMap((extension) => extensionSpans(source, extension));
  spans.push(...blockSpans(entry.headerOffset, ""));
  if (entry.dialect === "gnu") {
    for (const span of spans) if (span.field === "prefix") span.field = "gnu-times";
  }
  const maps = entry.dataOffset - entry.headerOffset - BLOCK;
  if (maps > 0) spans.push({ field: "sparse-map", offset: entry.headerOffset + BLOCK, length: maps });
  return spans;
}

function blockSpans(offset: number, prefix: string): TarSpan[] {
  return Object.entries(TAR_FIELDS).map(([field, [at, length]]) => ({
    field: `${prefix}${field}`,
    offset: offset + at,
    length,
  }));
}

function extensionSpans(source: ByteSource, extension: TarExtension): TarSpan[] {
  const spans = blockSpans(extension.headerOffset, "extension.");
  const end = extension.dataOffset + padded(extension.size);
  let at = extension.dataOffset;
  if (extension.type === "L" || extension.type === "K") {
    spans.push({ field: extension.type === "L" ? "longname" : "longlink", offset: at, length: extension.size });
    at += extension.size;
  } else {
    for (const record of paxRecords(source, extension)) {
      const field = `${extension.type === "g" ? "global" : "pax"}.${record.key}`;
      spans.push({ field, offset: record.offset, length: record.length });
      at = record.offset + record.length;
    }
  }
  if (end > at) spans.push({ field: "extension.padding", offset: at, length: end - at });
  return spans;
}
