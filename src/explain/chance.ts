import { BitforbitError } from "../errors.ts";

/** An outcome this rare is what a verdict speaks of unless another is asked for: one build in ten. */
export const RARITY = 0.1;

/**
 * The chance that `builds` equal builds all agree although a second outcome
 * comes with the probability `rarity` each time: all show the usual one, or all
 * the rare one.
 */
export function chanceMissed(builds: number, rarity: number): number {
  return (1 - rarity) ** builds + rarity ** builds;
}

/** The fewest builds after which what was missed is at most 1 − `confidence`. */
export function buildsFor(confidence: number, rarity: number): number {
  let builds = 2;
  while (chanceMissed(builds, rarity) > 1 - confidence + 1e-12) builds++;
  return builds;
}

/** "99.9%" as 0.999. Throws `input` for what is no percentage between `least` and `most`. */
export function parsePercentage(text: string, least: number, most: number): number {
  const number = /^\d{1,3}(?:\.\d{1,6})?%?$/.test(text)
    ? Number((Number(text.replace("%", "")) / 100).toFixed(9))
    : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new BitforbitError(
    "input",
    `not a percentage from ${least * 100}% to ${most * 100}%: ${JSON.stringify(text)}`,
    {
      hint: 'write it as "99.9%"',
    },
  );
}
