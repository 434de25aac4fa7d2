import type { ByteSource } from "../bytesource.ts";
import { apkSigningPart } from "./apk-signing.ts";
import type { Part } from "./part.ts";
import { readZip, readZipMember, type ZipEntry, type ZipExtra, type ZipHeader, type ZipSpan } from "./zip.ts";

/**
 * A zip as parts: a group for each member where its data stand (local header,
 * content, descriptor), then the directory with a group for each member of the
 * same name, then the end. What no member claims is left to the comparer.
 * Throws what `readZip` throws.
 */
export function* zipParts(source: ByteSource): Generator<Part> {
  const { entries, endSpans } = readZip(source);
  const placed = entries.toSorted((one, other) => one.local.offset - other.local.offset);
  for (const entry of placed) yield localPart(source, entry);
  const [first, last] = [entries[0], entries.at(-1)];
  if (first !== undefined && last !== undefined) {
    const signing = apkSigningPart(source, placed.at(-1)?.end ?? 0, first.offset);
    if (signing !== undefined) yield signing;
    const length = last.offset + last.length - first.offset;
    yield { key: "", kind: "group", offset: first.offset, length, parts: () => entries.map(centralPart) };
  }
  for (const { field, offset, length } of endSpans) {
    const kind = field === "comment" ? "field" : field === "trailing" ? "padding" : "derived";
    yield { key: field, kind, offset, length };
  }
}

/** What a listing of the archive would say of a member, for one that stands on one side only. */
function listed(entry: ZipEntry): string {
  const said = ["method", "mode", "mtime", "version"].map((label) => `${label} ${valueOf(entry, entry, label)}`);
  return [`${entry.size} bytes`, ...said, ...(entry.comment === "" ? [] : [`comment ${entry.comment}`])].join(", ");
}

function localPart(source: ByteSource, entry: ZipEntry): Part {
  const { local, end, name } = entry;
  return {
    key: name,
    kind: "group",
    offset: local.offset,
    length: end - local.offset,
    show: () => listed(entry),
    says: (label) => valueOf(entry, local, label),
    parts: () => {
      const parts = headerParts(entry, local);
      parts.push(contentPart(source, entry));
      if (entry.descriptor !== undefined) {
        const { offset, length } = entry.descriptor;
        parts.push({ key: "descriptor", kind: "derived", offset, length });
      }
      return parts;
    },
  };
}

function contentPart(source: ByteSource, entry: ZipEntry): Part {
  const { dataOffset: offset, compressedSize: length, name } = entry;
  const part: Part = { key: "", kind: "content", offset, length, name };
  if (entry.method === 0 && (entry.flags & 1) === 0) return part;
  return {
    ...part,
    decode: { name: "inflate", run: (sink, limits) => readZipMember(source, entry, sink, limits) },
  };
}

function centralPart(entry: ZipEntry): Part {
  return {
    key: entry.name,
    kind: "group",
    offset: entry.offset,
    length: entry.length,
    show: () => listed(entry),
    says: (label) => valueOf(entry, entry, label),
    parts: () => headerParts(entry, entry),
  };
}

function headerParts(entry: ZipEntry, header: ZipHeader): Part[] {
  return header.spans.flatMap((span: ZipSpan): Part[] => {
    if (span.field !== "extra") return [fieldPart(entry, header, span.field, span)];
    return header.extras.flatMap((extra) => extraParts(entry, header, extra));
  });
}

/** Of Info-ZIP's times (0x5455): which there are, then each; the directory holds the first only. */
const TIMES: readonly string[] = ["extended-mtime", "atime", "ctime"];

function extraParts(entry: ZipEntry, header: ZipHeader, extra: ZipExtra): Part[] {
  const { id, offset, length, data } = extra;
  const held = id === 0x5455 ? timesIn(data) : [];
  if (held.length === 0) return [fieldPart(entry, header, extraName(extra), extra)];
  // id, length and flags stand before the times
  const [times, start] = [held.length * 4, length - data.length + 1];
  const parts = [fieldPart(entry, header, "extra-times", { offset, length: start })];
  for (const [at, label] of held.entries()) {
    parts.push(fieldPart(entry, header, label, { offset: offset + start + at * 4, length: 4 }));
  }
  const rest = length - start - times;
  if (rest > 0)
    parts.push(fieldPart(entry, header, "extra-times-rest", { offset: offset + start + times, length: rest }));
  return parts;
}

/** The names of the times that a field says it has and has bytes for. */
function timesIn(data: Uint8Array): string[] {
  const flags = data[0] ?? 0;
  const said = TIMES.filter((_, bit) => ((flags >> bit) & 1) === 1);
  return said.slice(0, Math.floor((data.length - 1) / 4));
}

function fieldPart(
  entry: ZipEntry,
  header: ZipHeader,
  key: string,
  { offset, length }: { offset: number; length: number },
): Part {
  const label = LABEL[key] ?? key;
  const said = valueOf(entry, header, label);
  return {
    key,
    label,
    kind: DERIVED.has(key) ? "derived" : "field",
    offset,
    length,
    ...(said === undefined ? {} : { show: () => said }),
    ...(label === "mtime" ? { note: "DOS time, in the packer's own time zone, here taken as UTC" } : {}),
  };
}

/** Registered in APPNOTE.TXT 4.5.2 and by Info-ZIP. */
const EXTRAS: Readonly<Record<number, string>> = {
  0x0001: "zip64",
  0x000a: "extra-ntfs-times",
  0x5455: "extra-time",
  0x5855: "extra-unix-1",
  0x7855: "extra-unix-2",
  0x7875: "extra-unix-ids",
  0xcafe: "extra-jar",
};

/** APPNOTE.TXT 4.4.2, those that are met. */
const SYSTEMS: Readonly<Record<number, string>> = {
  0: "MS-DOS",
  3: "Unix",
  7: "Macintosh",
  10: "Windows",
  19: "macOS",
};

function madeBy(version: number): string {
  const [number, system] = [version & 0xff, version >> 8];
  return `${Math.floor(number / 10)}.${number % 10} on ${SYSTEMS[system] ?? `system ${system}`}`;
}

/** APPNOTE.TXT 4.4.5, those that are met. */
const METHODS: Readonly<Record<number, string>> = {
  0: "stored",
  8: "deflated",
  9: "deflate64",
  12: "bzip2",
  14: "lzma",
  93: "zstd",
  95: "xz",
};

function extraName({ id }: ZipExtra): string {
  return EXTRAS[id] ?? (id < 0 ? "extra-broken" : `extra-0x${id.toString(16).padStart(4, "0")}`);
}

const DERIVED: ReadonlySet<string> = new Set(["crc", "compressed-size", "size", "lengths", "local-offset", "zip64"]);
/** What a span tells, where that is not its own name. */
const LABEL: Readonly<Record<string, string>> = {
  time: "mtime",
  "external-attributes": "mode",
  "extra-unix-ids": "uid",
};

function valueOf(entry: ZipEntry, header: ZipHeader, label: string): string | undefined {
  switch (label) {
    case "mtime":
      return String(header.dosTime);
    case "extended-mtime":
    case "atime":
    case "ctime":
      return extendedTime(header, label);
    case "extra-times":
      return timesIn(header.extras.find(({ id }) => id === 0x5455)?.data ?? new Uint8Array(0)).join(" ");
    case "mode":
      return entry.versionMadeBy >> 8 === 3
        ? (entry.externalAttributes >>> 16).toString(8)
        : `0x${entry.externalAttributes.toString(16)}`;
    case "uid":
      return unixIds([...entry.local.extras, ...entry.extras]);
    case "version":
      return madeBy(entry.versionMadeBy);
    case "version-needed":
      return String(entry.versionNeeded);
    case "method":
      return METHODS[header.method] ?? String(header.method);
    case "flags":
      return `0x${header.flags.toString(16)}`;
    case "internal-attributes":
      return `0x${entry.internalAttributes.toString(16)}`;
    case "name":
      return entry.name;
    case "comment":
      return entry.comment;
    default:
      return undefined;
  }
}

function extendedTime(header: ZipHeader, label: string): string {
  const data = header.extras.find(({ id }) => id === 0x5455)?.data ?? new Uint8Array(0);
  const at = timesIn(data).indexOf(label);
  return at < 0 ? "" : String(new DataView(data.buffer, data.byteOffset).getInt32(1 + at * 4, true));
}

/** Info-ZIP's 0x7875: version, then uid and gid as little-endian numbers of stated lengths. */
function unixIds(extras: readonly ZipExtra[]): string {
  const data = extras.find(({ id }) => id === 0x7875)?.data;
  if (data === undefined) return "";
  const numbers: string[] = [];
  let at = 1;
  while (at < data.length && numbers.length < 2) {
    const length = data[at] ?? 0;
    let value = 0n;
    for (let index = Math.min(at + length, data.length - 1); index > at; index--)
      value = value * 256n + BigInt(data[index] ?? 0);
    numbers.push(String(value));
    at += 1 + length;
  }
  return numbers.join(":");
}
