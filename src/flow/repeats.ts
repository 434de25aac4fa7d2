import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import type { Output } from "../build/outputs.ts";
import { buildsFor, chanceMissed } from "../explain/chance.ts";
import type { World } from "../world.ts";
import type { Seen } from "./builds.ts";

/** So begins what is left open for want of time. */
export const SPENT = "the budget was spent";

/** What agreeing builds say, and what they may have missed. */
export interface Agreement {
  builds: number;
  /** The share of builds in which another outcome would have to show. */
  rarity: number;
  /** The chance that such an outcome was missed. */
  missed: number;
}

export interface RepeatOptions {
  build: (world: World) => Promise<Seen>;
  atOnce: number;
  deadline: number;
  expected: number;
  confidence: number;
  rarity: number;
  clock?: Clock;
  onProgress?: (line: string) => void;
}

export interface Repeated {
  agreement: Agreement;
  /** The first build that came out otherwise, and its world; undefined: all agree. */
  other: Seen | undefined;
  open: string[];
}

/**
 * Builds again in equal worlds whose schedules differ, until what is as rare as
 * asked would have shown, or a build comes out otherwise. `agreeing`: how many
 * have agreed before, with these outputs.
 */
export async function repeat(
  world: World,
  agreeing: number,
  outputs: readonly Output[],
  options: RepeatOptions,
): Promise<Repeated> {
  const { atOnce, confidence, rarity, deadline, expected, onProgress } = options;
  const clock = options.clock ?? systemClock;
  const wanted = buildsFor(confidence, rarity);
  let builds = agreeing;
  const answer = (other: Seen | undefined, open: string[]): Repeated => ({
    agreement: { builds, rarity, missed: chanceMissed(builds, rarity) },
    other,
    open,
  });
  while (builds < wanted) {
    if (clock.elapsed() + expected > deadline) {
      return answer(undefined, [`${SPENT} after ${builds} of ${wanted} builds`]);
    }
    onProgress?.(`build ${builds + 1} of ${wanted} in equal worlds`);
    const many = Math.min(atOnce, wanted - builds);
    const worlds = Array.from({ length: many }, (_, index) => ({
      ...world,
      name: `repeated ${builds + index + 1}`,
      schedule: builds + index + 1,
      startDelay: 0,
    }));
    const built = await Promise.all(worlds.map((one) => options.build(one)));
    builds += many;
    const other = built.find((one) => !agrees(one, outputs));
    for (const one of built) {
      if (one !== other && one.result.ok) await rm(dirname(one.result.folder), { recursive: true, force: true });
    }
    if (other !== undefined) return answer(other, []);
  }
  return answer(undefined, []);
}

const line = ({ path, digest, executable }: Output): string => `${path}\0${digest}\0${executable}`;

function agrees({ result }: Seen, outputs: readonly Output[]): boolean {
  return result.ok && result.outputs.map(line).join("\n") === outputs.map(line).join("\n");
}
