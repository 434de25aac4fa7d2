import { statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type Digest, digestOfFile, isDigest, parseDigest } from "../digest.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { isObject, type Json, parseJson } from "../json.ts";
import type { Store } from "../store/store.ts";
import { smallFile } from "../small-file.ts";
import { namesInNow } from "../tree.ts";
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
    const stats = statSync(path);
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
  if (artifact.path !== undefined && bundles.length === 0) bundles.push(...besideFile(artifact.path));
  const distinct = new Map(bundles.map((bytes) => [Buffer.from(bytes).toString("latin1"), bytes]));
  return [...distinct.values()];
}

/** Bundles in files. */
export async function readBundles(files: readonly string[]): Promise<Uint8Array[]> {
  return files.map((file) => smallFile(file, MAX_BUNDLE_BYTES));
}

/**
 * The bundles beside a file: `FILE.sigstore.json`, as cosign and others call
 * it, or, when it is the only artifact asked about, every `*.sigstore.json`.
 */
export async function bundlesOf({ path }: Artifact, several: boolean): Promise<Uint8Array[]> {
  if (path === undefined) return [];
  for (const suffix of [".sigstore.json", ".sigstore"]) {
    const own = statSync(`${path}${suffix}`, { throwIfNoEntry: false });
    if (own?.isFile() === true) return [smallFile(`${path}${suffix}`, MAX_BUNDLE_BYTES)];
  }
  return several ? [] : besideFile(path);
}

/** The store, if there is one: verifying makes nothing. */
export async function readStore(folder: string): Promise<Store | undefined> {
  if (statSync(join(folder, "oci-layout"), { throwIfNoEntry: false }) === undefined) return undefined;
  return await (await import("../store/store.ts")).openStore(folder);
}

function besideFile(path: string): Uint8Array[] {
  const folder = dirname(path);
  const names = namesInNow(folder)
    .filter((name) => name.endsWith(".sigstore.json"))
    .slice(0, MAX_BESIDE);
  return names.map((name) => smallFile(join(folder, name), MAX_BUNDLE_BYTES));
}

export async function readBundle(path: string): Promise<Uint8Array> {
  return smallFile(path, MAX_BUNDLE_BYTES);
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
