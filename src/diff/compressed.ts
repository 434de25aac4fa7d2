import { type ByteSource, equalSources, partOf } from "../bytesource.ts";
import { type Spooled, spool, unzstd } from "../format/archive.ts";
import { type GzipMember, gunzip, type Gunzipped } from "../format/gzip.ts";
import type { InflationLimits, Sink } from "../format/inflation.ts";
import { unxz } from "../format/xz.ts";
import { byteLeaves, differingRanges } from "./bytes.ts";
import { type Comparison, counted, rangeOf } from "./comparison.ts";
import type { Difference, Leaf } from "./difference.ts";
import { DERIVED, derivedLeaf, fieldLeaves, newDerived, type Reading } from "./fields.ts";

/** Decompresses into memory or a file, within what the whole run may use. */
export async function inflated(
  comparison: Comparison,
  name: string,
  produce: (sink: Sink, limits: InflationLimits) => Promise<unknown>,
): Promise<Spooled> {
  const { bounds } = comparison;
  const left = Math.max(0, bounds.maxInflated - comparison.inflated);
  const limits = { ...bounds.inflation, maxBytes: Math.min(bounds.inflation.maxBytes, left) };
  const inMemory = Math.max(0, Math.min(bounds.maxInMemory / 4, bounds.maxInMemory - comparison.inMemory));
  const spooled = await spool(bounds.temporary, name, (sink) => produce(sink, limits), inMemory);
  const held = spooled.source.size <= inMemory ? spooled.source.size : 0;
  comparison.inflated += spooled.source.size;
  comparison.inMemory += held;
  return {
    source: spooled.source,
    close: () => {
      comparison.inMemory -= held;
      spooled.close();
    },
  };
}

/** Two contents to look into, closed afterwards whatever happens. */
export async function withBoth<T>(
  openA: () => Promise<Spooled>,
  openB: () => Promise<Spooled>,
  work: (a: ByteSource, b: ByteSource) => Promise<T>,
): Promise<T> {
  const opened = await Promise.allSettled([openA(), openB()]);
  try {
    const [a, b] = opened.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value.source;
    });
    if (a === undefined || b === undefined) throw new Error("unreachable: two were opened");
    return await work(a, b);
  } finally {
    for (const result of opened) if (result.status === "fulfilled") result.value.close();
  }
}

/** Compares two gzip files: headers, content, and how it was compressed. Throws what `gunzip` throws. */
export async function diffGzip(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference> {
  const read: { a?: Gunzipped; b?: Gunzipped } = {};
  const open = (side: "a" | "b", source: ByteSource) => () =>
    inflated(comparison, source.name, async (sink, limits) => {
      read[side] = await gunzip(source, sink, limits);
    });
  return await withBoth(open("a", a), open("b", b), async (contentA, contentB) => {
    const inner = [...path, "gunzip"];
    const content = await comparison.descend(contentA, contentB, inner, depth + 1);
    const children: (Difference | Leaf)[] = [];
    const [gzipA, gzipB] = [read.a, read.b];
    if (gzipA === undefined || gzipB === undefined) throw new Error("unreachable: both were read");
    children.push(...gzipLeaves(comparison, { source: a, gzip: gzipA }, { source: b, gzip: gzipB }, path, content));
    return { kind: "node", path, format: "gzip", children };
  });
}

interface GzipSide {
  source: ByteSource;
  gzip: Gunzipped;
}

function gzipLeaves(
  comparison: Comparison,
  a: GzipSide,
  b: GzipSide,
  path: string[],
  content: Difference | undefined,
): (Difference | Leaf)[] {
  const leaves: (Difference | Leaf)[] = [];
  const derived = newDerived();
  const countA = a.gzip.members.length;
  const countB = b.gzip.members.length;
  if (countA !== countB) leaves.push(memberCount(comparison, a, b, path));
  // With another number of members they cannot be paired beyond the first.
  const paired = countA === countB ? countA : 1;
  for (let at = 0; at < paired; at++) {
    const memberA = a.gzip.members[at];
    const memberB = b.gzip.members[at];
    if (memberA === undefined || memberB === undefined) break;
    leaves.push(
      ...fieldLeaves(
        comparison,
        at === 0 ? path : [...path, `gzip member ${at + 1}`],
        { source: a.source, spans: memberSpans(memberA) },
        { source: b.source, spans: memberSpans(memberB) },
        gzipReading(memberA, memberB),
        derived,
      ),
    );
    if (content === undefined && countA === countB)
      leaves.push(...streamLeaves(comparison, a, memberA, b, memberB, path));
  }
  if (content !== undefined) leaves.push(content);
  leaves.push(...trailingLeaves(comparison, a, b, path));
  leaves.push(...derivedLeaf(comparison, path, derived, leaves.length === 0));
  return leaves;
}

function memberSpans(member: GzipMember): { field: string; offset: number; length: number }[] {
  return [...member.spans, { field: "checksum", offset: member.end - 8, length: 8 }];
}

function gzipReading(a: GzipMember, b: GzipMember): Reading {
  return {
    fieldOf: (span) => (span === "checksum" || span === "header-crc" ? DERIVED : span),
    valueOf: (field, side) => {
      const member = side === "a" ? a : b;
      if (field === "mtime") return String(member.mtime);
      if (field === "os") return String(member.os);
      if (field === "xfl") return String(member.extraFlags);
      if (field === "flags") return `0x${member.flags.toString(16)}`;
      if (field === "name") return member.name ?? "";
      if (field === "comment") return member.comment ?? "";
      return undefined;
    },
  };
}

function memberCount(comparison: Comparison, a: GzipSide, b: GzipSide, path: string[]): Leaf {
  return counted(comparison, {
    kind: "leaf",
    path,
    what: "field",
    field: "members",
    a: String(a.gzip.members.length),
    b: String(b.gzip.members.length),
    ranges: [{ a: rangeOf(0, a.gzip.end), b: rangeOf(0, b.gzip.end) }],
    note: "the content is split into another number of gzip members",
  });
}

/** Compressed streams that differ though their content does not: the compressor's own choice. */
export function compressedLeaf(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  bases: { a: number; b: number },
): Leaf[] {
  if (equalSources(a, b)) return [];
  const first = differingRanges(a, b)[0];
  const from = first?.a.offset ?? 0;
  const start = (source: ByteSource): Uint8Array => source.read(from, Math.min(256, source.size - from)).slice();
  return [
    counted(comparison, {
      kind: "leaf",
      path,
      what: "field",
      field: "compressed",
      a: `${a.size} bytes`,
      b: `${b.size} bytes`,
      ranges: [{ a: rangeOf(bases.a, a.size), b: rangeOf(bases.b, b.size) }],
      bytesA: start(a),
      bytesB: start(b),
      atA: bases.a + from,
      atB: bases.b + from,
      note: "the same content, compressed otherwise: another compressor, version or level",
    }),
  ];
}

function streamLeaves(
  comparison: Comparison,
  a: GzipSide,
  memberA: GzipMember,
  b: GzipSide,
  memberB: GzipMember,
  path: string[],
): Leaf[] {
  const stream = (side: GzipSide, member: GzipMember): ByteSource =>
    partOf(side.source, member.dataOffset, member.dataLength);
  return compressedLeaf(comparison, stream(a, memberA), stream(b, memberB), path, {
    a: memberA.dataOffset,
    b: memberB.dataOffset,
  });
}

function trailingLeaves(comparison: Comparison, a: GzipSide, b: GzipSide, path: string[]): Leaf[] {
  const rest = (side: GzipSide): ByteSource => partOf(side.source, side.gzip.end, side.source.size - side.gzip.end);
  return byteLeaves(comparison, rest(a), rest(b), path, {
    field: "trailing",
    baseA: a.gzip.end,
    baseB: b.gzip.end,
    note: "after the last gzip member",
  });
}

/** Compares two xz or zstd files, whose headers say nothing of interest. Throws what their readers throw. */
export async function diffPlainlyCompressed(
  comparison: Comparison,
  format: "xz" | "zstd",
  a: ByteSource,
  b: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference> {
  const read = format === "xz" ? unxz : unzstd;
  const open = (source: ByteSource) => () =>
    inflated(comparison, source.name, (sink, limits) => read(source, sink, limits));
  return await withBoth(open(a), open(b), async (contentA, contentB) => {
    const content = await comparison.descend(contentA, contentB, [...path, `un${format}`], depth + 1);
    const children = content === undefined ? compressedLeaf(comparison, a, b, path, { a: 0, b: 0 }) : [content];
    return { kind: "node", path, format, children };
  });
}
