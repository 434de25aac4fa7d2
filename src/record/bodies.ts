/** Bodies of answers, by digest: `<cache>/bodies/sha256/<first two digits>/<digits>`. */
import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { bodyPath } from "../body-path.ts";
import { type Digest, digestOfFile } from "../digest.ts";
import { spaceError, syncFolder } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import type { Checksums } from "../material.ts";

/** A body that is being written; `checksums` has sha1, sha256 and sha512 once it is kept. */
export interface BodyWriter {
  /** Path of what was written so far. */
  readonly path: string;
  readonly size: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Gives it its name. It survives a power cut once `BodyStore.settle` has returned. */
  keep(): Promise<{ digest: Digest; size: number; checksums: Checksums }>;
  discard(): Promise<void>;
}

const ALGORITHMS = ["sha1", "sha256", "sha512"] as const;

export class BodyStore {
  readonly cache: string;
  readonly #touched = new Set<string>();
  readonly #syncing = new Set<Promise<void>>();
  #failure: unknown;

  constructor(cache: string) {
    this.cache = cache;
  }

  async writer(): Promise<BodyWriter> {
    const folder = join(this.cache, "bodies", "sha256");
    await mkdir(folder, { recursive: true });
    const path = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
    return new Writer(path, file, async (digest) => await this.#name(path, file, digest));
  }

  /** Waits until all that was kept is durable. Throws `outside` when the disk is full. */
  async settle(): Promise<void> {
    while (this.#syncing.size > 0) await Promise.all(this.#syncing);
    if (this.#failure !== undefined) throw this.#failure;
    for (const folder of [...this.#touched].sort()) await syncFolder(folder);
    this.#touched.clear();
  }

  /** A name once given stays with its file, unless that file is no longer what its name says. */
  async #name(path: string, file: FileHandle, digest: Digest): Promise<void> {
    const place = bodyPath(this.cache, digest);
    const known = await digestOfFile(place).catch(() => undefined);
    if (known === digest) {
      await file.close();
      return await rm(path, { force: true });
    }
    await mkdir(dirname(place), { recursive: true });
    await rename(path, place);
    this.#touched.add(dirname(place)).add(dirname(dirname(place)));
    // Clients need not wait for the disk: `settle` does.
    const syncing = file
      .sync()
      .catch((error: unknown) => void (this.#failure ??= spaceError(error, `write ${place}`)))
      .finally(() => file.close());
    this.#syncing.add(syncing);
    void syncing.finally(() => this.#syncing.delete(syncing));
  }
}

class Writer implements BodyWriter {
  readonly path: string;
  size = 0;
  readonly #file: FileHandle;
  readonly #name: (digest: Digest) => Promise<void>;
  readonly #hashers: Record<(typeof ALGORITHMS)[number], Hash>;

  constructor(path: string, file: FileHandle, name: (digest: Digest) => Promise<void>) {
    this.path = path;
    this.#file = file;
    this.#name = name;
    this.#hashers = { sha1: createHash("sha1"), sha256: createHash("sha256"), sha512: createHash("sha512") };
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (const algorithm of ALGORITHMS) this.#hashers[algorithm].update(chunk);
    this.size += chunk.length;
    try {
      for (let at = 0; at < chunk.length;) at += (await this.#file.write(chunk, at)).bytesWritten;
    } catch (error) {
      throw spaceError(error, `write ${this.path}`);
    }
  }

  async keep(): Promise<{ digest: Digest; size: number; checksums: Checksums }> {
    const { sha1, sha256, sha512 } = this.#hashers;
    const checksums = { sha1: sha1.digest("hex"), sha256: sha256.digest("hex"), sha512: sha512.digest("hex") };
    const digest: Digest = `sha256:${checksums.sha256}`;
    await this.#name(digest);
    return { digest, size: this.size, checksums };
  }

  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}
