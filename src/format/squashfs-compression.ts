import { inflateSync, zstdDecompressSync } from "node:zlib";
import { memorySource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { lz4Block } from "./lz4-block.ts";
import { lzoBlock } from "./lzo-block.ts";
import { unxz } from "./xz.ts";

/** Compressors by the superblock's number. */
export const COMPRESSORS: readonly string[] = ["", "gzip", "lzma", "lzo", "xz", "lz4", "zstd"];

/** The plain bytes of one squashfs block, at most `most`. Throws `input` for broken blocks and for lzma, which is not read. */
export async function decompressedBlock(
  compressor: number,
  block: Uint8Array,
  most: number,
  name: string,
): Promise<Uint8Array> {
  switch (compressor) {
    case 1:
      return bounded(name, "zlib", () => inflateSync(block, { maxOutputLength: most }));
    case 3:
      return lzoBlock(block, most, name);
    case 4:
      return await unxzBlock(block, most, name);
    case 5:
      return unlz4Block(block, most, name);
    case 6:
      return bounded(name, "zstd", () => zstdDecompressSync(block, { maxOutputLength: most }));
    default:
      throw new BitforbitError(
        "input",
        `${name}: squashfs: blocks compressed with ${COMPRESSORS[compressor] ?? `number ${compressor}`} are not read`,
      );
  }
}

function bounded(name: string, what: string, run: () => Uint8Array): Uint8Array {
  try {
    return run();
  } catch (error) {
    throw new BitforbitError("input", `${name}: squashfs: a broken ${what} block: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function unlz4Block(block: Uint8Array, most: number, name: string): Uint8Array {
  const space = new Uint8Array(most);
  const length = lz4Block(block, space, 0, most, (what) => {
    return new BitforbitError("input", `${name}: squashfs: a broken lz4 block: ${what}`);
  });
  return space.subarray(0, length);
}

async function unxzBlock(block: Uint8Array, most: number, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const limits = { maxBytes: most, maxRatio: Number.MAX_SAFE_INTEGER, freeBytes: most };
  await unxz(memorySource(block, name), (chunk) => void chunks.push(chunk), limits);
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : new Uint8Array(Buffer.concat(chunks));
}
