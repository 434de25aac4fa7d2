import type { CauseName } from "../world.ts";

/** What one of several equal builds shows at a place: a digest, and whether it is what another shows in another order. */
export interface Shown {
  print: string;
  moved: boolean;
}

/**
 * Why builds differ in which all is held. `still`: equal builds on one CPU,
 * besides one that they are compared with; `delayed`: such whose programs start
 * after delays. A race has its usual outcome as long as nothing delays it, and
 * often two outcomes at all; what is drawn is another in every build.
 */
export function nameOfNoise(still: readonly Shown[], delayed: readonly Shown[]): CauseName {
  const prints = ["", ...still.map(({ print }) => print)];
  const delays = delayed.map(({ print }) => print);
  if (new Set([...prints, ...delays]).size <= 2) return "race";
  if (agreement(prints) >= 1 / 3 && agreement(prints) > agreement(delays)) return "race";
  return [...still, ...delayed].some(({ moved }) => moved) ? "hash-order" : "random";
}

/** The share of pairs that are alike. */
function agreement(prints: readonly string[]): number {
  let [pairs, alike] = [0, 0];
  for (const [index, one] of prints.entries()) {
    for (const other of prints.slice(index + 1)) {
      pairs++;
      if (one === other) alike++;
    }
  }
  return pairs === 0 ? 0 : alike / pairs;
}
