/** What fetched files say of themselves, where lockfiles do not: Maven repositories and folders of wheels. */
import { lstat } from "node:fs/promises";
import { basename, join } from "node:path";
import { digestOfFile, hexOf } from "../digest.ts";
import { materialList } from "../format/material-list.ts";
import { mavenPurl, mavenTreeMaterials } from "../format/maven-pom.ts";
import { pythonName, pythonPurl } from "../format/requirements.ts";
import type { Material } from "../material.ts";
import { readProjectFile } from "../project-file.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { walkTree } from "../tree.ts";

/** The materials in a folder that a recipe's fetch filled; [] for ecosystems whose lockfiles say it all. */
export async function materialsOfFolder(recipe: Recipe, folder: string): Promise<Material[]> {
  if (recipe.ecosystem === "maven") {
    const repository = join(folder, "m2");
    const found = (await isFolder(repository)) ? await mavenRepository(repository) : [];
    const tree = await readProjectFile(folder, "maven-tree.txt");
    return tree === undefined ? found : withTree(found, mavenTreeMaterials(tree, "maven-tree.txt"));
  }
  if (recipe.ecosystem === "pip") return await wheelsIn(folder);
  return [];
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/** What the tree names is the product's; everything else in the repository is of Maven and its plug-ins. */
function withTree(found: readonly Material[], tree: readonly Material[]): Material[] {
  const named = new Set(tree.map((item) => item.purl));
  const rest = found.map((item) => {
    if (!named.has(item.purl)) return item;
    const { runtime: _, ...file } = item;
    return file;
  });
  const byPurl = new Map(rest.map((item) => [item.purl, item]));
  const joined = tree.map((item) => ({ ...item, checksums: byPurl.get(item.purl)?.checksums ?? {} }));
  return materialList([...joined, ...rest.filter((item) => !named.has(item.purl))], "the Maven repository");
}

interface MavenArtifact {
  purl: string;
  /** `group:artifact`. */
  name: string;
  version: string;
  type: string;
  /** The folder that it is in. */
  home: string;
}

/**
 * What a path in a Maven repository is of (Maven documentation, "Repository
 * Layout": `group/artifact/version/artifact-version[-classifier].type`);
 * undefined for what is no artifact.
 */
export function mavenArtifact(path: string): MavenArtifact | undefined {
  const parts = path.split("/");
  const [file = "", version = "", artifact = ""] = [parts.pop(), parts.pop(), parts.pop()];
  if (parts.length === 0 || !file.startsWith(`${artifact}-`)) return undefined;
  const [, type] = /\.(jar|war|ear|aar|zip|tar\.gz|pom)$/.exec(file) ?? [];
  if (type === undefined) return undefined;
  const group = parts.join(".");
  const stem = file.slice(artifact.length + 1, -(type.length + 1));
  // A snapshot's file has a time stamp in the place of SNAPSHOT.
  const stamped =
    version.replace(/SNAPSHOT$/, "") + (/^\d{8}\.\d{6}-\d+/.exec(stem.slice(version.length - 8))?.[0] ?? "SNAPSHOT");
  const start = [version, stamped].find((text) => stem === text || stem.startsWith(`${text}-`));
  if (start === undefined) return undefined;
  return {
    purl: mavenPurl(group, artifact, version, type, stem.slice(start.length + 1) || undefined),
    name: `${group}:${artifact}`,
    version,
    type,
    home: `${parts.join("/")}/${artifact}/${version}`,
  };
}

/**
 * The artifacts in a local Maven repository with the SHA-256 of each. A pom counts only where it is all there is (a parent, a
 * BOM): beside a jar it describes that. `runtime` is false: that a file is in
 * the repository says only that the build read it. Links are not followed.
 */
export async function mavenRepository(folder: string): Promise<Material[]> {
  const found: Material[] = [];
  const poms = new Map<string, Material>();
  const withFiles = new Set<string>();
  for await (const entry of walkTree(folder)) {
    const artifact = entry.type === "file" ? mavenArtifact(entry.path) : undefined;
    if (artifact === undefined) continue;
    const { purl, name, version, home, type } = artifact;
    const material: Material = {
      kind: "dependency",
      purl,
      name,
      version,
      checksums: { sha256: hexOf(await digestOfFile(join(folder, entry.path))) },
      runtime: false,
    };
    if (type === "pom") poms.set(home, material);
    else {
      withFiles.add(home);
      found.push(material);
    }
  }
  for (const [home, material] of poms) if (!withFiles.has(home)) found.push(material);
  return materialList(found, "the Maven repository");
}

/**
 * Wheels anywhere in a folder, by their file names (PyPA "Binary distribution
 * format", File name convention), with the SHA-256 of each. Several wheels of
 * one version are several materials, told apart by `file_name`.
 */
export async function wheelsIn(folder: string): Promise<Material[]> {
  const found: { file: string; material: Material }[] = [];
  for await (const entry of walkTree(folder)) {
    const file = basename(entry.path);
    const [, name, version] =
      /^([A-Za-z0-9][A-Za-z0-9._]*)-([A-Za-z0-9][A-Za-z0-9.!+_]*)(?:-\d\w*)?(?:-[^-]+){3}\.whl$/.exec(file) ?? [];
    if (entry.type !== "file" || name === undefined || version === undefined) continue;
    const sha256 = hexOf(await digestOfFile(join(folder, entry.path)));
    const purl = pythonPurl(name, version);
    found.push({
      file,
      material: { kind: "dependency", purl, name: pythonName(name), version, checksums: { sha256 }, runtime: false },
    });
  }
  const counts = Map.groupBy(found, ({ material }) => material.purl);
  return materialList(
    found.map(({ file, material }) => {
      const alone = new Set(counts.get(material.purl)?.map((item) => item.material.checksums.sha256)).size === 1;
      return alone ? material : { ...material, purl: pythonPurl(material.name, material.version, { file_name: file }) };
    }),
    "the fetched wheels",
  );
}
