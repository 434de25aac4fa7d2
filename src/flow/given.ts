/** An artifact that somebody published, laid out beside what was built, so that the two can be compared. */
import { constants } from "node:fs";
import { copyFile, mkdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Output } from "../build/outputs.ts";
import { type Digest, digestOfFile, parseDigest } from "../digest.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { openStore } from "../store/store.ts";
import { walkTree } from "../tree.ts";
import type { Home } from "./home.ts";

export interface GivenFile {
  /** Below the folder that was given; of a file its name, of a digest the digest. */
  name: string;
  digest: Digest;
  /** Undefined: only its digest is known. */
  path: string | undefined;
}

export interface Given {
  /** As a person named it. */
  named: string;
  files: GivenFile[];
}

/** What `bitforbit build` writes beside artifacts, and is none. */
const EVIDENCE = /\.sigstore\.json$|\.cdx\.json$/;

/** A file, a folder's files, or a digest, whose bytes are known when the store has them. Throws `input`. */
export async function readGiven(named: string, home: Home): Promise<Given> {
  if (named.startsWith("sha256:")) {
    const digest = parseDigest(named);
    const store = await openStore(home.store);
    const stored = await store.artifact(digest);
    const path = stored === undefined ? undefined : store.blobPath(digest);
    if (path !== undefined && (await digestOfFile(path)) !== digest) {
      throw new BitforbitError("input", `${named} is damaged in the store`, {
        hint: "'bitforbit store check' says more",
      });
    }
    return { named, files: [{ name: stored?.name ?? named, digest, path }] };
  }
  const path = resolve(named);
  const stats = await stat(path).catch((error: unknown) => {
    throw new BitforbitError("input", `cannot read ${named}: ${systemCode(error) ?? "unknown error"}`, {
      cause: error,
    });
  });
  if (stats.isFile()) return { named, files: [{ name: basename(path), digest: await digestOfFile(path), path }] };
  if (!stats.isDirectory()) throw new BitforbitError("input", `${named} is neither a file nor a folder`);
  const files: GivenFile[] = [];
  for await (const entry of walkTree(path)) {
    if (entry.type !== "file" || EVIDENCE.test(entry.path)) continue;
    const file = join(path, entry.path);
    files.push({ name: entry.path, digest: await digestOfFile(file), path: file });
  }
  if (files.length === 0) throw new BitforbitError("input", `${named} has no artifact in it`);
  return { named, files };
}

export interface Pairing {
  pairs: { given: GivenFile; output: Output }[];
  /** Given, and nothing was built that it could be. */
  strangers: GivenFile[];
  /** Built, and not given: that says nothing against what is given. */
  notGiven: Output[];
}

/** Which output each given file is to be: by its bytes, by its path, by its name, or as the only one left. */
export function paired({ files }: Given, outputs: readonly Output[]): Pairing {
  const left = new Set(outputs);
  const pairs: Pairing["pairs"] = [];
  const waiting = new Set(files);
  const rules: ((file: GivenFile, output: Output) => boolean)[] = [
    (file, output) => file.digest === output.digest && basename(file.name) === basename(output.path),
    (file, output) => file.digest === output.digest,
    (file, output) => file.name === output.path,
    (file, output) => basename(file.name) === basename(output.path),
    () => left.size === 1 && waiting.size === 1,
  ];
  for (const fits of rules) {
    for (const given of Array.from(waiting)) {
      const output = [...left].find((one) => fits(given, one));
      if (output === undefined) continue;
      pairs.push({ given, output });
      left.delete(output);
      waiting.delete(given);
    }
  }
  return { pairs, strangers: [...waiting], notGiven: [...left] };
}

/**
 * Both sides in folders of the same names, below `scratch`: `built` and `given`. What is known by its digest alone
 * is in neither.
 */
export async function laidOut(
  { pairs, strangers }: Pairing,
  outputsFolder: string,
  scratch: string,
): Promise<{ built: string; given: string }> {
  const sides = { built: join(scratch, "against", "built"), given: join(scratch, "against", "given") };
  for (const folder of Object.values(sides)) await mkdir(folder, { recursive: true });
  for (const { given, output } of pairs) {
    if (given.path === undefined) continue;
    await put(join(outputsFolder, output.path), sides.built, output.path);
    await put(given.path, sides.given, output.path);
  }
  for (const { name, path } of strangers) if (path !== undefined) await put(path, sides.given, name);
  return sides;
}

async function put(from: string, folder: string, path: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await copyFile(from, join(folder, path), constants.COPYFILE_FICLONE);
}
