/** Reads a whole store and says what is wrong with it; changes nothing and needs no lock. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOfFile, hexOf } from "../digest.ts";
import { messageOf } from "../errors.ts";
import { namesIn } from "../tree.ts";
import { type Blobs, corrupted, missing } from "./blobs.ts";
import { readIndex } from "./layout.ts";
import {
  annotation,
  ARTIFACT_TYPE,
  BUNDLE_TYPE,
  type Descriptor,
  INDEX_TYPE,
  MANIFEST_TYPE,
  MAX_MANIFEST_BYTES,
  parseIndex,
  parseManifest,
  REF_NAME,
} from "./manifest.ts";

export interface StoreProblem {
  what: "corrupted" | "missing" | "size" | "malformed" | "stray";
  /** Of the blob concerned; absent for index.json and stray files. */
  digest?: Digest;
  message: string;
  remedy: string;
}

export interface StoreReport {
  ok: boolean;
  blobs: number;
  /** Bytes in all blobs. */
  bytes: number;
  artifacts: number;
  referrers: number;
  problems: StoreProblem[];
  /** Sound blobs that nothing mentions: superseded referrers indexes, and what a crash left; harmless. */
  unreferenced: Digest[];
}

export async function checkStore(folder: string, blobs: Blobs): Promise<StoreReport> {
  const check = new Check(folder, blobs);
  await check.fromIndex();
  await check.everyBlob();
  return check.report();
}

class Check {
  readonly #folder: string;
  readonly #blobs: Blobs;
  readonly #problems: StoreProblem[] = [];
  readonly #mentioned = new Set<Digest>();
  readonly #unreferenced: Digest[] = [];
  readonly #artifacts = new Set<Digest>();
  #count = 0;
  #bytes = 0;
  #referrers = 0;

  constructor(folder: string, blobs: Blobs) {
    this.#folder = folder;
    this.#blobs = blobs;
  }

  report(): StoreReport {
    return {
      ok: this.#problems.length === 0,
      blobs: this.#count,
      bytes: this.#bytes,
      artifacts: this.#artifacts.size,
      referrers: this.#referrers,
      problems: this.#problems,
      unreferenced: this.#unreferenced,
    };
  }

  async fromIndex(): Promise<void> {
    try {
      const index = await readIndex(this.#folder);
      for (const item of index.manifests) await this.#document(item);
    } catch (error) {
      this.#problems.push({
        what: "malformed",
        message: messageOf(error),
        remedy: "restore index.json from a copy; the blobs beside it are untouched",
      });
    }
  }

  /** Everything that one entry of an index mentions; an index of referrers is followed one level. */
  async #document(item: Descriptor): Promise<void> {
    const fresh = !this.#mentioned.has(item.digest);
    if (!(await this.#mention(item)) || !fresh) return;
    try {
      if (item.mediaType === INDEX_TYPE) {
        const list = parseIndex(await this.#blobs.get(item.digest), `index ${item.digest}`);
        for (const listed of list.manifests) {
          if (listed.mediaType === MANIFEST_TYPE) await this.#document(listed);
          else await this.#mention(listed);
        }
      } else if (item.mediaType === MANIFEST_TYPE) {
        await this.#manifest(item);
      }
    } catch (error) {
      if (this.#problems.some(({ digest }) => digest === item.digest)) return; // said already, with its remedy
      this.#say("malformed", item.digest, messageOf(error), "restore this blob from a copy, or store it again");
    }
  }

  async #manifest(item: Descriptor): Promise<void> {
    const bytes = await this.#blobs.get(item.digest, MAX_MANIFEST_BYTES);
    const manifest = parseManifest(bytes, `manifest ${item.digest}`);
    for (const part of [manifest.config, ...manifest.layers]) await this.#mention(part);
    if (manifest.subject !== undefined) await this.#mention(manifest.subject);
    if (manifest.artifactType === BUNDLE_TYPE) this.#referrers++;
    if (manifest.artifactType !== ARTIFACT_TYPE) return;
    this.#artifacts.add(item.digest);
    const tag = annotation(item, REF_NAME) ?? "";
    const layer = manifest.layers[0]?.digest;
    if (/^[0-9a-f]{64}$/.test(tag) && layer !== undefined && hexOf(layer) !== tag) {
      const message = `index.json tags manifest ${item.digest} as ${tag}, but its artifact is ${layer}`;
      this.#say("malformed", item.digest, message, "somebody else wrote index.json: restore it from a copy");
    }
  }

  /** A descriptor's blob is there and has the size stated; its digest is checked with all others. */
  async #mention(item: Descriptor): Promise<boolean> {
    this.#mentioned.add(item.digest);
    const size = await this.#blobs.size(item.digest);
    if (size === item.size) return true;
    if (this.#problems.some(({ digest }) => digest === item.digest)) return false;
    if (size === undefined) {
      const { message, hint } = missing(item.digest, this.#blobs.path(item.digest));
      this.#say("missing", item.digest, message, hint ?? "");
    } else {
      const message = `blob ${item.digest} has ${size} bytes, and its descriptor says ${item.size}`;
      this.#say("size", item.digest, message, "store the same artifact or attestation again, which heals it");
    }
    return false;
  }

  async everyBlob(): Promise<void> {
    const folder = join(this.#folder, "blobs", "sha256");
    for (const name of await namesIn(folder)) {
      const path = join(folder, name);
      const stats = await lstat(path);
      if (!/^[0-9a-f]{64}$/.test(name) || !stats.isFile()) {
        this.#problems.push({ what: "stray", message: `${path} is no blob`, remedy: "remove it: it is not ours" });
        continue;
      }
      const digest: Digest = `sha256:${name}`;
      this.#count++;
      this.#bytes += stats.size;
      const actual = await digestOfFile(path);
      if (actual !== digest) {
        const { message, hint } = corrupted(digest, actual, path);
        this.#say("corrupted", digest, message, hint ?? "");
      } else if (!this.#mentioned.has(digest)) {
        this.#unreferenced.push(digest);
      }
    }
  }

  #say(what: StoreProblem["what"], digest: Digest, message: string, remedy: string): void {
    this.#problems.push({ what, digest, message, remedy });
  }
}
