import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Digest, digestOfFile, isDigest, parseDigest } from "../digest.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { isObject, type Json, parseJson } from "../json.ts";
import { openStore, type Store } from "../store/store.ts";
import { namesIn } from "../tree.ts";
import type { Home } from "./home.ts";

export interface Artifact {
  digest: Digest;
  name: string;
  /** The file, when it was a file that was asked about. */
  path: string | undefined;
}

const MAX_BUNDLE_BYTES = 32 << 20;
const MAX_BESIDE = 64;

/** What a person named: a digest, or a file, which is read to its last byte. */
export async function resolveArtifact(named: string): Promise<Artifact> {
  if (isDigest(named)) return { digest: named, name: named, path: undefined };
  if (named.startsWith("sha256:")) return { digest: parseDigest(named), name: named, path: undefined };
  const path = resolve(named);
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) throw new BitforbitError("input", `${named} is a folder; name a file or a digest`);
    if (!stats.isFile()) throw new BitforbitError("input", `${named} is not a regular file`);
    return { digest: await digestOfFile(path), name: basename(path), path };
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${named}: ${code}`, { cause: error });
  }
}

/** The bundles for an artifact: those handed in, those in the store, and `*.sigstore.json` beside the file. */
export async function gatherBundles(
  home: Home,
  artifact: Artifact,
  given: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const bundles = [...given];
  const store = await readStore(home.store);
  for (const referrer of (await store?.referrers(artifact.digest)) ?? []) bundles.push(await referrer.bundle());
  if (artifact.path !== undefined && bundles.length === 0) bundles.push(...(await besideFile(artifact.path)));
  const distinct = new Map(bundles.map((bytes) => [Buffer.from(bytes).toString("latin1"), bytes]));
  return [...distinct.values()];
}

/** Bundles in files. */
export async function readBundles(files: readonly string[]): Promise<Uint8Array[]> {
  const bundles: Uint8Array[] = [];
  for (const file of files) bundles.push(await readBundle(file));
  return bundles;
}

/**
 * The bundles beside a file: `FILE.sigstore.json`, as cosign and others call
 * it, or, when it is the only artifact asked about, every `*.sigstore.json`.
 */
export async function bundlesOf({ path }: Artifact, several: boolean): Promise<Uint8Array[]> {
  if (path === undefined) return [];
  for (const suffix of [".sigstore.json", ".sigstore"]) {
    const own = await stat(`${path}${suffix}`).catch(() => undefined);
    if (own?.isFile() === true) return [await readBundle(`${path}${suffix}`)];
  }
  return several ? [] : await besideFile(path);
}

/** The store, if there is one: verifying makes nothing. */
export async function readStore(folder: string): Promise<Store | undefined> {
  try {
    await stat(join(folder, "oci-layout"));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  return await openStore(folder);
}

async function besideFile(path: string): Promise<Uint8Array[]> {
  const folder = dirname(path);
  const names = (await namesIn(folder)).filter((name) => name.endsWith(".sigstore.json")).slice(0, MAX_BESIDE);
  return await Promise.all(names.map(async (name) => await readBundle(join(folder, name))));
}

export async function readBundle(path: string): Promise<Uint8Array> {
  try {
    const stats = await stat(path);
    // A pipe or a terminal would keep us waiting for ever.
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    const { size } = stats;
    if (size > MAX_BUNDLE_BYTES) throw new BitforbitError("limit", `${path} is larger than ${MAX_BUNDLE_BYTES} bytes`);
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}

const at = (value: Json | undefined, key: string): Json | undefined => (isObject(value) ? value[key] : undefined);

/** The origin that a bundle's checkpoint claims; to be trusted only as far as the log's key signs it. */
export function claimedOrigin(bundle: Uint8Array): string | undefined {
  const material = at(parseJson(bundle, "the bundle"), "verificationMaterial");
  const entries = at(material, "tlogEntries");
  const proof = at(Array.isArray(entries) ? entries[0] : undefined, "inclusionProof");
  const envelope = at(at(proof, "checkpoint"), "envelope");
  return typeof envelope === "string" ? envelope.split("\n")[0] : undefined;
}
