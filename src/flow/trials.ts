import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { diff } from "../diff/diff.ts";
import { type Leaf, leavesOf } from "../diff/difference.ts";
import { digestOf } from "../digest.ts";
import { onlyAddressesDiffer } from "../explain/addresses.ts";
import { spansIn } from "../explain/atoms.ts";
import { placeOf } from "../explain/explain.ts";
import type { Place } from "../explain/group-testing.ts";
import { movedLeaves, noiseOf, type Span, type Spots, spotsOf, touches, WHOLE } from "../explain/regions.ts";
import type { World } from "../world.ts";
import type { ExperimentOptions } from "./experiments.ts";
import { SPENT } from "./repeats.ts";

/** The place that stands for a build that fails. */
export const FAILS: Place = "\0fails";

/** What one build has that the control has not. */
export interface Trial {
  spots: Spots;
  /** The same, were it noise. */
  noise: Spots;
  leaves: readonly Leaf[];
}

/** Builds in worlds, as far as time goes, and compares each with one of them, the control. */
export class Trials {
  readonly #options: ExperimentOptions;
  readonly #clock: Clock;
  /** Addresses are asked for by a variation of their own. */
  readonly #addresses: boolean;
  readonly open: Set<string> = new Set();
  builds = 0;
  #control: string | undefined;
  #failed = false;

  constructor(options: ExperimentOptions, addresses: boolean) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#addresses = addresses;
  }

  /** The folder of the control's outputs, once it was built. */
  get control(): string | undefined {
    return this.#control;
  }

  /** Whether the control could not be built. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Builds in all, the first of which becomes the control; the trials of the others, undefined where there was no time. */
  async withControl(worlds: readonly World[]): Promise<(Trial | undefined)[]> {
    const [control, ...others] = await this.#inTurn(worlds);
    if (control?.result.ok === true) this.#control = control.result.folder;
    else if (control !== undefined) this.#failed = true;
    if (this.#failed) this.open.add("the build fails when all is held still");
    return await Promise.all(others.map(async (one) => one && (await this.#compared(one))));
  }

  async of(worlds: readonly World[]): Promise<(Trial | undefined)[]> {
    const trials: (Trial | undefined)[] = [];
    for (const built of await this.#inTurn(worlds)) {
      trials.push(built === undefined ? undefined : await this.#compared(built));
    }
    return trials;
  }

  /** So many at a time as may be; undefined for those that there was no time for. */
  async #inTurn(worlds: readonly World[]): Promise<(Awaited<ReturnType<ExperimentOptions["build"]>> | undefined)[]> {
    const { atOnce, deadline, expected, onProgress } = this.#options;
    const built: (Awaited<ReturnType<ExperimentOptions["build"]>> | undefined)[] = [];
    for (let from = 0; from < worlds.length; from += atOnce) {
      const some = worlds.slice(from, from + atOnce);
      if (this.#clock.elapsed() + expected > deadline) {
        this.open.add(`${SPENT} before all was tried`);
        built.push(...some.map(() => undefined));
        continue;
      }
      onProgress?.(
        `build ${this.builds + 1}${some.length > 1 ? ` and ${this.builds + 2}` : ""}: ${some.map(({ name }) => name).join(" | ")}`,
      );
      this.builds += some.length;
      built.push(...(await Promise.all(some.map((world) => this.#options.build({ ...world, startDelay: 0 })))));
    }
    return built;
  }

  /** The outputs are removed. */
  async #compared({ result, world }: Awaited<ReturnType<ExperimentOptions["build"]>>): Promise<Trial> {
    if (!result.ok) {
      const failed: Spots = new Map([[FAILS, [WHOLE]]]);
      return { spots: failed, noise: failed, leaves: [] };
    }
    const difference = this.#control === undefined ? undefined : await diff(this.#control, result.folder, {});
    await rm(dirname(result.folder), { recursive: true, force: true });
    const leaves = difference === undefined ? [] : [...leavesOf(difference)];
    const held = this.#addresses && !world.aslr;
    return {
      spots: held ? spotsOf(leaves, onlyAddressesDiffer) : spotsOf(leaves),
      noise: noiseOf(leaves),
      leaves,
    };
  }
}

/** What a trial has at these spans of a place, as a digest: "" where it has what the control has. `moved`: that in another order. */
export function printAt({ leaves }: Trial, place: Place, spans: readonly Span[]): { print: string; moved: boolean } {
  const there = leaves.filter((leaf) => placeOf(leaf) === place);
  const here = there.filter((leaf) => spansIn(leaf, []).some((one) => spans.some((span) => touches(span, one))));
  if (here.length === 0) return { print: "", moved: false };
  const stands = here.map(({ ranges, b, bytesB }) => [ranges, b, Buffer.from(bytesB ?? []).toString("latin1")]);
  const moved = movedLeaves(there);
  return { print: digestOf(JSON.stringify(stands)), moved: here.some((leaf) => moved.has(leaf)) };
}

/** Bytes of leaves that one build may keep, of dozens. */
const MOST_KEPT = 8 << 20;

/** A trial whose leaves are many keeps where they are only. */
export function light(trial: Trial): Trial {
  const bytes = trial.leaves.reduce(
    (sum, { bytesA, bytesB }) => sum + (bytesA?.length ?? 0) + (bytesB?.length ?? 0),
    0,
  );
  return bytes > MOST_KEPT ? { ...trial, leaves: [] } : trial;
}

/** The leaf of a trial that touches a span of a place. */
export const leafAt = ({ leaves }: Trial, place: Place, span: Span): Leaf | undefined =>
  leaves.find((leaf) => placeOf(leaf) === place && spansIn(leaf, []).some((one) => touches(one, span)));
