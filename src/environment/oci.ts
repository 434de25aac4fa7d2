/** The `oci` environment: a root file system made of a container image's layers, pinned by digest. */
import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { chmod, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { showable } from "../bytes.ts";
import { type ByteSource, openSource } from "../bytesource.ts";
import { type Digest, sha256Hex } from "../digest.ts";
import { syncFolder } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { compressionOf, spool, type Spooled, unzstd } from "../format/archive.ts";
import { gunzip } from "../format/gzip.ts";
import { INFLATION_LIMITS, type InflationLimits, type Sink } from "../format/inflation.ts";
import { unxz } from "../format/xz.ts";
import { canonicalJson } from "../json.ts";
import type { OciEnvironment } from "../lock/environment.ts";
import { sweepTemporaries } from "../oci/bodies.ts";
import { fetchLayers, findImage, type Image, type ImageOptions, lockedImage } from "../oci/image.ts";
import { LayerTree, type LayerNotes } from "../oci/layers.ts";
import { machinePlatform, parsePlatform, platformText } from "../oci/platform.ts";
import { parseReference, referenceText } from "../oci/reference.ts";
import { type RootEntry, rootEntries, RootHasher, rootLine } from "../root-digest.ts";
import { removeTree } from "../tree.ts";
import type { EnvironmentContext, EnvironmentRoot } from "./context.ts";
import { writeRoot } from "./layers.ts";

/** What the recipe says of an image. */
export interface OciSpec {
  image: string;
  platform: string | undefined;
}

/** Beside what every environment needs, how registries are spoken to. */
export interface OciContext extends EnvironmentContext {
  registry?: Pick<ImageOptions, "credentials" | "plainHttp" | "pause" | "attempts" | "idleMilliseconds">;
  /** What a layout's relative path is relative to: the project; the working directory by default. */
  folder?: string;
}

export interface OciRoot extends EnvironmentRoot {
  /** Variables that the image gives its processes (PATH and the like), from its configuration. */
  env: Readonly<Record<string, string>>;
}

/** Changes when the same layers would give another root: then roots are made anew. */
const ASSEMBLY = 1;

const INFLATION: InflationLimits = { ...INFLATION_LIMITS, maxBytes: 64 * 2 ** 30 };

/** A root may take long to fetch, and another process waits for it. */
const WAIT_MILLISECONDS = 60 * 60 * 1000;

/** Where a sandbox mounts folders of its own, and files; what an image lacks of them is made, empty. */
export const MOUNT_FOLDERS: readonly string[] = [
  "proc",
  "sys",
  "dev",
  "tmp",
  "run",
  "build",
  "deps",
  "home",
  "etc",
  "usr",
  "var",
  "var/tmp",
];
export const MOUNT_FILES: readonly string[] = [
  "etc/passwd",
  "etc/group",
  "etc/hostname",
  "etc/hosts",
  "etc/resolv.conf",
];

/**
 * Finds the image that the recipe names, fetches it and unpacks it. Throws
 * `input` for a reference, platform or image that is none, `outside` for what
 * registries do, `refused` and `limit` for layers that cannot be trusted.
 */
export async function resolveOci(
  spec: OciSpec,
  context: OciContext,
): Promise<{ locked: OciEnvironment; root: OciRoot }> {
  const reference = parseReference(spec.image);
  const platform = spec.platform === undefined ? machinePlatform() : parsePlatform(spec.platform);
  const options = imageOptions(context);
  await prepare(context);
  const image = await findImage(reference, platform, options);
  const root = await rootOf(image, options, context, undefined);
  const locked: OciEnvironment = {
    type: "oci",
    pinned: true,
    image: referenceText(reference, { digest: false }),
    platform: platformText(platform),
    manifest: image.manifest,
    layers: image.layers.map((layer) => layer.digest),
    root: root.digest,
  };
  return { locked, root };
}

/**
 * The root that a lock names: from the cache, every file of it checked, or made
 * anew from layers that are fetched as far as they are missing. Throws as
 * `resolveOci`, and `refused` when image and lock contradict each other.
 */
export async function openOci(locked: OciEnvironment, context: OciContext): Promise<OciRoot> {
  const reference = parseReference(locked.image);
  const options = imageOptions(context);
  await prepare(context);
  const image = await lockedImage(reference, locked.manifest, parsePlatform(locked.platform), options);
  const layers = image.layers.map((layer) => layer.digest);
  const odd =
    layers.length !== locked.layers.length ? layers.length : layers.findIndex((one, at) => one !== locked.layers[at]);
  if (odd !== -1) {
    throw new BitforbitError("refused", `the lock's layers are not those of ${locked.image}@${locked.manifest}`, {
      hint: "the lock was edited: make it anew with `bitforbit lock`",
    });
  }
  return await rootOf(image, options, context, locked.root);
}

function imageOptions(context: OciContext): ImageOptions {
  return {
    ...context.registry,
    bodies: join(context.cache, "bodies"),
    ...(context.folder === undefined ? {} : { folder: context.folder }),
    ...(context.signal === undefined ? {} : { signal: context.signal }),
    ...(context.onProgress === undefined ? {} : { say: context.onProgress }),
  };
}

async function prepare(context: EnvironmentContext): Promise<void> {
  const roots = join(context.cache, "roots");
  await mkdir(roots, { recursive: true });
  await sweepTemporaries(roots, removeTree);
  await sweepTemporaries(join(context.cache, "bodies"), removeTree);
}

/** The root of an image, made once for the same manifest. Of two processes at once, one makes it and the other waits. */
async function rootOf(
  image: Image,
  options: ImageOptions,
  context: OciContext,
  wanted: Digest | undefined,
): Promise<OciRoot> {
  const roots = join(context.cache, "roots");
  const place = join(roots, sha256Hex(canonicalJson({ type: "oci", assembly: ASSEMBLY, manifest: image.manifest })));
  const say = context.onProgress ?? (() => {});
  const { env } = image.config;
  return await exclusively(
    `${place}.lock`,
    async () => {
      const kept = await checkedRoot(place, wanted, say);
      if (kept !== undefined) return { folder: join(place, "root"), digest: kept, env };
      const digest = await makeRoot(place, image, options, context);
      if (wanted !== undefined && digest !== wanted) {
        throw new BitforbitError(
          "refused",
          `the root of ${image.manifest} has digest ${digest}, and the lock says ${wanted}`,
          {
            hint: "the lock was edited, or made by a bitforbit that assembles otherwise: make it anew with `bitforbit lock`",
          },
        );
      }
      return { folder: join(place, "root"), digest, env };
    },
    WAIT_MILLISECONDS,
  );
}

/** The digest of a kept root when every entry is as it was written; otherwise it is removed. */
async function checkedRoot(
  place: string,
  wanted: Digest | undefined,
  say: (line: string) => void,
): Promise<Digest | undefined> {
  let list: ReturnType<typeof openSource>;
  try {
    list = openSource(join(place, "entries"));
  } catch {
    await removeTree(place);
    return undefined;
  }
  let odd: string | undefined;
  const hasher = new RootHasher();
  try {
    odd = await firstChange(join(place, "root"), list, hasher);
  } catch (error) {
    if (
      !(error instanceof BitforbitError) &&
      !["ENOENT", "ENOTDIR", "ENOTEMPTY", "EACCES"].includes(systemCode(error) ?? "")
    ) {
      throw error;
    }
    odd = error instanceof BitforbitError ? error.message : "something is gone";
  } finally {
    list.close();
  }
  const digest = hasher.digest();
  if (odd === undefined && (wanted === undefined || wanted === digest)) return digest;
  if (odd === undefined) odd = "its digest is not the lock's";
  say(`the root in ${place} was changed (${odd}): making it anew`);
  await removeTree(place);
  return undefined;
}

async function firstChange(root: string, list: ByteSource, hasher: RootHasher): Promise<string | undefined> {
  let at = 0;
  for await (const entry of rootEntries(root)) {
    hasher.add(entry);
    const line = Buffer.from(listLine(entry), "latin1");
    if (at + line.length > list.size || Buffer.compare(list.read(at, line.length), line) !== 0) {
      return showable(Buffer.from(entry.path, "latin1"));
    }
    at += line.length;
  }
  return at === list.size ? undefined : "something is gone";
}

/** The root's own list also holds times, which the digest does not count. */
function listLine(entry: RootEntry): string {
  return `${entry.mtime} ${rootLine(entry)}`;
}

/** Assembles beside its place, and renames: what is at its place is whole. */
async function makeRoot(place: string, image: Image, options: ImageOptions, context: OciContext): Promise<Digest> {
  const say = context.onProgress ?? (() => {});
  const paths = await fetchLayers(image, options);
  const roots = join(context.cache, "roots");
  const temporary = join(roots, `.tmp-${uniqueName(systemEntropy)}`);
  await mkdir(temporary, { mode: 0o700 });
  const opened: Spooled[] = [];
  try {
    say(`unpacking ${paths.length} layers of ${image.name}`);
    const tree = new LayerTree();
    for (const [at, path] of paths.entries()) {
      context.signal?.throwIfAborted();
      const layer = await openLayer(path, image, at, temporary);
      opened.push(layer);
      await tree.apply(layer.source);
    }
    provideMounts(tree, say);
    for (const line of told(tree.notes)) say(line);
    const digest = await writeWithList(tree, temporary);
    await chmod(temporary, 0o755);
    await rename(temporary, place);
    await syncFolder(roots);
    return digest;
  } finally {
    for (const layer of opened) layer.close();
    await removeTree(temporary);
  }
}

async function writeWithList(tree: LayerTree, folder: string): Promise<Digest> {
  const list = openSync(join(folder, "entries"), "wx", 0o644);
  let lines: string[] = [];
  const flush = (): void => {
    const bytes = Buffer.from(lines.join(""), "latin1");
    for (let at = 0; at < bytes.length;) at += writeSync(list, bytes, at);
    lines = [];
  };
  try {
    const { digest } = await writeRoot(tree.root, join(folder, "root"), (entry) => {
      if (lines.push(listLine(entry)) >= 1000) flush();
    });
    flush();
    return digest;
  } finally {
    closeSync(list);
  }
}

/** A layer's uncompressed tar, whose digest was checked against the image's configuration. Throws `input`, `limit`. */
async function openLayer(path: string, image: Image, at: number, temporary: string): Promise<Spooled> {
  const name = `layer ${at + 1} (${image.layers[at]?.digest ?? "?"})`;
  const diffId = image.config.diffIds[at];
  const file = openSource(path, name);
  const compression = compressionOf(file.read(0, Math.min(8, file.size)));
  if (compression === undefined) {
    checkDiffId(image.layers[at]?.digest, diffId, name);
    return { source: file, close: () => file.close() };
  }
  try {
    const hasher = createHash("sha256");
    const layer = await spool(
      temporary,
      name,
      async (sink) => {
        const hashed: Sink = (chunk) => {
          hasher.update(chunk);
          sink(chunk);
        };
        if (compression === "gzip") await gunzip(file, hashed, INFLATION);
        else if (compression === "zstd") await unzstd(file, hashed, INFLATION);
        else await unxz(file, hashed, INFLATION);
      },
      1 << 20,
    );
    try {
      checkDiffId(`sha256:${hasher.digest("hex")}`, diffId, name);
    } catch (error) {
      layer.close();
      throw error;
    }
    return layer;
  } finally {
    file.close();
  }
}

function checkDiffId(actual: Digest | undefined, stated: Digest | undefined, name: string): void {
  if (actual !== undefined && actual === stated) return;
  throw new BitforbitError(
    "refused",
    `${name} unpacks to ${actual ?? "nothing"}, and the image's configuration says ${stated ?? "nothing"}`,
    {
      hint: "the image contradicts itself: do not use it",
    },
  );
}

function provideMounts(tree: LayerTree, say: (line: string) => void): void {
  for (const path of MOUNT_FOLDERS) {
    if (!tree.provide(path, "folder")) say(`/${path} of the image is no folder`);
  }
  for (const path of MOUNT_FILES) tree.provide(path, "file");
}

function list(examples: readonly string[], count: number): string {
  return examples.slice(0, 5).join(", ") + (count > 5 ? ", …" : "");
}

/** What of the layers is not in the root, for people. */
function told(notes: LayerNotes): string[] {
  return [
    notes.specialFiles > 0
      ? `left out: ${notes.specialFiles} devices and FIFOs (${list(notes.specialExamples, notes.specialFiles)})`
      : "",
    notes.setIds > 0
      ? `set-id bits dropped from ${notes.setIds} files (${list(notes.setIdExamples, notes.setIds)})`
      : "",
    notes.attributes > 0 ? `extended attributes of ${notes.attributes} members ignored` : "",
  ].filter((line) => line !== "");
}
