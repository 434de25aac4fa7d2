import { lstat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { Output } from "../build/outputs.ts";
import { BitforbitError, systemCode } from "../errors.ts";

/** The kinds of files that are written beside the artifacts, as their names end. */
export const EVIDENCE_ENDINGS = [
  "provenance.sigstore.json",
  "sbom.sigstore.json",
  "reproduction.sigstore.json",
  "attestation.sigstore.json",
  "cdx.json",
] as const;

/** A project's name as the start of a file name. */
export function evidenceName(project: string): string {
  return project.replaceAll(/[^A-Za-z0-9._+-]/g, "-");
}

/**
 * File names for outputs, in their order: plain ones when they are distinct,
 * else the paths. Throws `conflict` when one would have evidence's name.
 */
export function publishedNames(outputs: readonly Pick<Output, "path">[], project: string): string[] {
  const evidence = new Set(EVIDENCE_ENDINGS.map((ending) => `${evidenceName(project)}.${ending}`));
  const plain = outputs.map(({ path }) => basename(path));
  const paths = outputs.map(({ path }) => path);
  const inDist = paths.every((path) => path.startsWith("dist/"));
  const names =
    new Set(plain).size === plain.length ? plain : inDist ? paths.map((path) => path.slice("dist/".length)) : paths;
  const taken = names.find((name) => evidence.has(name));
  if (taken !== undefined) {
    throw new BitforbitError("conflict", `the output ${JSON.stringify(taken)} has the name of a file of evidence`, {
      hint: "give the output, or the project in bitforbit.toml, another name",
    });
  }
  return names;
}

/**
 * Makes sure that writing `files` below `output` stays where it seems to go: a
 * hostile project may hold `dist` as a link to somebody's home. A folder that
 * the user named outside the project may be a link; nothing below it may.
 * Throws `refused`, and `conflict` where a folder has a file's name.
 */
export async function requirePlainPlaces(project: string, output: string, files: readonly string[]): Promise<void> {
  const inside = relative(resolve(project), resolve(output));
  const ours = inside !== ".." && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
  const checked = new Set<string>();
  const requireFolders = async (top: string, folder: string): Promise<void> => {
    if (folder === top || dirname(folder) === folder || checked.has(folder)) return;
    await requireFolders(top, dirname(folder));
    checked.add(folder);
    if (await isLink(folder)) {
      throw new BitforbitError("refused", `${folder} is a link: what is written there would land elsewhere`, {
        hint: "remove the link, or name another folder with --output",
      });
    }
  };
  const top = ours ? resolve(project) : resolve(output);
  await requireFolders(top, resolve(output));
  for (const file of files) {
    const path = join(resolve(output), file);
    await requireFolders(top, dirname(path));
    if ((await statsOf(path))?.isDirectory() === true) {
      throw new BitforbitError("conflict", `${path} is a folder, where an output shall be written`, {
        hint: "remove it, or name another folder with --output",
      });
    }
  }
}

const isLink = async (path: string): Promise<boolean> => (await statsOf(path))?.isSymbolicLink() === true;

async function statsOf(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
