import { type ByteSource, equalSources, partOf } from "../bytesource.ts";
import {
  readZip,
  readZipMember,
  type Zip,
  type ZipEntry,
  type ZipExtra,
  type ZipHeader,
  type ZipSpan,
} from "../format/zip.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { byteLeaves } from "./bytes.ts";
import { type Comparison, isFull, onlyLeaf, rangeOf, restLeaf } from "./comparison.ts";
import { compressedLeaf, inflated, withBoth } from "./compressed.ts";
import type { Difference, Leaf } from "./difference.ts";
import {
  DERIVED,
  type Derived,
  derivedLeaf,
  fieldLeaves,
  newDerived,
  orderLeaf,
  type Reading,
  type Span,
} from "./fields.ts";
import { Names } from "./pairing.ts";

interface Side {
  source: ByteSource;
  zip: Zip;
  names: Names;
}

function sideOf(source: ByteSource): Side {
  const zip = readZip(source);
  const names = new Names();
  for (const entry of zip.entries) names.add(entry.name);
  return { source, zip, names };
}

/** Compares two zip files member by member. Throws what `readZip` throws. */
export async function diffZip(
  comparison: Comparison,
  sourceA: ByteSource,
  sourceB: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference> {
  const a = sideOf(sourceA);
  const b = sideOf(sourceB);
  const derived = newDerived();
  const children: (Difference | Leaf)[] = [...orders(comparison, a, b, path)];
  for (const [at, entry] of a.zip.entries.entries()) {
    if (isFull(comparison)) {
      children.push(restLeaf(comparison, path, rangeOf(0, sourceA.size), rangeOf(0, sourceB.size)));
      break;
    }
    const partner = a.names.partner(at, b.names);
    const other = partner === undefined ? undefined : b.zip.entries[partner];
    const memberPath = [...path, a.names.shown(at)];
    if (other === undefined) children.push(onlyMember(comparison, "a", a, entry, memberPath));
    else children.push(...(await diffMember(comparison, a, entry, b, other, memberPath, depth, derived)));
  }
  for (const [at, entry] of b.zip.entries.entries()) {
    if (isFull(comparison)) break;
    if (b.names.partner(at, a.names) !== undefined) continue;
    children.push(onlyMember(comparison, "b", b, entry, [...path, b.names.shown(at)]));
  }
  children.push(...archiveLeaves(comparison, a, b, path, derived));
  children.push(...derivedLeaf(comparison, path, derived, children.length === 0));
  return { kind: "node", path, format: "zip", children };
}

/** The directory's order, and the order in which the members themselves stand. */
function orders(comparison: Comparison, a: Side, b: Side, path: string[]): Leaf[] {
  const listed = orderLeaf(
    comparison,
    path,
    a.names.keys(),
    b.names.keys(),
    "the directory lists the members in another order",
  );
  if (listed !== undefined) return [listed];
  const placed = (side: Side): string[] => {
    const keys = side.names.keys();
    return side.zip.entries
      .map((entry, at) => ({ at: entry.local.offset, key: keys[at] ?? "" }))
      .sort((one, other) => one.at - other.at)
      .map(({ key }) => key);
  };
  const stand = orderLeaf(comparison, path, placed(a), placed(b), "the members' data stand in another order");
  return stand === undefined ? [] : [stand];
}

function onlyMember(comparison: Comparison, side: "a" | "b", where: Side, entry: ZipEntry, path: string[]): Leaf {
  const leaf = onlyLeaf(comparison, side, path, {
    source: where.source,
    range: rangeOf(entry.local.offset, entry.end - entry.local.offset),
    shown: `${entry.size} bytes`,
  });
  const central = rangeOf(entry.offset, entry.length);
  const nothing = rangeOf(0, 0);
  leaf.ranges.push(side === "a" ? { a: central, b: nothing } : { a: nothing, b: central });
  return leaf;
}

async function diffMember(
  comparison: Comparison,
  a: Side,
  entryA: ZipEntry,
  b: Side,
  entryB: ZipEntry,
  path: string[],
  depth: number,
  derived: Derived,
): Promise<(Difference | Leaf)[]> {
  const children: (Difference | Leaf)[] = fieldLeaves(
    comparison,
    path,
    { source: a.source, spans: spansOf(entryA) },
    { source: b.source, spans: spansOf(entryB) },
    reading(entryA, entryB),
    derived,
  );
  const dataA = partOf(a.source, entryA.dataOffset, entryA.compressedSize);
  const dataB = partOf(b.source, entryB.dataOffset, entryB.compressedSize);
  if (entryA.method === entryB.method && equalSources(dataA, dataB)) return children;
  const bases = { a: entryA.dataOffset, b: entryB.dataOffset };
  const open = (side: Side, entry: ZipEntry) => () =>
    inflated(comparison, entry.name, (sink, limits) => readZipMember(side.source, entry, sink, limits));
  try {
    await withBoth(open(a, entryA), open(b, entryB), async (contentA, contentB) => {
      const content = await comparison.descend(contentA, contentB, path, depth + 1);
      if (content === undefined) children.push(...compressedLeaf(comparison, dataA, dataB, path, bases));
      else children.push(content);
    });
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    const note = `not decompressed: ${messageOf(error)}`;
    children.push(...byteLeaves(comparison, dataA, dataB, path, { baseA: bases.a, baseB: bases.b, note }));
  }
  return children;
}

/** The spans of the central and the local header and of the descriptor; each extra field is one of its own. */
function spansOf(entry: ZipEntry): Span[] {
  const spans = [...headerSpans(entry, "central"), ...headerSpans(entry.local, "local")];
  if (entry.descriptor !== undefined) spans.push({ ...entry.descriptor });
  return spans;
}

function headerSpans(header: ZipHeader, where: "central" | "local"): Span[] {
  return header.spans.flatMap((span: ZipSpan): Span[] => {
    if (span.field !== "extra") return [{ ...span, field: `${where}.${span.field}` }];
    return header.extras.map((extra) => ({
      field: `${where}.${extraName(extra)}`,
      offset: extra.offset,
      length: extra.length,
    }));
  });
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

function extraName({ id }: ZipExtra): string {
  return EXTRAS[id] ?? (id < 0 ? "extra-broken" : `extra-0x${id.toString(16).padStart(4, "0")}`);
}

const DERIVED_SPANS = new Set(["crc", "compressed-size", "size", "lengths", "local-offset", "zip64"]);
/** Logical fields where they are not the span's own name without its place. */
const FIELD: Readonly<Record<string, string>> = {
  time: "mtime",
  "extra-time": "extended-mtime",
  "external-attributes": "mode",
  "extra-unix-ids": "uid",
};

function fieldOf(span: string): string {
  if (span === "descriptor") return DERIVED;
  const name = span.slice(span.indexOf(".") + 1);
  return DERIVED_SPANS.has(name) ? DERIVED : (FIELD[name] ?? name);
}

function reading(a: ZipEntry, b: ZipEntry): Reading {
  return {
    fieldOf,
    valueOf: (field, side) => valueOf(side === "a" ? a : b, field),
    noteOf: (field) => (field === "mtime" ? "DOS time, in the packer's own time zone, here taken as UTC" : undefined),
  };
}

function valueOf(entry: ZipEntry, field: string): string | undefined {
  switch (field) {
    case "mtime":
      return String(entry.dosTime);
    case "extended-mtime": {
      const { data } = [...entry.extras, ...entry.local.extras].find(({ id }) => id === 0x5455) ?? {};
      if (data === undefined || data.length < 5) return "";
      return String(new DataView(data.buffer, data.byteOffset).getInt32(1, true));
    }
    case "mode":
      return entry.versionMadeBy >> 8 === 3
        ? (entry.externalAttributes >>> 16).toString(8)
        : `0x${entry.externalAttributes.toString(16)}`;
    case "uid":
      return unixIds([...entry.local.extras, ...entry.extras]);
    case "version":
      return `${entry.versionMadeBy & 0xff} on system ${entry.versionMadeBy >> 8}`;
    case "version-needed":
      return String(entry.versionNeeded);
    case "method":
      return String(entry.method);
    case "flags":
      return `0x${entry.flags.toString(16)}, local 0x${entry.local.flags.toString(16)}`;
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

/** What belongs to no member: the end of the directory, the comment, and bytes that no part of the zip claims. */
function archiveLeaves(comparison: Comparison, a: Side, b: Side, path: string[], derived: Derived): Leaf[] {
  const leaves = fieldLeaves(
    comparison,
    path,
    { source: a.source, spans: a.zip.endSpans },
    { source: b.source, spans: b.zip.endSpans },
    {
      fieldOf: (span) => (span === "end-of-directory" || span === "zip64-end" ? DERIVED : span),
      valueOf: () => undefined,
    },
    derived,
  );
  const gaps = Math.max(a.zip.gaps.length, b.zip.gaps.length);
  for (let at = 0; at < gaps && !isFull(comparison); at++) {
    const gapA = a.zip.gaps[at] ?? { offset: 0, length: 0 };
    const gapB = b.zip.gaps[at] ?? { offset: 0, length: 0 };
    leaves.push(
      ...byteLeaves(
        comparison,
        partOf(a.source, gapA.offset, gapA.length),
        partOf(b.source, gapB.offset, gapB.length),
        path,
        { field: "gap", baseA: gapA.offset, baseB: gapB.offset, note: "bytes that no member and no directory claims" },
      ),
    );
  }
  return leaves;
}
