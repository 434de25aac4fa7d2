/** Reads images from a folder: image-spec 1.1, "Image Layout". */
import { createReadStream } from "node:fs";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOf } from "../digest.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { isObject, parseJson } from "../json.ts";
import { type BlobDescriptor, type IndexedManifest, MAX_MANIFEST_BYTES, parseImageDocument } from "./manifest.ts";

export interface Layout {
  /** Of the folder. */
  readonly path: string;
  /** What `index.json` lists. */
  readonly manifests: readonly IndexedManifest[];
  /** A blob in memory, at most `most` bytes; its digest was checked. Throws `input`, `limit`. */
  document(digest: Digest, most: number): Promise<Uint8Array>;
  /** The bytes of a blob; whoever takes them checks the digest. Throws `input` when it is not there. */
  blob(blob: Pick<BlobDescriptor, "digest">): AsyncGenerator<Uint8Array>;
}

/** Opens a layout. Throws `input` when the folder is none, or of a version that we do not know. */
export async function openLayout(path: string): Promise<Layout> {
  const marker = parseJson(await read(join(path, "oci-layout"), 4096, path), join(path, "oci-layout"));
  const version = isObject(marker) ? marker["imageLayoutVersion"] : undefined;
  if (version !== "1.0.0") {
    throw new BitforbitError("input", `${path}: image layout version ${JSON.stringify(version) ?? "missing"}`, {
      hint: "version 1.0.0 is read",
    });
  }
  const where = join(path, "index.json");
  const index = parseImageDocument(await read(where, MAX_MANIFEST_BYTES, path), undefined, where);
  if (index.kind !== "index") throw new BitforbitError("input", `${where} is not an index`);
  const blobPath = (digest: Digest): string => join(path, "blobs", "sha256", hexOf(digest));

  async function document(digest: Digest, most: number): Promise<Uint8Array> {
    const bytes = await read(blobPath(digest), most, path);
    const actual = digestOf(bytes);
    if (actual === digest) return bytes;
    throw new BitforbitError("input", `${blobPath(digest)} holds bytes with digest ${actual}`, {
      hint: "the layout is damaged: make or copy it again",
    });
  }

  async function* blob({ digest }: { digest: Digest }): AsyncGenerator<Uint8Array> {
    const file = await openFile(blobPath(digest), path);
    yield* createReadStream(blobPath(digest), { fd: file, highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>;
  }

  return { path, manifests: index.manifests, document, blob };
}

async function openFile(path: string, layout: string): ReturnType<typeof open> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (error) {
    const code = systemCode(error);
    const absent = code === "ENOENT" || code === "ENOTDIR";
    throw new BitforbitError("input", absent ? `${path} is not there` : `cannot read ${path}: ${code ?? "?"}`, {
      cause: error,
      hint: `is ${layout} the folder of an OCI image layout, with all of its blobs?`,
    });
  }
  throw new BitforbitError("input", `${path} is not a regular file`);
}

async function read(path: string, most: number, layout: string): Promise<Uint8Array> {
  const file = await openFile(path, layout);
  try {
    const { size } = await file.stat();
    if (size > most) throw new BitforbitError("limit", `${path} has ${size} bytes, over ${most}`);
    return new Uint8Array(await file.readFile());
  } finally {
    await file.close();
  }
}
