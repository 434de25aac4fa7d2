import type { ByteSource } from "../bytesource.ts";
import { gzipParts } from "../format/compressed-parts.ts";
import { gunzip, type Gunzipped } from "../format/gzip.ts";
import type { InflationLimits, Sink } from "../format/inflation.ts";
import type { Part } from "../format/part.ts";
import { diffParts, type DiffSide } from "./compare.ts";
import { type Comparison, counted, rangeOf } from "./comparison.ts";
import { inflated, withBoth } from "./inflated.ts";
import type { Difference, Leaf } from "./difference.ts";

/**
 * Compares two gzip files: headers, content, and how it was compressed. The
 * members show only once all is inflated, so their parts are made afterwards.
 * Throws what `gunzip` throws.
 */
export async function diffGzip(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference> {
  const read: { a?: Gunzipped; b?: Gunzipped } = {};
  const open = (side: "a" | "b", source: ByteSource) => () =>
    inflated(comparison, nameInside(source.name), async (sink, limits) => {
      read[side] = await gunzip(source, sink, limits);
    });
  return await withBoth(open("a", a), open("b", b), async (contentA, contentB) => {
    const opened = new Map<Part, ByteSource>();
    const sideOf = (source: ByteSource, gzip: Gunzipped | undefined, content: ByteSource): DiffSide => {
      const parts = gzipParts(gzip?.members ?? [], gzip?.end ?? 0, source.size);
      for (const part of parts) if (part.kind === "content") opened.set(part, content);
      return { source, parts };
    };
    const [left, right] = [sideOf(a, read.a, contentA), sideOf(b, read.b, contentB)];
    return await diffParts(comparison, "gzip", left, right, path, depth, opened);
  });
}

/** The name of what a compressed file holds: without the last extension. */
function nameInside(name: string): string {
  return name.replace(/\.tgz$/i, ".tar").replace(/\.(gz|Z)$/i, "");
}

/** How to get at what a compressed file holds. */
export interface Wrapped {
  format: string;
  source: ByteSource;
  run(sink: Sink, limits: InflationLimits): Promise<unknown>;
}

/**
 * Compares what two files hold that are compressed in different ways. Of the
 * compressed bytes themselves only this is told. Throws what the readers throw.
 */
export async function diffAcross(
  comparison: Comparison,
  a: Wrapped,
  b: Wrapped,
  path: string[],
  depth: number,
): Promise<Difference> {
  const open =
    ({ source, run }: Wrapped) =>
    () =>
      inflated(comparison, nameInside(source.name), async (sink, limits) => await run(sink, limits));
  return await withBoth(open(a), open(b), async (contentA, contentB) => {
    const place = { a: rangeOf(0, a.source.size), b: rangeOf(0, b.source.size) };
    const note = "compressed in different ways: what they hold is compared";
    const type: Leaf = { kind: "leaf", path, what: "type", a: a.format, b: b.format, ranges: [place], note };
    const children: (Difference | Leaf)[] = [counted(comparison, type)];
    const content = await comparison.descend(contentA, contentB, [...path, "decompressed"], depth + 1);
    if (content !== undefined) children.push({ ...content, place, decoding: `${a.format}, ${b.format}` });
    const sizes = { a: a.source.size, b: b.source.size };
    return { kind: "node", path, format: `${a.format} and ${b.format}`, children, sizes };
  });
}
