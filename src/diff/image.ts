/**
 * Container images as inputs: a reference to a registry, a folder that is an
 * OCI image layout (image-spec 1.1), or a tar of such a folder or of `docker
 * save`. Compared are the documents, then the layers (paired by content, then
 * by position), then what all layers amount to.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { openSource, partOf } from "../bytesource.ts";
import { type Digest, digestOf, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type Spooled, spool } from "../format/spool.ts";
import { type TarEntry, tarEntries } from "../format/tar.ts";
import { isObject, type Json, parseJson } from "../json.ts";
import { openLayout } from "../oci/layout.ts";
import {
  type BlobDescriptor,
  type ImageDocument,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseImageDocument,
} from "../oci/manifest.ts";
import { type Platform, platformText, satisfies } from "../oci/platform.ts";
import type { Reference } from "../oci/reference.ts";
import type { ImageInput } from "./image-named.ts";
import { openRegistry, type RegistryOptions } from "../oci/registry.ts";

export interface ImageInputOptions {
  /** Only the images for it are compared. */
  platform?: Platform | undefined;
  /** Folder for layers that are fetched; files there vanish with the process. */
  temporary: string;
  registry?: RegistryOptions;
}

export interface Layer {
  digest: string;
  /** Of the layer uncompressed; undefined where the configuration does not say. */
  diffId: string | undefined;
  /** The step of the build that made it, as the configuration's history tells. */
  step: string | undefined;
  /** Its digest was not checked: its bytes may be others. */
  local: boolean;
  open(): Promise<Spooled>;
}

export interface PlatformImage {
  /** How it is told from others of the same input: its platform, mostly. */
  key: string;
  /** Undefined in archives of docker, where one document lists all images. */
  manifest: Uint8Array | undefined;
  config: Uint8Array;
  layers: Layer[];
}

export interface OpenedImage {
  /** What kind its documents are of: only the same are worth comparing. */
  kind: "OCI image" | "docker archive";
  /** The document above the manifests; undefined where there is none. */
  index: Uint8Array | undefined;
  images: PlatformImage[];
  /** Of a layout's folder: the files that are index, documents and layers. */
  files: ReadonlySet<string>;
  close(): void;
}

/** What gives documents and layers by digest. */
interface Blobs {
  local: boolean;
  document(digest: Digest): Promise<Uint8Array>;
  open(blob: BlobDescriptor): Promise<Spooled>;
}

const MAX_INDEXES = 4;
const MAX_IMAGES = 200;
const MAX_MEMBERS = 10_000;

/** Opens an image; layers are fetched when they are opened. Throws `input`, `limit`, and what registries throw. */
export async function openImage(input: ImageInput, options: ImageInputOptions): Promise<OpenedImage> {
  switch (input.type) {
    case "registry":
      return await fromRegistry(input.reference, options);
    case "layout":
      return await fromLayout(input.path, input.reference, options);
    case "archive":
      return await fromArchive(input.path, options);
  }
}

async function fromRegistry(
  reference: Reference & { type: "registry" },
  options: ImageInputOptions,
): Promise<OpenedImage> {
  const { repository, domain } = reference;
  const registry = openRegistry(domain, options.registry);
  const top = await registry.manifest(repository, reference.digest ?? reference.tag ?? "latest");
  const blobs: Blobs = {
    local: false,
    document: async (digest) => (await registry.manifest(repository, digest)).bytes,
    open: (blob) => fetched(registry.blob(repository, blob), blob, options.temporary),
  };
  const name = `${domain}/${repository}`;
  const document = parseImageDocument(top.bytes, top.mediaType, name);
  const index = document.kind === "index" ? top.bytes : undefined;
  const images = await imagesOf(blobs, { bytes: top.bytes, document, tag: undefined }, name, options.platform);
  return { kind: "OCI image", index, images, files: new Set(), close: () => undefined };
}

/** A blob in memory or in a file that vanishes, its digest checked. */
async function fetched(pieces: AsyncIterable<Uint8Array>, blob: BlobDescriptor, temporary: string): Promise<Spooled> {
  const hasher = createHash("sha256");
  const spooled = await spool(temporary, blob.digest, async (sink) => {
    for await (const piece of pieces) {
      hasher.update(piece);
      sink(new Uint8Array(piece));
    }
  });
  const digest = `sha256:${hasher.digest("hex")}`;
  if (digest === blob.digest) return spooled;
  spooled.close();
  throw new BitforbitError("outside", `${blob.digest} came with digest ${digest}: something changed it on the way`);
}

function blobPath(digest: string): string {
  return `blobs/sha256/${digest.slice("sha256:".length)}`;
}

async function fromLayout(
  path: string,
  reference: (Reference & { type: "layout" }) | undefined,
  options: ImageInputOptions,
): Promise<OpenedImage> {
  const layout = await openLayout(path);
  const files = new Set(["index.json"]);
  const blobs: Blobs = {
    local: true,
    document: (digest) => {
      files.add(blobPath(digest));
      return layout.document(digest, MAX_MANIFEST_BYTES);
    },
    open: async ({ digest }) => {
      files.add(blobPath(digest));
      const source = openSource(join(path, blobPath(digest)), digest);
      return { source, close: () => source.close() };
    },
  };
  const index = readWhole(join(path, "index.json"));
  const images = await listed(blobs, index, path, reference, options);
  for (const { layers } of images) for (const { digest } of layers) files.add(blobPath(digest));
  return { kind: "OCI image", index, images, files, close: () => undefined };
}

/** The images that an index.json lists, or the one that a reference chooses. */
async function listed(
  blobs: Blobs,
  index: Uint8Array,
  name: string,
  reference: (Reference & { type: "layout" }) | undefined,
  options: ImageInputOptions,
): Promise<PlatformImage[]> {
  const document = parseImageDocument(index, undefined, `${name}: index.json`);
  if (document.kind !== "index") throw new BitforbitError("input", `${name}: index.json is no index`);
  const wanted = document.manifests.filter(({ digest, tag }) => {
    if (reference?.digest !== undefined) return digest === reference.digest;
    return reference?.tag === undefined || tag === reference.tag;
  });
  if (wanted.length === 0) throw new BitforbitError("input", `${name} has no such image`);
  const chosen: ImageDocument = { kind: "index", manifests: wanted };
  return await imagesOf(blobs, { bytes: index, document: chosen, tag: undefined }, name, options.platform);
}

function readWhole(path: string): Uint8Array {
  const source = openSource(path);
  try {
    if (source.size > MAX_MANIFEST_BYTES)
      throw new BitforbitError("limit", `${path}: over ${MAX_MANIFEST_BYTES} bytes`);
    return source.read(0, source.size).slice();
  } finally {
    source.close();
  }
}

async function fromArchive(path: string, options: ImageInputOptions): Promise<OpenedImage> {
  const source = openSource(path);
  try {
    const members = new Map<string, TarEntry>();
    for (const entry of tarEntries(source)) {
      if (members.size > MAX_MEMBERS) throw new BitforbitError("limit", `${path}: over ${MAX_MEMBERS} members`);
      members.set(entry.name.replace(/^\.\//, ""), entry);
    }
    const contentOf = (name: string, most: number): Uint8Array => {
      const entry = members.get(name);
      if (entry === undefined) throw new BitforbitError("input", `${path} has no ${name}`);
      if (entry.size > most)
        throw new BitforbitError("limit", `${path}: ${name} has ${entry.size} bytes, over ${most}`);
      return source.read(entry.dataOffset, entry.size).slice();
    };
    const open = (name: string): Spooled => {
      const entry = members.get(name);
      if (entry === undefined) throw new BitforbitError("input", `${path} has no ${name}`);
      return { source: partOf(source, entry.dataOffset, entry.size, name), close: () => undefined };
    };
    const close = (): void => source.close();
    if (!members.has("index.json")) {
      const index = contentOf("manifest.json", MAX_MANIFEST_BYTES);
      const saved = dockerSaved(index, contentOf, open, path, options.platform);
      return { kind: "docker archive", index, images: saved, files: new Set(), close };
    }
    const index = contentOf("index.json", MAX_MANIFEST_BYTES);
    const blobs: Blobs = {
      local: true,
      document: async (digest) => {
        return checked(contentOf(`blobs/sha256/${hexOf(digest)}`, MAX_MANIFEST_BYTES), digest, path);
      },
      open: async ({ digest }) => open(`blobs/sha256/${hexOf(digest)}`),
    };
    const images = await listed(blobs, index, path, undefined, options);
    return { kind: "OCI image", index, images, files: new Set(), close };
  } catch (error) {
    source.close();
    throw error;
  }
}

function checked(bytes: Uint8Array, digest: Digest, path: string): Uint8Array {
  const actual = digestOf(bytes);
  if (actual === digest) return bytes;
  throw new BitforbitError("input", `${path}: ${digest} holds bytes with digest ${actual}`);
}

/** What `docker save` wrote before it wrote layouts: manifest.json lists configurations and plain layers by path. */
function dockerSaved(
  index: Uint8Array,
  contentOf: (name: string, most: number) => Uint8Array,
  open: (name: string) => Spooled,
  path: string,
  platform: Platform | undefined,
): PlatformImage[] {
  const list = parseJson(index, `${path}: manifest.json`);
  const images: PlatformImage[] = [];
  for (const item of Array.isArray(list) ? list.slice(0, MAX_IMAGES) : []) {
    const [name, layers] = isObject(item) ? [item["Config"], item["Layers"]] : [];
    if (typeof name !== "string" || !Array.isArray(layers)) continue;
    const config = contentOf(name, MAX_CONFIG_BYTES);
    const known = detailsOf(config, path);
    if (platform !== undefined && (known.platform === undefined || !satisfies(known.platform, platform))) continue;
    const stored = layers.filter((layer): layer is string => typeof layer === "string");
    images.push({
      key: keyOf(known.platform, images),
      manifest: undefined,
      config,
      layers: stored.map((layer, at) => ({
        digest: known.diffIds[at] ?? layer,
        diffId: known.diffIds[at],
        step: known.steps[at],
        local: true,
        open: async () => open(layer),
      })),
    });
  }
  if (images.length === 0) throw new BitforbitError("input", `${path}: manifest.json lists no such image`);
  return images;
}

interface Details {
  platform: Platform | undefined;
  diffIds: string[];
  steps: (string | undefined)[];
}

/** What a configuration says of its layers. */
function detailsOf(config: Uint8Array, name: string): Details {
  const value = parseJson(config, `the configuration of ${name}`);
  const top = isObject(value) ? value : {};
  const { os, architecture, variant, rootfs, history } = top;
  const known = typeof os === "string" && typeof architecture === "string";
  const ids = isObject(rootfs) ? rootfs["diff_ids"] : undefined;
  const steps = Array.isArray(history) ? history.filter((step) => !isEmpty(step)).map(stepOf) : [];
  return {
    platform: known ? { os, architecture, variant: typeof variant === "string" ? variant : undefined } : undefined,
    diffIds: Array.isArray(ids) ? ids.filter((id): id is string => typeof id === "string") : [],
    steps,
  };
}

function isEmpty(step: Json): boolean {
  return isObject(step) && step["empty_layer"] === true;
}

function stepOf(step: Json): string | undefined {
  const made = isObject(step) ? step["created_by"] : undefined;
  return typeof made === "string" ? made.slice(0, 300) : undefined;
}

function keyOf(platform: Platform | undefined, others: readonly PlatformImage[]): string {
  const key = platform === undefined ? "no platform" : platformText(platform);
  const same = others.filter((other) => other.key === key || other.key.startsWith(`${key} (`)).length;
  return same === 0 ? key : `${key} (${same + 1})`;
}

interface Top {
  bytes: Uint8Array;
  document: ImageDocument;
  tag: string | undefined;
}

/** All images below a document, indexes in indexes included. */
async function imagesOf(
  blobs: Blobs,
  top: Top,
  name: string,
  platform: Platform | undefined,
): Promise<PlatformImage[]> {
  const images: PlatformImage[] = [];
  const queue = [{ ...top, depth: 0, stated: undefined as Platform | undefined }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { bytes, document, depth, stated } = next;
    if (document.kind === "manifest") {
      const image = await imageOf(blobs, bytes, document, stated, images, name, platform);
      if (image !== undefined) images.push(image);
      continue;
    }
    if (depth >= MAX_INDEXES) throw new BitforbitError("limit", `${name}: indexes nested over ${MAX_INDEXES} deep`);
    for (const item of document.manifests) {
      if (queue.length + images.length >= MAX_IMAGES) {
        throw new BitforbitError("limit", `${name}: over ${MAX_IMAGES} images`, { hint: "choose one by --platform" });
      }
      if (platform !== undefined && item.platform !== undefined && !satisfies(item.platform, platform)) continue;
      const inner = await blobs.document(item.digest);
      const parsed = parseImageDocument(inner, item.mediaType, `${name}@${item.digest}`);
      queue.push({ bytes: inner, document: parsed, tag: item.tag, depth: depth + 1, stated: item.platform });
    }
  }
  if (images.length > 0) return images;
  const wanted = platform === undefined ? "" : ` for ${platformText(platform)}`;
  throw new BitforbitError("input", `${name} has no image${wanted}`);
}

async function imageOf(
  blobs: Blobs,
  manifest: Uint8Array,
  document: ImageDocument & { kind: "manifest" },
  stated: Platform | undefined,
  others: readonly PlatformImage[],
  name: string,
  wanted: Platform | undefined,
): Promise<PlatformImage | undefined> {
  if (document.config.size > MAX_CONFIG_BYTES) {
    throw new BitforbitError("limit", `${name}: a configuration of ${document.config.size} bytes`);
  }
  const opened = await blobs.open(document.config);
  let config: Uint8Array;
  try {
    config = checked(opened.source.read(0, opened.source.size).slice(), document.config.digest, name);
  } finally {
    opened.close();
  }
  const known = detailsOf(config, name);
  const platform = stated ?? known.platform;
  if (wanted !== undefined && (platform === undefined || !satisfies(platform, wanted))) return undefined;
  const layers = document.layers.map((layer, at): Layer => ({
    digest: layer.digest,
    diffId: known.diffIds[at],
    step: known.steps[at],
    local: blobs.local,
    open: () => blobs.open(layer),
  }));
  return { key: keyOf(platform, others), manifest, config, layers };
}
