import type { ByteSource } from "../bytesource.ts";
import type { InflationLimits, Sink } from "./inflation.ts";
import type { Part } from "./part.ts";

/**
 * The compressed bytes of `file` between `offset` and `end`, and what they decompress to.
 * `units` counts what the compressor cut its input into ("block"): where the
 * counts differ it is said, since that explains bytes that differ for the same content.
 */
export function compressedPart(
  file: string,
  offset: number,
  end: number,
  decode: { name: string; run: (sink: Sink, limits: InflationLimits) => Promise<unknown> },
  units?: { unit: string; count: (source: ByteSource) => number },
): Part {
  const part: Part = { key: decode.name, kind: "content", offset, length: end - offset, decode, name: plainName(file) };
  if (units === undefined) return part;
  const { unit, count } = units;
  return { ...part, compare: (_, a, b) => unlike(unit, count(a), count(b)) };
}

/** The file's name without what says that it is compressed. */
function plainName(file: string): string {
  return file.replace(/\.t(?:bz2?|lz|lzma|z|bz)$/i, ".tar").replace(/\.(?:bz2|lz4|lz|lzma|z|br)$/i, "");
}

/** More of what the compressed part before it decompresses. */
export function moreCompressed(decoding: string, offset: number, end: number): Part {
  return { key: decoding, kind: "stored", offset, length: end - offset };
}

function unlike(unit: string, a: number, b: number): string | undefined {
  if (a === b) return undefined;
  return `${a} ${unit}${a === 1 ? "" : "s"} on one side, ${b} on the other`;
}
