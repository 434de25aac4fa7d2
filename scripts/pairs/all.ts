import { existsSync } from "node:fs";
import { join } from "node:path";
import { DEBIAN, KERNELS } from "./debian.ts";
import { IMAGES } from "./images.ts";
import { MADE } from "./made.ts";
import { PUBLISHED } from "./published.ts";
import { RELEASES } from "./releases.ts";
import { type Pair, pairsFolder } from "./workshop.ts";

export const PAIRS: readonly Pair[] = [...MADE, ...DEBIAN, ...PUBLISHED, ...IMAGES, ...KERNELS, ...RELEASES];

export interface MadePair {
  name: string;
  what: string;
  a: string;
  b: string;
}

/** Those that are there, in their order; `words`: the beginnings of names, none: all. */
export function pairsThatAreThere(words: readonly string[] = []): MadePair[] {
  return PAIRS.filter(({ name }) => words.length === 0 || words.some((word) => name.startsWith(word)))
    .map(({ name, what, file }) => ({
      name,
      what,
      a: join(pairsFolder(), name, "a", file),
      b: join(pairsFolder(), name, "b", file),
    }))
    .filter(({ a, b }) => existsSync(a) && existsSync(b));
}
