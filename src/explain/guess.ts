import type { CauseName } from "../world.ts";
import type { Explained } from "./explain.ts";
import { movedLeaves } from "./regions.ts";

/** Values of one length that look drawn: sixteen digits and letters or more without a word in them. */
const DRAWN =
  /(?<![0-9A-Za-z])(?=[0-9A-Za-z-]*[0-9])(?:[0-9a-f]{12,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9A-Za-z])/;

/**
 * What a leaf looks like, among `names`: a guess that costs one build to prove,
 * and says nothing before that. Undefined for what may be anything.
 */
export function guessFor({ leaf, causes }: Explained, names: readonly CauseName[]): CauseName | undefined {
  const told = causes.find(({ name }) => names.includes(name))?.name;
  const guess = told ?? lookOf(leaf);
  return guess !== undefined && names.includes(guess) ? guess : undefined;
}

function lookOf(leaf: Explained["leaf"]): CauseName | undefined {
  if (leaf.what === "field") return leaf.field === "mode" ? "umask" : leaf.field === "mtime" ? "mtime" : undefined;
  if (movedLeaves([leaf]).size > 0) return "readdir-order";
  const [a, b] = [DRAWN.exec(leaf.a ?? "")?.[0], DRAWN.exec(leaf.b ?? "")?.[0]];
  return a !== undefined && a.length === b?.length ? "random" : undefined;
}
