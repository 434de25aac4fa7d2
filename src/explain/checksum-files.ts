import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { byteOrder } from "../order.ts";

/** Digests that checksum files hold, by the length of their hexadecimal form. */
const ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [32, "md5"],
  [40, "sha1"],
  [56, "sha224"],
  [64, "sha256"],
  [96, "sha384"],
  [128, "sha512"],
]);

const MOST_TEXT = 1 << 20;
const MOST_HASHED = 4 * 2 ** 30;

/**
 * Files of checksums among those that differ between two folders: what differs
 * in them are digests of other files that differ, each of its own side's. Gives
 * for each such file one that it follows from. `paths`: those that differ,
 * relative to both folders.
 */
export async function checksumFiles(
  folders: readonly [a: string, b: string],
  paths: readonly string[],
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const suspects: { path: string; words: [string[], string[]] }[] = [];
  for (const path of paths) {
    const [a, b] = [await wordsOf(join(folders[0], path)), await wordsOf(join(folders[1], path))];
    if (a === undefined || b === undefined || a.size === 0 || b.size === 0) continue;
    const words: [string[], string[]] = [[...a.difference(b)], [...b.difference(a)]];
    if (words[0].length > 0 && words[1].length > 0) suspects.push({ path, words });
  }
  if (suspects.length === 0) return found;
  const lengths = new Set(suspects.flatMap(({ words }) => words.flat().map(({ length }) => length)));
  const [ofA, ofB] = [await digestsOf(folders[0], paths, lengths), await digestsOf(folders[1], paths, lengths)];
  for (const { path, words } of suspects) {
    const [inA, inB] = [words[0].map((word) => ofA.get(word)), words[1].map((word) => ofB.get(word))];
    const origins = inA.filter((origin) => origin !== undefined && origin !== path && inB.includes(origin));
    const all = [...inA, ...inB].every((origin) => origin !== undefined);
    const [origin] = origins.sort((a, b) => byteOrder(a ?? "", b ?? ""));
    if (all && origin !== undefined) found.set(path, origin);
  }
  return found;
}

/** The words of a small text that may be digests; undefined when the file is no such text. */
async function wordsOf(path: string): Promise<Set<string> | undefined> {
  const about = await stat(path).catch(() => undefined);
  if (about === undefined || !about.isFile() || about.size > MOST_TEXT) return undefined;
  const words = (await readFile(path)).toString("latin1").match(/(?<![0-9A-Za-z])[0-9A-Fa-f]{32,128}(?![0-9A-Za-z])/g);
  return new Set((words ?? []).filter((word) => ALGORITHMS.has(word.length)).map((word) => word.toLowerCase()));
}

/** The files by their digests of these lengths. */
async function digestsOf(
  folder: string,
  paths: readonly string[],
  lengths: ReadonlySet<number>,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const algorithms = [...ALGORITHMS].filter(([length]) => lengths.has(length)).map(([, name]) => name);
  let hashed = 0;
  for (const path of paths) {
    const about = await stat(join(folder, path)).catch(() => undefined);
    if (about === undefined || !about.isFile() || hashed + about.size > MOST_HASHED) continue;
    hashed += about.size;
    const hashes = algorithms.map((name) => createHash(name));
    for await (const chunk of createReadStream(join(folder, path))) {
      for (const hash of hashes) hash.update(chunk as Buffer);
    }
    for (const hash of hashes) found.set(hash.digest("hex"), path);
  }
  return found;
}
