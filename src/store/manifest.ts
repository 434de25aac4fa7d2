/**
 * The OCI documents of the store, pure: image-spec 1.1 "Image Manifest",
 * "Image Index" and "Content Descriptors"; distribution-spec 1.1 "Referrers Tag
 * Schema".
 *
 * An artifact is a manifest with an empty config and one layer, the file:
 *
 *     {"annotations":{…},"artifactType":"application/vnd.bitforbit.artifact.v1",
 *      "config":{empty},"layers":[{the file}],"mediaType":…,"schemaVersion":2}
 *
 * An attestation is a manifest whose `subject` is an artifact's manifest and
 * whose one layer is the Sigstore bundle. Every document is canonical JSON, so
 * equal facts are equal bytes.
 */
import { utf8 } from "../bytes.ts";
import { type Digest, digestOf, hexOf, isDigest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { canonicalJson, isObject, type JsonObject, parseJson } from "../json.ts";
import { byteOrder } from "../order.ts";

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";
export const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";
export const ARTIFACT_TYPE = "application/vnd.bitforbit.artifact.v1";
export const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
export const OCTETS_TYPE = "application/octet-stream";

export const REF_NAME = "org.opencontainers.image.ref.name";
export const TITLE = "org.opencontainers.image.title";
export const CREATED = "org.opencontainers.image.created";
const BUNDLE_CONTENT = "dev.sigstore.bundle.content";
export const PREDICATE_TYPE = "dev.sigstore.bundle.predicateType";

/** Registries take manifests of 4 MiB at least; larger ones cannot be pushed everywhere, so none is made or read. */
export const MAX_MANIFEST_BYTES: number = 4 << 20;

/** image-spec, "Guidance for an Empty Descriptor". */
export const EMPTY_BYTES: Uint8Array = utf8("{}");
const EMPTY: JsonObject = { mediaType: EMPTY_TYPE, digest: digestOf(EMPTY_BYTES), size: 2, data: "e30=" };

/** A content descriptor; fields that other tools put there stay as they are. */
export interface Descriptor extends JsonObject {
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
}

export interface Manifest {
  artifactType: string | undefined;
  config: Descriptor;
  layers: Descriptor[];
  subject: Descriptor | undefined;
  annotations: Readonly<Record<string, string>>;
}

/** An image index; `rest` are its other members, kept when it is written again. */
export interface Index {
  manifests: Descriptor[];
  rest: JsonObject;
}

/** The manifest of one artifact file. The title stands at the layer only: oras takes a manifest with a title for a second file of that name. */
export function artifactManifest(
  layer: { digest: Digest; size: number },
  name: string,
  annotations: Readonly<Record<string, string>>,
): Uint8Array {
  return canonicalJson({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: ARTIFACT_TYPE,
    config: EMPTY,
    layers: [{ mediaType: OCTETS_TYPE, digest: layer.digest, size: layer.size, annotations: { [TITLE]: name } }],
    annotations: { ...annotations },
  });
}

/** The manifest of one Sigstore bundle that speaks of `subject`. `created` is RFC 3339, as handed in, or absent. */
export function referrerManifest(
  subject: Descriptor,
  bundle: { digest: Digest; size: number },
  predicateType: string,
  created: string | undefined,
): Uint8Array {
  return canonicalJson({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: BUNDLE_TYPE,
    config: EMPTY,
    layers: [{ mediaType: BUNDLE_TYPE, digest: bundle.digest, size: bundle.size }],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations: {
      [BUNDLE_CONTENT]: "dsse-envelope",
      [PREDICATE_TYPE]: predicateType,
      ...(created === undefined ? {} : { [CREATED]: created }),
    },
  });
}

/** How an index lists the manifest whose bytes are `bytes`: with its type and annotations, as referrers lists want. */
export function descriptorOf(bytes: Uint8Array): Descriptor {
  const manifest = parseManifest(bytes, "manifest");
  return {
    mediaType: MANIFEST_TYPE,
    digest: digestOf(bytes),
    size: bytes.length,
    ...(manifest.artifactType === undefined ? {} : { artifactType: manifest.artifactType }),
    annotations: { ...manifest.annotations },
  };
}

/** The tag under which an index of the referrers of `manifest` is found: distribution-spec, "Referrers Tag Schema". */
export function referrersTag(manifest: Digest): string {
  return `sha256-${hexOf(manifest)}`;
}

export function annotation(descriptor: Descriptor, key: string): string | undefined {
  const annotations = descriptor["annotations"];
  const value = isObject(annotations) ? annotations[key] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** A copy of `descriptor` that carries `tag`. */
export function tagged(descriptor: Descriptor, tag: string): Descriptor {
  const annotations = isObject(descriptor["annotations"]) ? descriptor["annotations"] : {};
  return { ...descriptor, annotations: { ...annotations, [REF_NAME]: tag } };
}

export const emptyIndex: Index = { manifests: [], rest: { schemaVersion: 2, mediaType: INDEX_TYPE } };

/** The bytes of an index: sorted by tag, then by digest, so that the same set gives the same bytes. */
export function indexBytes(index: Index): Uint8Array {
  const manifests = [...index.manifests].sort(
    (a, b) => byteOrder(annotation(a, REF_NAME) ?? "", annotation(b, REF_NAME) ?? "") || byteOrder(a.digest, b.digest),
  );
  return canonicalJson({ ...index.rest, manifests });
}

/** Reads an image index that may come from outside. Throws `input` naming `what` and the field. */
export function parseIndex(bytes: Uint8Array, what: string): Index {
  const value = parseJson(bytes, what);
  if (!isObject(value) || value["schemaVersion"] !== 2 || !Array.isArray(value["manifests"])) {
    throw new BitforbitError("input", `${what} is not an OCI image index`);
  }
  const { manifests, ...rest } = value;
  return { rest, manifests: descriptors(manifests, `${what}: manifests`) };
}

/** Reads an image manifest that may come from outside. Throws `input` naming `what` and the field. */
export function parseManifest(bytes: Uint8Array, what: string): Manifest {
  const value = parseJson(bytes, what);
  if (!isObject(value) || value["schemaVersion"] !== 2 || !isObject(value["config"])) {
    throw new BitforbitError("input", `${what} is not an OCI image manifest`);
  }
  if (value["mediaType"] !== undefined && value["mediaType"] !== MANIFEST_TYPE) {
    throw new BitforbitError("input", `${what} has the media type ${JSON.stringify(value["mediaType"])}`);
  }
  const artifactType = value["artifactType"];
  return {
    artifactType: typeof artifactType === "string" ? artifactType : undefined,
    config: descriptor(value["config"], `${what}: config`),
    layers: descriptors(value["layers"], `${what}: layers`),
    subject: value["subject"] === undefined ? undefined : descriptor(value["subject"], `${what}: subject`),
    annotations: stringsIn(value["annotations"], what),
  };
}

function descriptors(value: unknown, what: string): Descriptor[] {
  if (!Array.isArray(value)) throw new BitforbitError("input", `${what} is not a list`);
  return value.map((item, at) => descriptor(item, `${what}[${at}]`));
}

function descriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not a descriptor`);
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== "string") throw new BitforbitError("input", `${what} has no media type`);
  if (typeof digest !== "string" || !isDigest(digest)) {
    throw new BitforbitError("input", `${what} has no sha256 digest: ${JSON.stringify(digest)?.slice(0, 100)}`);
  }
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw new BitforbitError("input", `${what} has no size: ${JSON.stringify(size)?.slice(0, 100)}`);
  }
  return { ...value, mediaType, digest, size };
}

function stringsIn(value: unknown, what: string): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new BitforbitError("input", `${what}: annotations are not an object`);
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== "string") throw new BitforbitError("input", `${what}: annotation ${key} is not text`);
  }
  return value as Record<string, string>;
}
