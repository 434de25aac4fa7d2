/**
 * The documents that make an image: image-spec 1.1 "Image Index", "Image
 * Manifest", "Image Configuration", and Docker's "Image Manifest Version 2,
 * Schema 2", which has the same fields under other media types. All come from
 * outside and are believed only once their digest was checked.
 */
import { type Digest, isDigest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../json.ts";
import type { Platform } from "./platform.ts";

export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";

/** What we ask a registry for. */
export const ACCEPTED: readonly string[] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";

/** distribution-spec 1.1, "Pushing Manifests": registries take 4 MiB at least. */
export const MAX_MANIFEST_BYTES: number = 4 << 20;
/** A configuration has a history entry and a digest for each layer. */
export const MAX_CONFIG_BYTES: number = 8 << 20;
const MAX_LAYERS = 500;
const MAX_MANIFESTS = 1000;
/** 1 TiB: no layer is larger, and sums stay exact. */
const MAX_BLOB_BYTES = 2 ** 40;

export interface BlobDescriptor {
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
}

export interface IndexedManifest extends BlobDescriptor {
  platform: Platform | undefined;
  /** org.opencontainers.image.ref.name: the tag, in a layout's index. */
  tag: string | undefined;
}

export type ImageDocument =
  | { kind: "index"; manifests: IndexedManifest[] }
  | { kind: "manifest"; config: BlobDescriptor; layers: BlobDescriptor[] };

/** What of an image's configuration matters to one who unpacks it. */
export interface ImageConfig {
  platform: Platform;
  /** Of the uncompressed layers, lowest first. */
  diffIds: Digest[];
  /** Variables that the image gives its processes. */
  env: Record<string, string>;
  workingDirectory: string | undefined;
}

/**
 * Reads an index or an image manifest. `mediaType`: as the registry or the
 * descriptor says; what the document says of itself must agree. Throws `input`
 * naming `what` and the field, `limit` for too many layers or manifests.
 */
export function parseImageDocument(bytes: Uint8Array, mediaType: string | undefined, what: string): ImageDocument {
  const value = parseJson(bytes, what);
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not an image manifest`);
  if (value["schemaVersion"] === 1) {
    throw new BitforbitError("input", `${what} is a Docker manifest of schema 1, which cannot be verified by digest`, {
      hint: "push the image again with a current client",
    });
  }
  const own = value["mediaType"];
  if (own !== undefined && own !== null && typeof own !== "string") {
    throw new BitforbitError("input", `${what}: the media type is not text`);
  }
  const stated = ACCEPTED.includes(mediaType ?? "") ? mediaType : undefined;
  if (typeof own === "string" && stated !== undefined && own !== stated) {
    // One could be read as an index and the other as a manifest: CVE-2021-41190.
    throw new BitforbitError(
      "input",
      `${what} says it is ${JSON.stringify(own.slice(0, 100))}, but is given as ${stated}`,
    );
  }
  if ("manifests" in value && ("layers" in value || "config" in value)) {
    throw new BitforbitError("input", `${what} is index and manifest at once`);
  }
  const type = own ?? stated ?? ("manifests" in value ? OCI_INDEX : OCI_MANIFEST);
  if (value["schemaVersion"] !== 2) throw new BitforbitError("input", `${what} has no schemaVersion 2`);
  if (type === OCI_INDEX || type === DOCKER_LIST) return indexOf(value, what);
  if (type === OCI_MANIFEST || type === DOCKER_MANIFEST) return manifestOf(value, what);
  throw new BitforbitError("input", `${what} has the media type ${JSON.stringify(type.slice(0, 100))}: no image`);
}

function indexOf(value: JsonObject, what: string): ImageDocument {
  const listed = listOf(value["manifests"], `${what}: manifests`, MAX_MANIFESTS);
  const manifests = listed.map((item, at): IndexedManifest => {
    const where = `${what}: manifests[${at}]`;
    const annotations = isObject(item) ? item["annotations"] : undefined;
    const tag = isObject(annotations) ? annotations["org.opencontainers.image.ref.name"] : undefined;
    return {
      ...descriptorOf(item, where),
      platform: isObject(item) ? platformOf(item["platform"], where) : undefined,
      tag: typeof tag === "string" ? tag : undefined,
    };
  });
  return { kind: "index", manifests };
}

function platformOf(value: Json | undefined, what: string): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw new BitforbitError("input", `${what}: the platform is not an object`);
  const { os, architecture, variant } = value;
  if (typeof os !== "string" || typeof architecture !== "string") {
    throw new BitforbitError("input", `${what}: the platform has no os or architecture`);
  }
  return { os, architecture, variant: typeof variant === "string" && variant !== "" ? variant : undefined };
}

function manifestOf(value: JsonObject, what: string): ImageDocument {
  const config = descriptorOf(value["config"], `${what}: config`);
  if (config.mediaType !== OCI_CONFIG && config.mediaType !== DOCKER_CONFIG) {
    throw new BitforbitError(
      "input",
      `${what} is no container image: its config is ${JSON.stringify(config.mediaType.slice(0, 100))}`,
      {
        hint: "name an image with a root file system, not an artifact",
      },
    );
  }
  const layers = listOf(value["layers"], `${what}: layers`, MAX_LAYERS).map((item, at) =>
    descriptorOf(item, `${what}: layers[${at}]`),
  );
  for (const [at, layer] of layers.entries()) checkLayerType(layer.mediaType, `${what}: layers[${at}]`);
  return { kind: "manifest", config, layers };
}

const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?)$/;

function checkLayerType(mediaType: string, what: string): void {
  if (LAYER.test(mediaType)) return;
  const encrypted = mediaType.endsWith("+encrypted");
  throw new BitforbitError("input", `${what} has the media type ${JSON.stringify(mediaType.slice(0, 100))}`, {
    hint: encrypted ? "encrypted layers cannot be unpacked" : "layers are tar, tar+gzip or tar+zstd",
  });
}

function listOf(value: Json | undefined, what: string, most: number): Json[] {
  if (!Array.isArray(value)) throw new BitforbitError("input", `${what} is not a list`);
  if (value.length > most) throw new BitforbitError("limit", `${what}: ${value.length} of them, over ${most}`);
  return value;
}

function descriptorOf(value: Json | undefined, what: string): BlobDescriptor {
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not a descriptor`);
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== "string") throw new BitforbitError("input", `${what} has no media type`);
  if (typeof digest !== "string" || !isDigest(digest)) {
    throw new BitforbitError("input", `${what} has no sha256 digest: ${JSON.stringify(digest)?.slice(0, 140)}`);
  }
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || size > MAX_BLOB_BYTES) {
    throw new BitforbitError("input", `${what} has no size: ${JSON.stringify(size)?.slice(0, 100)}`);
  }
  return { mediaType, digest, size };
}

/** Reads an image's configuration. Throws `input`, `limit`. */
export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const value = parseJson(bytes, what);
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not an image configuration`);
  const platform = platformOf(value, what);
  if (platform === undefined) throw new BitforbitError("input", `${what} has no platform`);
  const rootfs = value["rootfs"];
  if (!isObject(rootfs) || rootfs["type"] !== "layers") {
    throw new BitforbitError("input", `${what} has no rootfs of type "layers"`);
  }
  const diffIds = listOf(rootfs["diff_ids"] ?? [], `${what}: rootfs.diff_ids`, MAX_LAYERS).map((item, at) => {
    if (typeof item === "string" && isDigest(item)) return item;
    throw new BitforbitError("input", `${what}: rootfs.diff_ids[${at}] is no sha256 digest`);
  });
  const config = isObject(value["config"]) ? value["config"] : {};
  const folder = config["WorkingDir"];
  return {
    platform,
    diffIds,
    env: variablesOf(config["Env"]),
    workingDirectory: typeof folder === "string" && folder !== "" ? folder : undefined,
  };
}

function variablesOf(value: Json | undefined): Record<string, string> {
  const variables: [string, string][] = [];
  for (const item of Array.isArray(value) ? value : []) {
    const equals = typeof item === "string" ? item.indexOf("=") : -1;
    if (typeof item !== "string" || equals < 1 || item.includes("\0")) continue;
    variables.push([item.slice(0, equals), item.slice(equals + 1)]);
  }
  return Object.fromEntries(variables);
}
