import type { Digest } from "./digest.ts";

export type Ecosystem = "npm" | "pip" | "cargo" | "go" | "maven" | "make" | "debian";

/** Checksums of a material as its lockfile or client states them, lower-case hexadecimal, by algorithm. */
export interface Checksums {
  sha1?: string;
  sha256?: string;
  sha384?: string;
  sha512?: string;
  /** Go's module hash, as go.sum writes it: "h1:" and base64 of a SHA-256 over the file list (not over the zip). */
  goH1?: string;
}

/** One thing that a build reads: SLSA provenance v1 `resolvedDependencies`. */
export interface Material {
  kind: "source" | "patch" | "dependency" | "lockfile" | "recipe" | "environment";
  /** Package URL (ECMA-427), or a file's path in the project for lockfiles and recipes. */
  purl?: string;
  uri?: string;
  name: string;
  version?: string;
  checksums: Checksums;
  /** Bytes of the artifact as it is served; known once it was fetched. */
  size?: number;
  /** Whether the build was seen to read it; undefined where nothing was observed. */
  read?: boolean;
  /** Needed to run the product, not only to build it. */
  runtime?: boolean;
  /** purls that this one depends on directly, sorted. */
  dependsOn?: string[];
  licence?: string;
}

/** A file in the store, by digest. */
export interface BlobRef {
  digest: Digest;
  /** Bytes. */
  size: number;
  mediaType: string;
}
