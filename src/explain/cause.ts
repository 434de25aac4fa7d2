import type { CauseName } from "../world.ts";

/** Why some bytes differ: what `check --json` and `build --json` list. */
export interface Cause {
  name: CauseName;
  /** Path of the output that differs. */
  artifact: string;
  /** The way from the artifact to the leaf: archive members, then the field or content. */
  leaf: string[];
  /** Byte offset of the evidence in the leaf's content on side A; undefined for a field. */
  offset: number | undefined;
  /** What stands on each side. */
  evidence: { a: string; b: string };
  confidence: "certain" | "likely" | "possible";
  remedy: string;
  /**
   * How it is known: a world's value stands there, a metadata field says it, builds
   * that differ in it alone differ there, or it holds the digest of what differs.
   */
  basis?: "watermark" | "field" | "experiment" | "digest";
  /** Further variations without which it does not differ. */
  with?: CauseName[];
  /** Of a consequence: the artifact and leaf that it follows from. */
  from?: string[];
  /** Who wrote the bytes. */
  command?: Writer;
  /** Of what is unknown: what was tried, in words. */
  tried?: string[];
}

/** The command that first wrote the bytes of a leaf. */
export interface Writer {
  argv: string[];
  /** Working directory, relative to the build path where it lies below. */
  directory: string;
  /** The file that it wrote them into, relative to the build path where it lies below. */
  file: string;
  /** The commands above it, from the recipe's own down, each as it would be typed, shortened. */
  parents: string[];
  /** Where the build script asks for it: a file of the source, a line counted from 1, its text. */
  script?: { path: string; line: number; text: string };
}
