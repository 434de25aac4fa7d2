/** Images for tests, made of our own tar writer: not loaded by anything but tests. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../bytes.ts";
import { type Digest, digestOf, hexOf } from "../digest.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { tarBytes, type TarMember } from "../format/tar-write.ts";
import { canonicalJson, type Json } from "../json.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "./manifest.ts";

export type Member = TarMember & { content?: Uint8Array };

export const file = (name: string, content: string = name, more: Partial<Member> = {}): Member => ({
  name,
  content: utf8(content),
  mtime: 1_700_000_000,
  ...more,
});
export const folder = (name: string, more: Partial<Member> = {}): Member => ({ name: `${name}/`, type: "5", ...more });
export const link = (name: string, linkName: string): Member => ({ name, type: "2", linkName });
export const hardLink = (name: string, linkName: string): Member => ({ name, type: "1", linkName });
export const whiteout = (name: string): Member => ({ name, content: new Uint8Array(0) });

export interface MadeBlob {
  mediaType: string;
  bytes: Uint8Array;
  digest: Digest;
}

export interface MadeImage {
  manifest: MadeBlob;
  /** Configuration and layers. */
  blobs: MadeBlob[];
}

export function blobOf(bytes: Uint8Array, mediaType: string): MadeBlob {
  return { mediaType, bytes, digest: digestOf(bytes) };
}

export function descriptor(blob: MadeBlob, more: Record<string, Json> = {}): Record<string, Json> {
  return { mediaType: blob.mediaType, digest: blob.digest, size: blob.bytes.length, ...more };
}

export interface ImageParts {
  architecture?: string;
  variant?: string;
  env?: string[];
  /** Docker's media types instead of OCI's. */
  docker?: boolean;
  /** Layers as they are, with what they uncompress to. */
  packed?: { blob: MadeBlob; diffId: Digest }[];
  change?: { config?: Record<string, Json>; manifest?: Record<string, Json> };
}

const LAYER = "application/vnd.oci.image.layer.v1.tar";

/** An image of these layers, each a list of members; gzip unless `plain`. */
export function imageOf(layers: Iterable<Member>[], parts: ImageParts = {}): MadeImage {
  const packed = [
    ...layers.map((members) => {
      const tar = tarBytes(members);
      const type = parts.docker === true ? "application/vnd.docker.image.rootfs.diff.tar.gzip" : `${LAYER}+gzip`;
      return { blob: blobOf(gzipBytes(tar, { level: 1 }), type), diffId: digestOf(tar) };
    }),
    ...(parts.packed ?? []),
  ];
  const config = blobOf(
    canonicalJson({
      os: "linux",
      architecture: parts.architecture ?? "amd64",
      ...(parts.variant === undefined ? {} : { variant: parts.variant }),
      config: { Env: parts.env ?? ["PATH=/usr/bin:/bin"] },
      rootfs: { type: "layers", diff_ids: packed.map(({ diffId }) => diffId) },
      ...parts.change?.config,
    }),
    parts.docker === true
      ? "application/vnd.docker.container.image.v1+json"
      : "application/vnd.oci.image.config.v1+json",
  );
  const mediaType = parts.docker === true ? DOCKER_MANIFEST : OCI_MANIFEST;
  const manifest = blobOf(
    canonicalJson({
      schemaVersion: 2,
      mediaType,
      config: descriptor(config),
      layers: packed.map(({ blob }) => descriptor(blob)),
      ...parts.change?.manifest,
    }),
    mediaType,
  );
  return { manifest, blobs: [config, ...packed.map(({ blob }) => blob)] };
}

export function plainLayer(members: Iterable<Member>): { blob: MadeBlob; diffId: Digest } {
  const tar = tarBytes(members);
  return { blob: blobOf(tar, LAYER), diffId: digestOf(tar) };
}

export function indexOf(images: { image: MadeImage; platform?: Json }[], docker = false): MadeBlob {
  const mediaType = docker ? DOCKER_LIST : OCI_INDEX;
  const manifests = images.map(({ image, platform }) =>
    descriptor(image.manifest, platform === undefined ? {} : { platform }),
  );
  return blobOf(canonicalJson({ schemaVersion: 2, mediaType, manifests }), mediaType);
}

/** Writes an image layout with one tag an entry. */
export function writeLayout(path: string, tags: Record<string, MadeBlob>, blobs: readonly MadeBlob[]): void {
  mkdirSync(join(path, "blobs", "sha256"), { recursive: true });
  for (const blob of [...blobs, ...Object.values(tags)]) {
    writeFileSync(join(path, "blobs", "sha256", hexOf(blob.digest)), blob.bytes);
  }
  const manifests = Object.entries(tags).map(([tag, blob]) =>
    descriptor(blob, { annotations: { "org.opencontainers.image.ref.name": tag } }),
  );
  writeFileSync(join(path, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(path, "index.json"), canonicalJson({ schemaVersion: 2, manifests }));
}
