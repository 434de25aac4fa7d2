/** One image, wherever it lies: from a reference and a platform to a manifest, a configuration and layers. */
import { resolve } from "node:path";
import { readFile } from "node:fs/promises";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { bodyIn } from "../body-path.ts";
import { bodyState, writeBody } from "./bodies.ts";
import { openLayout } from "./layout.ts";
import {
  type BlobDescriptor,
  type ImageConfig,
  type ImageDocument,
  type IndexedManifest,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseImageConfig,
  parseImageDocument,
} from "./manifest.ts";
import { choosePlatform, type Platform, platformText, satisfies } from "./platform.ts";
import { type Reference, referenceText } from "./reference.ts";
import { openRegistry, type RegistryOptions } from "./registry.ts";

export interface ImageOptions extends RegistryOptions {
  /** Folder of bodies by digest: what is there and whole is not fetched. */
  bodies: string;
  /** What relative paths of layouts are relative to; the working directory by default. */
  folder?: string;
  /** Told of each thing that takes time or surprises, in a line. */
  say?: (line: string) => void;
  /** What was found amiss and mended. */
  warn?: (line: string) => void;
}

export interface Image {
  /** Of the platform's own manifest. */
  manifest: Digest;
  config: ImageConfig;
  /** Lowest first. */
  layers: BlobDescriptor[];
  /** Where layers come from that are not in the cache, and what to call it. */
  source: Pick<Source, "blob">;
  name: string;
}

interface Document {
  bytes: Uint8Array;
  digest: Digest;
  mediaType: string | undefined;
}

/** What the places of images have in common. */
interface Source {
  /** What the reference names. */
  top(): Promise<Document>;
  /** A manifest that an index names. */
  manifest(digest: Digest, mediaType: string): Promise<Document>;
  blob(blob: BlobDescriptor): AsyncGenerator<Uint8Array>;
}

/** An index may list indexes; nobody nests them deeper. */
const MAX_INDEXES = 4;

/**
 * Finds the image of `reference` for `platform`; manifest and configuration
 * are fetched and checked, layers are not yet there. Throws `input` when there
 * is none for the platform, and what registries and layouts throw.
 */
export async function findImage(reference: Reference, platform: Platform, options: ImageOptions): Promise<Image> {
  const source = await sourceOf(reference, options);
  let what = referenceText(reference);
  let document = await source.top();
  for (let indexes = 0; ; indexes++) {
    const parsed = parseImageDocument(document.bytes, document.mediaType, what);
    if (parsed.kind === "manifest") {
      await keep(document, options.bodies);
      return await imageOf(parsed, document.digest, platform, source, what, options);
    }
    if (indexes >= MAX_INDEXES) throw new BitforbitError("limit", `${what}: indexes nested over ${MAX_INDEXES} deep`);
    const chosen = choosePlatform(parsed.manifests, platform, what);
    document = await source.manifest(chosen.digest, chosen.mediaType);
    what = `${referenceText(reference, { digest: false })}@${chosen.digest}`;
  }
}

/** The image of a manifest that a lock names; the manifest comes from `bodies` when it is there. Throws as `findImage`. */
export async function lockedImage(
  reference: Reference,
  manifest: Digest,
  platform: Platform,
  options: ImageOptions,
): Promise<Image> {
  const kept = await keptDocument(manifest, options);
  const what = `${referenceText(reference, { digest: false })}@${manifest}`;
  // Opened only when something is missing: without the network, a cache must be enough.
  let opened: Promise<Source> | undefined;
  const source = (): Promise<Source> => (opened ??= sourceOf({ ...reference, digest: manifest }, options));
  const bytes = kept ?? (await (await source()).top()).bytes;
  const parsed = parseImageDocument(bytes, undefined, what);
  if (parsed.kind === "index") throw new BitforbitError("input", `${what} is an index, and no image's own manifest`);
  if (kept === undefined) await keep({ bytes, digest: manifest }, options.bodies);
  return await imageOf(parsed, manifest, platform, lazily(source), what, options);
}

function lazily(source: () => Promise<Source>): Pick<Source, "blob"> {
  return {
    async *blob(blob) {
      yield* (await source()).blob(blob);
    },
  };
}

async function keep(document: Pick<Document, "bytes" | "digest">, bodies: string): Promise<void> {
  const blob = { digest: document.digest, size: document.bytes.length };
  if ((await bodyState(bodies, blob)) === "whole") return;
  await writeBody(bodies, blob, [document.bytes], document.digest);
}

async function keptDocument(digest: Digest, options: ImageOptions): Promise<Uint8Array | undefined> {
  const path = bodyIn(options.bodies, digest);
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined || bytes.length > MAX_MANIFEST_BYTES) return undefined;
  if (digestOf(bytes) === digest) return new Uint8Array(bytes);
  options.warn?.(`${path} does not hold what its name says: fetching it anew`);
  return undefined;
}

async function imageOf(
  document: ImageDocument & { kind: "manifest" },
  manifest: Digest,
  platform: Platform,
  source: Pick<Source, "blob">,
  what: string,
  options: ImageOptions,
): Promise<Image> {
  if (document.config.size > MAX_CONFIG_BYTES) {
    throw new BitforbitError(
      "limit",
      `${what}: a configuration of ${document.config.size} bytes, over ${MAX_CONFIG_BYTES}`,
    );
  }
  const path = await fetched(document.config, source, `the configuration of ${what}`, options);
  const config = parseImageConfig(new Uint8Array(await readFile(path)), `the configuration of ${what}`);
  if (!satisfies(config.platform, platform)) {
    throw new BitforbitError(
      "input",
      `${what} is for ${platformText(config.platform)}, not ${platformText(platform)}`,
      {
        hint: "name the platform in the recipe, or an image that is there for it",
      },
    );
  }
  if (config.diffIds.length !== document.layers.length) {
    throw new BitforbitError(
      "input",
      `${what} has ${document.layers.length} layers, but digests of ${config.diffIds.length}`,
    );
  }
  return { manifest, config, layers: document.layers, source, name: what };
}

/** Fetches the layers that are not there or not whole; returns their paths, lowest first. Throws as `findImage`. */
export async function fetchLayers(image: Image, options: ImageOptions): Promise<string[]> {
  const paths: string[] = [];
  for (const [at, layer] of image.layers.entries()) {
    paths.push(
      await fetched(layer, image.source, `layer ${at + 1} of ${image.layers.length} of ${image.name}`, options),
    );
  }
  return paths;
}

async function fetched(
  blob: BlobDescriptor,
  source: Pick<Source, "blob">,
  what: string,
  options: ImageOptions,
): Promise<string> {
  const path = bodyIn(options.bodies, blob.digest);
  const state = await bodyState(options.bodies, blob);
  if (state === "whole") return path;
  if (state === "poisoned") options.warn?.(`${path} does not hold what its name says: fetching it anew`);
  options.say?.(`fetching ${what} (${blob.size} bytes)`);
  return await writeBody(options.bodies, blob, source.blob(blob), `${what} (${blob.digest})`);
}

async function sourceOf(reference: Reference, options: ImageOptions): Promise<Source> {
  if (reference.type === "layout") return await layoutSource(reference, options);
  const registry = openRegistry(reference.domain, options);
  const { repository } = reference;
  return {
    top: () => registry.manifest(repository, reference.digest ?? reference.tag ?? "latest"),
    manifest: (digest) => registry.manifest(repository, digest),
    blob: (blob) => registry.blob(repository, blob),
  };
}

async function layoutSource(reference: Reference & { type: "layout" }, options: ImageOptions): Promise<Source> {
  const layout = await openLayout(resolve(options.folder ?? "", reference.path));
  const document = async (digest: Digest, mediaType: string | undefined): Promise<Document> => ({
    bytes: await layout.document(digest, MAX_MANIFEST_BYTES),
    digest,
    mediaType,
  });
  return {
    async top() {
      if (reference.digest !== undefined) return await document(reference.digest, undefined);
      const chosen = taggedManifest(layout.manifests, reference);
      return await document(chosen.digest, chosen.mediaType);
    },
    manifest: document,
    blob: (blob) => layout.blob(blob),
  };
}

function taggedManifest(manifests: readonly IndexedManifest[], reference: Reference): IndexedManifest {
  const { tag } = reference;
  const fitting = tag === undefined ? manifests : manifests.filter((manifest) => manifest.tag === tag);
  const [first] = fitting;
  // A tag that stands twice for the same thing is no doubt.
  if (first !== undefined && fitting.every(({ digest }) => digest === first.digest)) return first;
  const tags = manifests.flatMap((manifest) => (manifest.tag === undefined ? [] : [manifest.tag]));
  throw new BitforbitError(
    "input",
    `${referenceText(reference)} names ${first === undefined ? "no" : "more than one"} image`,
    {
      hint: tags.length === 0 ? "name it by digest" : `its tags are: ${[...new Set(tags)].slice(0, 20).join(", ")}`,
    },
  );
}
