/** A comparison with all that a view has to say of it, whichever view. */
import type { Difference } from "./difference.ts";
import type { Excluded } from "./exclusion.ts";

/** That nothing was missed: in every space of bytes the leaves and what is equal cover each byte once. */
export interface Certificate {
  /** Spaces of bytes: the inputs' files and every content decoded from them. */
  spaces: number;
  equalBytes: number;
  leafBytes: number;
  sha256A?: string;
  sha256B?: string;
  complete: boolean;
}

/** What was not compared, and why: a limit, the time that was given, content that cannot be read. */
export interface Incomplete {
  path: string[];
  why: string;
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

const NOT_COMPARED = /\bnot (?:looked into|compared|read)\b|\bcannot be (?:read|decompressed)\b/;
const MAX_INCOMPLETE = 1000;

/** Places that say of themselves that they were not looked into. Their bytes were compared all the same. */
export function incompleteOf(difference: Difference | undefined): Incomplete[] {
  const found: Incomplete[] = [];
  const visit = (node: Difference): void => {
    if (node.note !== undefined && NOT_COMPARED.test(node.note)) found.push({ path: node.path, why: node.note });
    for (const child of node.children) {
      if (found.length >= MAX_INCOMPLETE) return;
      if (child.kind === "node") visit(child);
      else if (child.note !== undefined && NOT_COMPARED.test(child.note))
        found.push({ path: child.path, why: child.note });
    }
  };
  if (difference !== undefined) visit(difference);
  return found;
}

export type Verdict = "identical" | "different" | "equal but for what was excluded";

export function verdictOf(reading: Pick<Reading, "difference" | "excluded">): Verdict {
  if (reading.difference !== undefined) return "different";
  return reading.excluded.some(({ leaves }) => leaves > 0) ? "equal but for what was excluded" : "identical";
}
