/** The `oci` environment: a root file system made of a container image's layers, pinned by digest. */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openSource } from "../bytesource.ts";
import { type Digest, sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { unzstd } from "../format/zstd.ts";
import { compressionOf } from "../format/magic.ts";
import { spool, type Spooled } from "../format/spool.ts";
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
import { removeTree } from "../tree.ts";
import { type EnvironmentContext, type EnvironmentRoot, warningsOf } from "./context.ts";
import { writeRoot } from "./layers.ts";
import { cachedRoot, keepRoot, knownDigest, type RootCheck, unconfirmedRoot } from "./roots.ts";

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
  /** How a cached root is checked before it is used: `changes` unless told. */
  check?: RootCheck;
}

export interface OciRoot extends EnvironmentRoot {
  /** Variables that the image gives its processes (PATH and the like), from its configuration. */
  env: Readonly<Record<string, string>>;
}

/** Changes when the same layers would give another root: then roots are made anew. */
const ASSEMBLY = 1;

const INFLATION: InflationLimits = { ...INFLATION_LIMITS, maxBytes: 64 * 2 ** 30 };

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
    requested: [spec.image],
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
    warn: warningsOf(context),
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
  const key = sha256Hex(canonicalJson({ type: "oci", assembly: ASSEMBLY, manifest: image.manifest }));
  const say = warningsOf(context);
  const { env } = image.config;
  const known = async (alone: boolean): Promise<EnvironmentRoot | undefined> => {
    const digest = await knownDigest(context.cache, key);
    const how = { check: context.check === "contents" ? "contents" : "changes", alone } as const;
    return digest === undefined ? undefined : await cachedRoot(context.cache, digest, say, how);
  };
  if (context.check === "later" && wanted !== undefined && (await knownDigest(context.cache, key)) === wanted) {
    const anew = async (): Promise<EnvironmentRoot> =>
      await rootOf(image, options, { ...context, check: "changes" }, wanted);
    const there = unconfirmedRoot(context.cache, wanted, say, anew);
    if (there !== undefined) return { ...there, env };
  }
  const root =
    (await known(false)) ??
    (await keepRoot(context.cache, key, say, () => known(true), makeRoot(image, options, context)));
  if (wanted === undefined || root.digest === wanted) return { ...root, env };
  throw new BitforbitError(
    "refused",
    `the root of ${image.manifest} has digest ${root.digest}, and the lock says ${wanted}`,
    {
      hint: "the lock was edited, or made by a bitforbit that assembles otherwise: make it anew with `bitforbit lock`",
    },
  );
}

/** Unpacks the layers into a folder; gives the root in it. */
function makeRoot(image: Image, options: ImageOptions, context: OciContext): (folder: string) => Promise<string> {
  return async (folder) => {
    const say = context.onProgress ?? (() => {});
    const paths = await fetchLayers(image, options);
    const opened: Spooled[] = [];
    try {
      say(`unpacking ${paths.length} layers of ${image.name}`);
      const tree = new LayerTree();
      for (const [at, path] of paths.entries()) {
        context.signal?.throwIfAborted();
        const layer = await openLayer(path, image, at, folder);
        opened.push(layer);
        await tree.apply(layer.source);
      }
      provideMounts(tree, say);
      for (const line of told(tree.notes)) say(line);
      const root = join(folder, "root");
      await writeRoot(tree.root, root);
      return root;
    } finally {
      for (const layer of opened) layer.close();
    }
  };
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
