/** Whether files bear some bytes, within bounds. */
import { realpathSync } from "node:fs";
import { join, sep } from "node:path";
import { hex } from "../bytes.ts";
import { type ByteSource, equalSources, openSource } from "../bytesource.ts";
import { BitforbitError, systemCode } from "../errors.ts";

/** Gives a file of the build tree to `use`, by its path relative to the build path; undefined when it is no longer there. */
export type TreeFiles = <T>(path: string, use: (source: ByteSource) => T) => T | undefined;

/** Files of a build tree that a stranger's build left: nothing outside of it is read, wherever its links point. */
export function treeFiles(root: string): TreeFiles {
  const real = realpathSync(root);
  return (path, use) => {
    let source;
    try {
      const resolved = realpathSync(join(real, path));
      if (!resolved.startsWith(real + sep)) return undefined;
      source = openSource(resolved, path);
    } catch (error) {
      if (error instanceof BitforbitError || systemCode(error) !== undefined) return undefined;
      throw error;
    }
    try {
      return use(source);
    } finally {
      source.close();
    }
  };
}

/** Fewer bytes, or the same byte over and over, stand everywhere by chance. */
const LEAST = 4;
const MOST = 4096;
const WINDOW = 1 << 20;
/** Bytes read for one question: beyond that, files count as gone. */
export const BUDGET: number = 512 << 20;

/** The bytes to search for; undefined when they say too little. */
export function distinctive(evidence: Uint8Array): Uint8Array | undefined {
  if (evidence.length < LEAST || evidence.every((byte) => byte === evidence[0])) return undefined;
  return evidence.subarray(0, MOST);
}

/** Whether bytes stand somewhere in a source, read window by window. */
export function bears(source: ByteSource, bytes: Uint8Array): boolean {
  const scratch = new Uint8Array(Math.min(source.size, WINDOW));
  const needle = Buffer.from(bytes);
  for (let at = 0; at + bytes.length <= source.size; at += WINDOW - bytes.length + 1) {
    const window = source.read(at, Math.min(WINDOW, source.size - at), scratch);
    if (Buffer.from(window.buffer, window.byteOffset, window.byteLength).includes(needle)) return true;
  }
  return false;
}

/** gzip, zip, bzip2, xz, zstd, lz4 and .Z, whose bytes do not show what they hold. */
const OPAQUE = /^(?:1f8b|1f9d|504b0304|425a68|fd377a58|28b52ffd|04224d18)/;

/** Whether a file holds its contents compressed. */
export function isOpaque(source: ByteSource): boolean {
  return OPAQUE.test(hex(source.read(0, Math.min(4, source.size))));
}

/** Whether two files of a tree are the same; undefined when one is gone. */
export function sameContent(tree: TreeFiles, a: string, b: string): boolean | undefined {
  return tree(a, (one) => tree(b, (other) => equalSources(one, other)));
}
