/** The project's own lockfiles: which there must be, what they say, whether they are out of date. */
import { realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { cargoLockMaterials } from "../format/cargo-lock.ts";
import { goSumMaterials, goSumStale } from "../format/go-sum.ts";
import { materialList } from "../format/material-list.ts";
import { pomMaterials } from "../format/maven-pom.ts";
import { npmLockMaterials, npmLockStale } from "../format/npm-lock.ts";
import { pythonLockHashes, pythonLockMaterials } from "../format/python-lock.ts";
import { requirementsHashes, requirementsMaterials } from "../format/requirements.ts";
import type { Ecosystem, Material } from "../material.ts";
import { byteOrder } from "../order.ts";
import { readProjectFile } from "../project-file.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { walkTree } from "../tree.ts";

const MAX_BYTES = 32 << 20;

type Reader = (text: string, what: string) => Material[];
type Hashes = (text: string, what: string) => Map<string, Set<string>>;

/** A file that says which dependencies there are. */
export interface Lockfile {
  /** Relative to the recipe's `directory`. */
  path: string;
  text: string;
  digest: Digest;
  /** Undefined where the format is not known: such a file is hashed only. */
  reader: Reader | undefined;
  /** Of formats that pin a version by several hashes, of which a file must have one: `algorithm:digits` by purl. */
  hashes?: Hashes;
  /** The only format of which more is compared than its materials. */
  format?: "go.sum";
}

/** Lockfile formats by file name; `make` is the command that writes the file. */
const KNOWN: readonly {
  name: RegExp;
  ecosystem?: Ecosystem;
  make: string;
  reader: Reader;
  hashes?: Hashes;
  format?: "go.sum";
}[] = [
  { name: /^package-lock\.json$/, make: "npm install --package-lock-only", reader: npmLockMaterials },
  { name: /^npm-shrinkwrap\.json$/, make: "npm shrinkwrap", reader: npmLockMaterials },
  { name: /^Cargo\.lock$/, make: "cargo generate-lockfile", reader: cargoLockMaterials },
  { name: /^go\.sum$/, make: "go mod tidy", reader: goSumMaterials, format: "go.sum" },
  { name: /^poetry\.lock$/, make: "poetry lock", reader: pythonLockMaterials, hashes: pythonLockHashes },
  { name: /^uv\.lock$/, make: "uv lock", reader: pythonLockMaterials, hashes: pythonLockHashes },
  { name: /^pylock(?:\.[^.]+)?\.toml$/, make: "pip lock", reader: pythonLockMaterials, hashes: pythonLockHashes },
  { name: /^pom\.xml$/, make: "mvn archetype:generate", reader: pomMaterials },
  {
    name: /\.(?:txt|lock|in)$/,
    ecosystem: "pip",
    make: "pip-compile --generate-hashes",
    reader: (text, what) => buildOnly(what, requirementsMaterials(text, what)),
    hashes: requirementsHashes,
  },
];

/** requirements-build.txt and the like: what the wheel is made with is not in it. */
function buildOnly(name: string, materials: Material[]): Material[] {
  return /build|dev|test/.test(basename(name)) ? materials.map((item) => ({ ...item, runtime: false })) : materials;
}

function formatOf(path: string, ecosystem: Ecosystem | undefined): (typeof KNOWN)[number] | undefined {
  return KNOWN.find(
    (known) => known.name.test(basename(path)) && (known.ecosystem === undefined || known.ecosystem === ecosystem),
  );
}

/**
 * The lockfiles that the recipe names, in byte order; where it names none, the
 * manifests that its fetch goes by. Throws `input` for one that is missing
 * (with the command that makes it), a link, or outside the source.
 */
export async function readLockfiles(recipe: Recipe, stagedFolder: string): Promise<Lockfile[]> {
  const folder = await insideFolder(stagedFolder, recipe.directory);
  const paths = recipe.lockfiles.length > 0 ? recipe.lockfiles : await manifests(recipe, folder);
  const found: Lockfile[] = [];
  for (const path of [...new Set(paths)].sort(byteOrder)) {
    const known = formatOf(path, recipe.ecosystem);
    const home = await insideFolder(stagedFolder, recipe.directory, dirname(path));
    const text = await readProjectFile(home, basename(path), MAX_BYTES);
    if (text === undefined) {
      throw new BitforbitError("input", `the lockfile ${join(recipe.directory, path)} is missing`, {
        hint: known === undefined ? "make it, and commit it" : `${known.make} makes it; commit it with the source`,
      });
    }
    const { reader, hashes, format } = known ?? {};
    found.push({
      path,
      text,
      digest: digestOf(text),
      reader,
      ...(hashes === undefined ? {} : { hashes }),
      ...(format === undefined ? {} : { format }),
    });
  }
  return found;
}

/** A folder of the staged tree with all links resolved. Throws `input` when that is somewhere else. */
async function insideFolder(stagedFolder: string, ...parts: string[]): Promise<string> {
  const root = await realpath(stagedFolder);
  const wanted = join(...parts);
  try {
    const found = await realpath(join(root, wanted));
    if (found === root || found.startsWith(root + sep)) return found;
  } catch (error) {
    if (systemCode(error) !== "ENOENT" && systemCode(error) !== "ENOTDIR") throw error;
    throw new BitforbitError("input", `there is no folder ${wanted} in the source`, { cause: error });
  }
  throw new BitforbitError("input", `${wanted} leads out of the source`);
}

/** What decides about dependencies where there is no lockfile; all pom.xml, since modules have their own. */
async function manifests(recipe: Recipe, folder: string): Promise<string[]> {
  if (recipe.fetch === undefined) return [];
  const found: string[] = [];
  for await (const entry of walkTree(folder)) {
    const wanted =
      recipe.ecosystem === "maven"
        ? basename(entry.path) === "pom.xml"
        : recipe.ecosystem === "pip" && /^(?:pyproject\.toml|setup\.(?:py|cfg))$/.test(entry.path);
    if (wanted && entry.type === "file") found.push(entry.path);
  }
  return found;
}

/** Lockfiles that no longer fit the manifest beside them, each with its reason. */
export async function staleLockfiles(
  recipe: Recipe,
  stagedFolder: string,
  lockfiles: readonly Lockfile[],
): Promise<{ reason: string; hint: string }[]> {
  const stale: { reason: string; hint: string }[] = [];
  for (const { path, text, reader } of lockfiles) {
    const home = await insideFolder(stagedFolder, recipe.directory, dirname(path));
    const known = formatOf(path, recipe.ecosystem);
    const compare = async (name: string, check: (manifest: string) => string[]): Promise<void> => {
      const manifest = await readProjectFile(home, name, MAX_BYTES);
      for (const reason of manifest === undefined ? [] : check(manifest)) {
        stale.push({ reason: `${path} is out of date: ${reason}`, hint: `${known?.make ?? ""} brings it up to date` });
      }
    };
    if (reader === npmLockMaterials) await compare("package.json", (manifest) => npmLockStale(text, manifest, path));
    if (reader === goSumMaterials) await compare("go.mod", (manifest) => goSumStale(manifest, text, path));
  }
  return stale;
}

/**
 * What the lockfiles name, joined with what was found among the fetched files.
 * A lockfile's checksum stands; where it gives none (a Python package with
 * several files, a pom), the fetched file's fills in.
 */
export function lockedMaterials(lockfiles: readonly Lockfile[], fetched: readonly Material[]): Material[] {
  const named = lockfiles.flatMap(({ path, text, reader }) => reader?.(text, path) ?? []);
  const pinned = new Set(named.filter((item) => Object.keys(item.checksums).length > 0).map((item) => item.purl));
  const extra = fetched.map((item) => (pinned.has(item.purl) ? { ...item, checksums: {} } : item));
  // A pom gives no version where a parent decides: the fetched file of the same package stands for it.
  const versioned = new Set(fetched.map((item) => item.name));
  const whole = named.filter((item) => item.version !== undefined || !versioned.has(item.name));
  return materialList([...whole, ...extra], "the lock");
}

/**
 * The same where all that was fetched is recorded: what the lockfiles name and
 * nobody fetched (other platforms, optional parts, modules that are only in the
 * graph) is no material, and what they do not name is one. `unfetched`: purls of
 * the former.
 */
export function recordedMaterials(
  lockfiles: readonly Lockfile[],
  fetched: readonly Material[],
  recorded: readonly Material[],
  unfetched: ReadonlySet<string>,
): Material[] {
  const byPurl = new Map(recorded.map((item) => [item.purl, item]));
  // A wheel that pip built of a source archive was never served: the archive was.
  const found = fetched.filter((item) => !unfetched.has(item.purl ?? "") && !item.purl?.startsWith("pkg:pypi/"));
  const named = lockedMaterials(lockfiles, found).filter(({ purl = "" }) => !unfetched.has(purl) || byPurl.has(purl));
  const known = new Set(named.map((item) => item.purl));
  const joined = named.map(({ dependsOn, ...item }) => {
    const { checksums, size } = byPurl.get(item.purl) ?? { checksums: {} };
    const needs = (dependsOn ?? []).filter((purl) => known.has(purl) || !unfetched.has(purl));
    return {
      ...item,
      checksums: { ...checksums, ...item.checksums },
      ...(size === undefined ? {} : { size }),
      ...(needs.length === 0 ? {} : { dependsOn: needs }),
    };
  });
  return materialList([...joined, ...recorded.filter((item) => !known.has(item.purl))], "the lock");
}
