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
}
