/** A comparison with all that a view has to say of it, whichever view. */
import type { Incomplete, Proof } from "./comparison.ts";
import type { Difference } from "./difference.ts";
import type { Excluded } from "./exclusion.ts";
import { grouped, isNotCompared } from "./findings.ts";

/** What `--prove` shows: in every space of bytes the leaves and what is the same cover each byte once, and applied to A they give B. */
export interface Certificate {
  /** Spaces of bytes: the inputs' files and every content decoded from them. */
  spaces: number;
  equalBytes: number;
  leafBytesA: number;
  leafBytesB: number;
  sha256A?: string;
  sha256B?: string;
  complete: boolean;
}

export function certificateOf(proof: Proof, incomplete: readonly Incomplete[], a: Input, b: Input): Certificate {
  return {
    spaces: proof.spaces,
    equalBytes: proof.equal,
    leafBytesA: proof.inLeavesA,
    leafBytesB: proof.inLeavesB,
    ...(a.sha256 === undefined ? {} : { sha256A: a.sha256 }),
    ...(b.sha256 === undefined ? {} : { sha256B: b.sha256 }),
    complete: incomplete.length === 0,
  };
}

/** The certificate in a sentence. */
export function certificateWords({ spaces, equalBytes, leafBytesA, leafBytesB, complete }: Certificate): string {
  const where = spaces === 1 ? "in 1 file or content" : `in ${grouped(spaces)} files and contents`;
  const leaves =
    leafBytesA === leafBytesB ? grouped(leafBytesA) : `${grouped(leafBytesA)} of A and ${grouped(leafBytesB)} of B`;
  return `${complete ? "complete" : "complete for what was compared"}: ${where} ${grouped(equalBytes)} bytes are the same and ${leaves} lie in just one leaf each; applied to A the difference gives B`;
}

export interface Input {
  name: string;
  size?: number;
  sha256?: string;
}

export interface Reading {
  a: Input;
  b: Input;
  /** What differs, without what was excluded. */
  difference: Difference | undefined;
  excluded: readonly Excluded[];
  incomplete: readonly Incomplete[];
  certificate?: Certificate;
}

const MAX_INCOMPLETE = 1000;

/** What the engine did not compare, and places that say of themselves that they were not looked into but compared as bytes. */
export function incompleteIn(difference: Difference | undefined, known: readonly Incomplete[] = []): Incomplete[] {
  const found = new Map(known.map((one) => [[...one.path, one.why].join("\0"), one]));
  const note = (path: string[], why: string | undefined): void => {
    if (why === undefined || !isNotCompared(why) || found.size >= MAX_INCOMPLETE) return;
    const key = [...path, why].join("\0");
    if (!found.has(key)) found.set(key, { path, why });
  };
  const visit = (node: Difference): void => {
    note(node.path, node.note);
    for (const child of node.children) {
      if (child.kind === "node") visit(child);
      else note(child.path, child.note);
    }
  };
  if (difference !== undefined) visit(difference);
  return [...found.values()];
}

export type Verdict = "identical" | "different" | "equal but for what was excluded";

export function verdictOf(reading: Pick<Reading, "difference" | "excluded">): Verdict {
  if (reading.difference !== undefined) return "different";
  return reading.excluded.some(({ leaves }) => leaves > 0) ? "equal but for what was excluded" : "identical";
}
