/**
 * The store: an OCI image layout (image-spec 1.1, "OCI Image Layout") that any
 * OCI tool can read.
 *
 * In `index.json`, an artifact's manifest is tagged with the 64 hexadecimal
 * digits that `sha256sum` prints for the artifact, so it is found by its bytes;
 * a person's own tags are further entries for the same manifest. The referrers
 * of a manifest are in an index tagged `sha256-<hex of the manifest>`
 * (distribution-spec, "Referrers Tag Schema").
 *
 * Order of a write: blobs, manifest, referrers index, `index.json`, each
 * durable before the next. A crash leaves blobs that nobody mentions, never a
 * mention without its blob. Nothing is ever replaced: a tag that exists stays.
 */
import { join } from "node:path";
import { type Clock, rfc3339, systemClock } from "../clock.ts";
import { type Digest, hexOf, parseDigest } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy } from "../entropy.ts";
import { BitforbitError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import type { BlobRef } from "../material.ts";
import { sortedBy } from "../order.ts";
import { type Blobs, openBlobs, sweepLeftovers } from "./blobs.ts";
import { checkStore, type StoreReport } from "./fsck.ts";
import { ensureLayout, readIndex } from "./layout.ts";
import {
  annotation,
  ARTIFACT_TYPE,
  artifactManifest,
  BUNDLE_TYPE,
  CREATED,
  type Descriptor,
  descriptorOf,
  EMPTY_BYTES,
  emptyIndex,
  type Index,
  INDEX_TYPE,
  indexBytes,
  type Manifest,
  MAX_MANIFEST_BYTES,
  parseIndex,
  parseManifest,
  PREDICATE_TYPE,
  REF_NAME,
  referrerManifest,
  referrersTag,
  tagged,
  TITLE,
} from "./manifest.ts";

export interface StoredArtifact {
  /** Digest of the artifact's bytes, as `sha256sum` prints it. */
  digest: Digest;
  /** Bytes. */
  size: number;
  /** File name under which it was stored first. */
  name: string;
  manifest: Digest;
  annotations: Readonly<Record<string, string>>;
  /** Tags that people gave it, in byte order. */
  tags: string[];
}

export interface Referrer {
  /** Digest of the referrer's manifest. */
  digest: Digest;
  predicateType: string;
  /** Milliseconds since 1970, when it was handed in. */
  created: number | undefined;
  /** The Sigstore bundle's bytes, their digest checked. */
  bundle(): Promise<Uint8Array>;
}

export interface NewArtifact {
  /** The artifact: its bytes, or the path of a regular file, which is streamed. */
  content: { bytes: Uint8Array } | { path: string };
  /** File name that tools give it when they pull: relative, without `..`. Not unique. */
  name: string;
  /** Unique for ever: naming other bytes by a tag that exists is a `conflict`. */
  tag?: string;
  annotations?: Readonly<Record<string, string>>;
}

export interface Store {
  readonly folder: string;
  /** Stores bytes or, streamed, the regular file at a path. Idempotent. */
  putBlob(content: Uint8Array | string, mediaType: string): Promise<BlobRef>;
  /** The bytes, whose digest is checked at every read. Throws `input` when missing or corrupted, `limit` beyond `maxBytes` (1 GiB unless given). */
  getBlob(digest: Digest, maxBytes?: number): Promise<Uint8Array>;
  /** The bytes in pieces, for large blobs; throws `input` after the last piece when they are corrupted: use none before the end. */
  streamBlob(digest: Digest): AsyncGenerator<Uint8Array>;
  /** Where the blob is or would be; whoever reads it there checks the digest himself. */
  blobPath(digest: Digest): string;
  has(digest: Digest): Promise<boolean>;
  /** Stores an artifact and its manifest. The same bytes again are the same artifact: its first name and annotations stay. */
  putArtifact(artifact: NewArtifact): Promise<StoredArtifact>;
  /** Stores a Sigstore bundle as a referrer of an artifact; returns the referrer manifest's digest. Idempotent. `created` in milliseconds. */
  attach(artifact: Digest, bundle: Uint8Array, predicateType: string, options?: { created?: number }): Promise<Digest>;
  /** Attestations of an artifact, in order of their manifests' digests; none when the artifact is not stored. */
  referrers(artifact: Digest): Promise<Referrer[]>;
  /** The artifact with these bytes, or undefined. */
  artifact(digest: Digest): Promise<StoredArtifact | undefined>;
  /** Digest of the artifact with this tag, or undefined. */
  resolve(tag: string): Promise<Digest | undefined>;
  /** Every artifact, in order of digests. */
  artifacts(): Promise<StoredArtifact[]>;
  /** Reads everything and says what is wrong. Changes nothing. */
  fsck(): Promise<StoreReport>;
}

/**
 * Opens the store in `folder`, making it when there is none, and removes what
 * processes that died more than an hour ago left half-written. Throws `input`
 * when the folder holds another thing, or another version of the layout.
 */
export async function openStore(folder: string, options: { clock?: Clock; entropy?: Entropy } = {}): Promise<Store> {
  const blobs = await openBlobs(folder, options.entropy ?? systemEntropy);
  await ensureLayout(folder);
  await sweepLeftovers(folder, options.clock ?? systemClock);
  return new LayoutStore(folder, blobs);
}

class LayoutStore implements Store {
  readonly folder: string;
  readonly #blobs: Blobs;

  constructor(folder: string, blobs: Blobs) {
    this.folder = folder;
    this.#blobs = blobs;
  }

  async putBlob(content: Uint8Array | string, mediaType: string): Promise<BlobRef> {
    return { ...(await this.#blobs.put(content)), mediaType };
  }

  async getBlob(digest: Digest, maxBytes?: number): Promise<Uint8Array> {
    return await this.#blobs.get(parseDigest(digest), maxBytes);
  }

  streamBlob(digest: Digest): AsyncGenerator<Uint8Array> {
    return this.#blobs.stream(parseDigest(digest));
  }

  blobPath(digest: Digest): string {
    return this.#blobs.path(parseDigest(digest));
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.#blobs.size(parseDigest(digest))) !== undefined;
  }

  async putArtifact(artifact: NewArtifact): Promise<StoredArtifact> {
    checkName(artifact.name);
    if (artifact.annotations?.[TITLE] !== undefined) {
      throw new BitforbitError("input", `the annotation ${TITLE} is the artifact's name`, { hint: "give it as name" });
    }
    if (artifact.tag !== undefined) checkTag(artifact.tag);
    const layer = await this.#blobs.put("path" in artifact.content ? artifact.content.path : artifact.content.bytes);
    const manifest = artifactManifest(layer, artifact.name, artifact.annotations ?? {});
    await this.#blobs.put(EMPTY_BYTES); // heals the one blob that everything shares
    await this.#update(async (index) => {
      const byBytes = hexOf(layer.digest);
      const present = withTag(index, byBytes);
      if (present === undefined) await this.#blobs.put(manifest);
      const descriptor = present ?? tagged(descriptorOf(manifest), byBytes);
      if (present === undefined) index.manifests.push(descriptor);
      return (artifact.tag === undefined ? false : addTag(index, descriptor, artifact.tag)) || present === undefined;
    });
    const stored = await this.artifact(layer.digest);
    if (stored === undefined) throw new BitforbitError("outside", `${layer.digest} vanished from ${this.folder}`);
    return stored;
  }

  async attach(
    artifact: Digest,
    bundle: Uint8Array,
    predicateType: string,
    options: { created?: number } = {},
  ): Promise<Digest> {
    const subject = withTag(await this.#index(), hexOf(parseDigest(artifact)));
    if (subject === undefined) {
      throw new BitforbitError("input", `no artifact ${artifact} in the store`, {
        hint: "store the artifact first: an attestation is attached to what is there",
      });
    }
    const layer = await this.#blobs.put(bundle);
    const created = options.created === undefined ? undefined : rfc3339(options.created);
    const manifest = referrerManifest(subject, layer, predicateType, created);
    let attached = descriptorOf(manifest);
    await this.#update(async (index) => {
      const tag = referrersTag(subject.digest);
      const list = await this.#referrersIndex(index, tag);
      const same = await this.#sameReferrer(list, layer.digest, predicateType);
      if (same !== undefined) {
        attached = same;
        return false;
      }
      await this.#blobs.put(manifest);
      const bytes = indexBytes({ ...list, manifests: [...list.manifests, attached] });
      const blob = await this.#blobs.put(bytes);
      index.manifests = index.manifests.filter((item) => annotation(item, REF_NAME) !== tag);
      index.manifests.push(tagged({ mediaType: INDEX_TYPE, ...blob }, tag));
      return true;
    });
    return attached.digest;
  }

  async referrers(artifact: Digest): Promise<Referrer[]> {
    const index = await this.#index();
    const subject = withTag(index, hexOf(parseDigest(artifact)));
    if (subject === undefined) return [];
    const list = await this.#referrersIndex(index, referrersTag(subject.digest));
    return list.manifests
      .filter((item) => item["artifactType"] === BUNDLE_TYPE)
      .map((item) => ({
        digest: item.digest,
        predicateType: annotation(item, PREDICATE_TYPE) ?? "",
        created: timeOf(annotation(item, CREATED)),
        bundle: async () => await this.#blobs.get((await this.#layerOf(item.digest, subject.digest)).digest),
      }));
  }

  async artifact(digest: Digest): Promise<StoredArtifact | undefined> {
    const index = await this.#index();
    const descriptor = withTag(index, hexOf(parseDigest(digest)));
    return descriptor === undefined ? undefined : await this.#stored(index, descriptor);
  }

  async resolve(tag: string): Promise<Digest | undefined> {
    const descriptor = withTag(await this.#index(), tag);
    if (descriptor?.["artifactType"] !== ARTIFACT_TYPE) return undefined;
    return (await this.#layerOf(descriptor.digest)).digest;
  }

  async artifacts(): Promise<StoredArtifact[]> {
    const index = await this.#index();
    const stored: StoredArtifact[] = [];
    for (const descriptor of index.manifests.filter(isByBytes)) stored.push(await this.#stored(index, descriptor));
    return sortedBy(stored, ({ digest }) => digest);
  }

  async fsck(): Promise<StoreReport> {
    return await checkStore(this.folder, this.#blobs);
  }

  async #index(): Promise<Index> {
    return await readIndex(this.folder);
  }

  /** Changes `index.json` while no other process does; written only when `change` says that it changed something. */
  async #update(change: (index: Index) => Promise<boolean>): Promise<void> {
    await exclusively(join(this.folder, ".lock"), async () => {
      const index = await this.#index();
      if (await change(index)) await writeDurable(join(this.folder, "index.json"), indexBytes(index));
    });
  }

  async #manifest(digest: Digest): Promise<Manifest> {
    return parseManifest(await this.#blobs.get(digest, MAX_MANIFEST_BYTES), `manifest ${digest}`);
  }

  /** The one layer of a manifest of ours; a referrer must name the subject under which it was found. */
  async #layerOf(digest: Digest, subject?: Digest): Promise<Descriptor> {
    const manifest = await this.#manifest(digest);
    const [layer, ...others] = manifest.layers;
    if (layer === undefined || others.length > 0) {
      throw new BitforbitError("input", `manifest ${digest} has ${manifest.layers.length} layers, not one`);
    }
    if (manifest.subject?.digest !== subject) {
      throw new BitforbitError(
        "input",
        `manifest ${digest} speaks of ${manifest.subject?.digest ?? "nothing"}, not of ${subject ?? "nothing"}`,
      );
    }
    return layer;
  }

  async #stored(index: Index, descriptor: Descriptor): Promise<StoredArtifact> {
    const layer = await this.#layerOf(descriptor.digest);
    const byBytes = annotation(descriptor, REF_NAME);
    if (hexOf(layer.digest) !== byBytes) {
      throw new BitforbitError(
        "input",
        `index.json tags manifest ${descriptor.digest} as ${byBytes}, which it is not`,
        {
          hint: "somebody else wrote into the store: `bitforbit store check` lists what is wrong",
        },
      );
    }
    const { annotations } = await this.#manifest(descriptor.digest);
    const tags = index.manifests
      .filter((item) => item.digest === descriptor.digest)
      .map((item) => annotation(item, REF_NAME))
      .filter((tag) => tag !== undefined && tag !== byBytes);
    return {
      digest: layer.digest,
      size: layer.size,
      name: annotation(layer, TITLE) ?? "",
      manifest: descriptor.digest,
      annotations,
      tags: sortedBy(tags as string[], (tag) => tag),
    };
  }

  async #referrersIndex(index: Index, tag: string): Promise<Index> {
    const descriptor = withTag(index, tag);
    if (descriptor === undefined) return emptyIndex;
    return parseIndex(await this.#blobs.get(descriptor.digest), `referrers index ${descriptor.digest}`);
  }

  async #sameReferrer(list: Index, bundle: Digest, predicateType: string): Promise<Descriptor | undefined> {
    for (const item of list.manifests) {
      if (item["artifactType"] !== BUNDLE_TYPE || annotation(item, PREDICATE_TYPE) !== predicateType) continue;
      const { layers } = await this.#manifest(item.digest);
      if (layers[0]?.digest === bundle) return item;
    }
    return undefined;
  }
}

function withTag(index: Index, tag: string): Descriptor | undefined {
  return index.manifests.find((item) => annotation(item, REF_NAME) === tag);
}

function isByBytes(descriptor: Descriptor): boolean {
  return descriptor["artifactType"] === ARTIFACT_TYPE && /^[0-9a-f]{64}$/.test(annotation(descriptor, REF_NAME) ?? "");
}

/** Gives a manifest one more tag; true when it is new. Throws `conflict` when the tag names another manifest. */
function addTag(index: Index, descriptor: Descriptor, tag: string): boolean {
  const present = withTag(index, tag);
  if (present === undefined) {
    index.manifests.push(tagged(descriptor, tag));
    return true;
  }
  if (present.digest === descriptor.digest) return false;
  throw new BitforbitError("conflict", `the tag ${tag} names ${present.digest} already, not ${descriptor.digest}`, {
    hint: "a tag never moves: choose another, such as the version with a build number",
  });
}

/** distribution-spec, "Pulling manifests": the form of a tag; forms that the store uses itself are kept free. */
function checkTag(tag: string): void {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(tag)) {
    throw new BitforbitError("input", `not a tag: ${JSON.stringify(tag.slice(0, 150))}`, {
      hint: "letters, digits, '_', '.' and '-', at most 128, not starting with '.' or '-'",
    });
  }
  if (/^(?:sha256-)?[0-9a-f]{64}$/.test(tag)) {
    throw new BitforbitError("input", `the tag ${tag} has the form of a digest, which the store gives itself`, {
      hint: "choose a version or the name of a release",
    });
  }
}

/** Tools write a pulled layer to the path in its title: it must stay where it is put. */
function checkName(name: string): void {
  const hostile = name.split("/").some((part) => part === "" || part === "." || part === "..");
  if (hostile || name.length > 4096 || !name.isWellFormed() || /[\u0000-\u001f\u007f\\]/.test(name)) {
    throw new BitforbitError("input", `not a name for an artifact: ${JSON.stringify(name.slice(0, 200))}`, {
      hint: "a relative path such as dist/hello-1.0.tar.gz, without '..', '\\' or control characters",
    });
  }
}

function timeOf(text: string | undefined): number | undefined {
  const at = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
