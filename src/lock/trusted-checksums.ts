/**
 * Checksums that a Maven project keeps itself (Maven Resolver, "Trusted
 * Checksums"): `.mvn/checksums/checksums[-REPOSITORY].sha256` with lines
 * `digits  path`, or a file of digits for each artifact below `.mvn/checksums`.
 */
import { lstat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { BitforbitError } from "../errors.ts";
import { MAX_MATERIALS } from "../format/material-list.ts";
import { readProjectFile } from "../project-file.ts";
import { walkTree } from "../tree.ts";
import { mavenArtifact } from "./fetched.ts";
import type { Pin } from "./pins.ts";

const FOLDER = ".mvn/checksums";
const DIGITS = { sha1: 40, sha256: 64, sha512: 128 } as const;

/** The pins below a project's folder; [] where it keeps none. Throws `input` naming file and line. */
export async function trustedChecksums(folder: string): Promise<Pin[]> {
  const root = join(folder, FOLDER);
  // A link could lead out of the project.
  for (const part of [".mvn", FOLDER]) {
    if (!((await lstat(join(folder, part)).catch(() => undefined))?.isDirectory() ?? false)) return [];
  }
  const pins: Pin[] = [];
  for await (const { path, type } of walkTree(root)) {
    const [, algorithm] = /\.(sha1|sha256|sha512)$/.exec(path) ?? [];
    if (type !== "file" || algorithm === undefined) continue;
    const text = (await readProjectFile(join(root, dirname(path)), basename(path))) ?? "";
    const place = `${FOLDER}/${path}`;
    pins.push(...(path.includes("/") ? oneArtifact(text, place, path, algorithm) : summary(text, place, algorithm)));
    if (pins.length > MAX_MATERIALS)
      throw new BitforbitError("limit", `${FOLDER}: more than ${MAX_MATERIALS} checksums`);
  }
  return pins;
}

function summary(text: string, place: string, algorithm: string): Pin[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return [];
    const [digits = "", path = ""] = line.trim().split(/\s+\*?/);
    return pinsAt([path], digitsIn(digits, algorithm, `${place}:${index + 1}`), place, algorithm);
  });
}

/** The first folder may be the repository's name. */
function oneArtifact(text: string, place: string, path: string, algorithm: string): Pin[] {
  const artifact = path.slice(0, -(algorithm.length + 1));
  const digits = digitsIn(text.trim().split(/\s/)[0] ?? "", algorithm, place);
  return pinsAt([artifact, artifact.slice(artifact.indexOf("/") + 1)], digits, place, algorithm);
}

function digitsIn(text: string, algorithm: string, place: string): string {
  if (text.length === DIGITS[algorithm as keyof typeof DIGITS] && /^[0-9a-fA-F]+$/.test(text))
    return text.toLowerCase();
  throw new BitforbitError("input", `${place}: ${JSON.stringify(text.slice(0, 80))} is not a ${algorithm}`);
}

function pinsAt(paths: readonly string[], digits: string, where: string, algorithm: string): Pin[] {
  return paths.flatMap((path) => {
    const found = mavenArtifact(path);
    return found === undefined
      ? []
      : { purl: found.purl, where, name: found.name, alternatives: [{ [algorithm]: digits }] };
  });
}
