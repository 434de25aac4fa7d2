import type { ByteSource } from "../bytesource.ts";
import { InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import type { Part } from "./part.ts";

/** Bytes of a source. */
export interface Piece {
  offset: number;
  length: number;
}

const CHUNK = 1 << 20;

/** Pieces that follow each other become one. */
export function joined(pieces: Iterable<Piece>): Piece[] {
  const found: Piece[] = [];
  for (const { offset, length } of pieces) {
    const last = found.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else if (length > 0) found.push({ offset, length });
  }
  return found;
}

/**
 * A file whose bytes are `pieces`, in this order: a content as it is when they
 * are one, otherwise one that is put together, and what more is stored of it.
 */
export function* scattered(source: ByteSource, path: string, pieces: readonly Piece[]): Generator<Part> {
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  const name = path.slice(path.lastIndexOf("/") + 1);
  const show = (): string => `file, ${size} bytes`;
  const run = (sink: Sink, limits: InflationLimits): Promise<void> => gather(source, pieces, sink, limits);
  const placed = pieces.toSorted((a, b) => a.offset - b.offset);
  for (const [index, { offset, length }] of placed.entries()) {
    if (index > 0) yield { key: path, kind: "stored", offset, length };
    else {
      const part: Part = { key: path, kind: "content", offset, length, name, show };
      yield pieces.length === 1 ? part : { ...part, decode: { name: "gather", run } };
    }
  }
}

async function gather(
  source: ByteSource,
  pieces: readonly Piece[],
  sink: Sink,
  limits: InflationLimits,
): Promise<void> {
  const guard = new InflationGuard(source.name, source.size, limits);
  for (const { offset, length } of pieces) {
    for (let at = 0; at < length; at += CHUNK) {
      const count = Math.min(CHUNK, length - at);
      guard.add(count);
      sink(source.read(offset + at, count).slice());
    }
  }
}
