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
import { stat } from "node:fs/promises";
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

export interface NewAttestation {
  artifact: Digest;
  /** A Sigstore bundle. */
  bundle: Uint8Array;
  predicateType: string;
  /** Milliseconds since 1970. */
  created?: number;
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
  /** Stores many as `attach` does, in one change: after a crash all of them are there, or none. */
  attachAll(attestations: readonly NewAttestation[]): Promise<Digest[]>;
  /**
   * Takes these bundles away from every artifact, and deletes them: first the
   * mentions, then the bytes. Says nothing of those that are gone already.
   * Whether they may go is asked before: flow/prune.ts.
   */
  dropBundles(bundles: readonly Digest[]): Promise<void>;
  /** Digests of everything that is stored, mentioned or not. */
  blobs(): Promise<Digest[]>;
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
  #known: (Snapshot & { stamp: string }) | undefined;

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
    const [attached] = await this.attachAll([{ artifact, bundle, predicateType, ...options }]);
    if (attached === undefined) throw new BitforbitError("outside", `nothing was attached to ${artifact}`);
    return attached;
  }

  async attachAll(attestations: readonly NewAttestation[]): Promise<Digest[]> {
    const { tags } = await this.#snapshot();
    const made: { tag: string; layer: Digest; predicateType: string; manifest: Uint8Array }[] = [];
    for (const { artifact, bundle, predicateType, created } of attestations) {
      const subject = tags.get(hexOf(parseDigest(artifact)));
      if (subject === undefined) {
        throw new BitforbitError("input", `no artifact ${artifact} in the store`, {
          hint: "store the artifact first: an attestation is attached to what is there",
        });
      }
      const layer = await this.#blobs.put(bundle);
      const at = created === undefined ? undefined : rfc3339(created);
      const manifest = referrerManifest(subject, layer, predicateType, at);
      made.push({ tag: referrersTag(subject.digest), layer: layer.digest, predicateType, manifest });
    }
    const attached: Digest[] = [];
    await this.#update(async (index) => {
      const present = tagsOf(index);
      const lists = new Map<string, Index>();
      const changed = new Set<string>();
      for (const { tag, layer, predicateType, manifest } of made) {
        const list = lists.get(tag) ?? (await this.#referrersIndex(present, tag));
        const same = await this.#sameReferrer(list, layer, predicateType);
        const descriptor = same ?? descriptorOf(manifest);
        attached.push(descriptor.digest);
        lists.set(tag, same === undefined ? { ...list, manifests: [...list.manifests, descriptor] } : list);
        if (same !== undefined) continue;
        await this.#blobs.put(manifest);
        changed.add(tag);
      }
      index.manifests = index.manifests.filter((item) => !changed.has(annotation(item, REF_NAME) ?? ""));
      for (const tag of changed) {
        const blob = await this.#blobs.put(indexBytes(lists.get(tag) ?? emptyIndex));
        index.manifests.push(tagged({ mediaType: INDEX_TYPE, ...blob }, tag));
      }
      return changed.size > 0;
    });
    return attached;
  }

  async dropBundles(bundles: readonly Digest[]): Promise<void> {
    const going = new Set(bundles);
    const unmentioned = new Set<Digest>(bundles);
    await this.#update(async (index) => {
      const kept: Descriptor[] = [];
      for (const item of index.manifests) {
        const tag = annotation(item, REF_NAME) ?? "";
        const list = /^sha256-[0-9a-f]{64}$/.test(tag) ? await this.#referrersIndex(tagsOf(index), tag) : emptyIndex;
        const staying: Descriptor[] = [];
        for (const referrer of list.manifests) {
          const layers = referrer["artifactType"] === BUNDLE_TYPE ? (await this.#manifest(referrer.digest)).layers : [];
          if (layers.some(({ digest }) => going.has(digest))) unmentioned.add(referrer.digest);
          else staying.push(referrer);
        }
        if (staying.length === list.manifests.length) {
          kept.push(item);
          continue;
        }
        unmentioned.add(item.digest);
        if (staying.length === 0) continue;
        const blob = await this.#blobs.put(indexBytes({ ...list, manifests: staying }));
        kept.push(tagged({ mediaType: INDEX_TYPE, ...blob }, tag));
      }
      const changed = kept.length !== index.manifests.length || kept.some((item, at) => item !== index.manifests[at]);
      for (const { digest } of kept) unmentioned.delete(digest);
      index.manifests = kept;
      return changed;
    });
    await this.#blobs.remove([...unmentioned]);
  }

  async blobs(): Promise<Digest[]> {
    return await this.#blobs.all();
  }

  async referrers(artifact: Digest): Promise<Referrer[]> {
    const { tags } = await this.#snapshot();
    const subject = tags.get(hexOf(parseDigest(artifact)));
    if (subject === undefined) return [];
    const list = await this.#referrersIndex(tags, referrersTag(subject.digest));
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
    const snapshot = await this.#snapshot();
    const descriptor = snapshot.tags.get(hexOf(parseDigest(digest)));
    return descriptor === undefined ? undefined : await this.#stored(snapshot, descriptor);
  }

  async resolve(tag: string): Promise<Digest | undefined> {
    const descriptor = (await this.#snapshot()).tags.get(tag);
    if (descriptor?.["artifactType"] !== ARTIFACT_TYPE) return undefined;
    return (await this.#layerOf(descriptor.digest)).digest;
  }

  async artifacts(): Promise<StoredArtifact[]> {
    const snapshot = await this.#snapshot();
    const stored: StoredArtifact[] = [];
    for (const descriptor of snapshot.byBytes) stored.push(await this.#stored(snapshot, descriptor));
    return sortedBy(stored, ({ digest }) => digest);
  }

  async fsck(): Promise<StoreReport> {
    return await checkStore(this.folder, this.#blobs);
  }

  /** `index.json`, read again only when it is another file: a store of many artifacts is asked about each. */
  async #snapshot(): Promise<Snapshot> {
    // Before it is read: what is replaced in between is read, and read again the next time.
    const stamp = await stampOf(join(this.folder, "index.json"));
    if (stamp === undefined || this.#known?.stamp !== stamp) {
      this.#known = { stamp: stamp ?? "", ...snapshotOf(await readIndex(this.folder)) };
    }
    return this.#known;
  }

  /** Changes `index.json` while no other process does; written only when `change` says that it changed something. */
  async #update(change: (index: Index) => Promise<boolean>): Promise<void> {
    await exclusively(join(this.folder, ".lock"), async () => {
      const index = await readIndex(this.folder);
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

  async #stored(snapshot: Snapshot, descriptor: Descriptor): Promise<StoredArtifact> {
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
    const tags = (snapshot.names.get(descriptor.digest) ?? []).filter((tag) => tag !== byBytes);
    return {
      digest: layer.digest,
      size: layer.size,
      name: annotation(layer, TITLE) ?? "",
      manifest: descriptor.digest,
      annotations,
      tags: sortedBy(tags, (tag) => tag),
    };
  }

  async #referrersIndex(tags: Snapshot["tags"], tag: string): Promise<Index> {
    const descriptor = tags.get(tag);
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

/** `index.json` by what is asked of it. */
interface Snapshot {
  /** The first with each tag. */
  tags: ReadonlyMap<string, Descriptor>;
  /** All tags of a manifest. */
  names: ReadonlyMap<Digest, string[]>;
  /** Artifacts, under the digest of their bytes. */
  byBytes: readonly Descriptor[];
}

function snapshotOf(index: Index): Snapshot {
  const names = new Map<Digest, string[]>();
  for (const item of index.manifests) {
    const tag = annotation(item, REF_NAME);
    if (tag !== undefined) names.set(item.digest, [...(names.get(item.digest) ?? []), tag]);
  }
  return { tags: tagsOf(index), names, byBytes: index.manifests.filter(isByBytes) };
}

function tagsOf(index: Index): Map<string, Descriptor> {
  const tags = new Map<string, Descriptor>();
  for (const item of index.manifests) {
    const tag = annotation(item, REF_NAME);
    if (tag !== undefined && !tags.has(tag)) tags.set(tag, item);
  }
  return tags;
}

/** What changes whenever a file is written or replaced; undefined when there is none. */
async function stampOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(" ");
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
