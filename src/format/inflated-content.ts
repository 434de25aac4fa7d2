import { constants, inflateSync } from "node:zlib";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { inflateAt } from "./deflate.ts";
import { InflationGuard } from "./inflation.ts";
import type { Part } from "./part.ts";

/**
 * A content that is stored as a zlib stream (RFC 1950): two bytes of header, a
 * deflate stream, the Adler-32 of what it gives.
 */
export function inflatedContent(source: ByteSource, key: string, offset: number, length: number): Part {
  return {
    key,
    kind: "content",
    offset,
    length,
    decode: {
      name: "inflate",
      run: async (sink, limits) => {
        const stored = partOf(source, offset, length);
        if (length < 2 || (stored.read(0, 1)[0] ?? 0) % 16 !== 8) {
          throw new BitforbitError("input", `${source.name}: zlib, offset ${offset}: no deflate stream`);
        }
        return await inflateAt(stored, 2, sink, new InflationGuard(source.name, length, limits));
      },
    },
  };
}

/** Inflates a zlib stream held in memory, to at most `most` bytes. One that breaks off gives what there is. Throws `input`. */
export function inflated(stored: Uint8Array, most: number, what: string): Uint8Array {
  try {
    return inflateSync(stored, { maxOutputLength: Math.max(1, most), finishFlush: constants.Z_SYNC_FLUSH });
  } catch (error) {
    throw new BitforbitError("input", `${what}: zlib: ${messageOf(error)}`, { cause: error });
  }
}
