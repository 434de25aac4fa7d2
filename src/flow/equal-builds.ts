import { type Spots, union, without } from "../explain/regions.ts";
import type { World } from "../world.ts";
import { FAILS, type Trial, type Trials } from "./trials.ts";

/** Schedules that are enough to name noise; so many at least are built where races are looked for. */
export const FEW_SCHEDULES = 4;

/** Builds in which all is held, as in the control: what differs there is noise, and blames nobody. */
export class EqualBuilds {
  readonly #still: World;
  readonly #trials: Trials;
  readonly #schedules: number;
  readonly #held: Trial[] = [];
  readonly #delayed: Trial[] = [];
  noise: Spots = new Map();

  /** `schedules`: so many may be tried until one shows a race. */
  constructor(still: World, trials: Trials, schedules: number) {
    this.#still = still;
    this.#trials = trials;
    this.#schedules = schedules;
  }

  /** Builds of worlds equal to the control's. */
  get held(): readonly Trial[] {
    return this.#held;
  }

  /** Builds that differ from the control in the delays before programs start, and in nothing else. */
  get delayed(): readonly Trial[] {
    return this.#delayed;
  }

  async holdAgain(names: readonly string[]): Promise<void> {
    for (const trial of await this.#trials.of(names.map((name) => ({ ...this.#still, name })))) {
      if (trial !== undefined) this.add(trial);
    }
  }

  add(trial: Trial): void {
    this.#held.push(trial);
    this.noise = union(this.noise, trial.noise);
  }

  /**
   * Builds under other schedules, a few or until one shows a race: what differs
   * in them is set aside, as noise is, before what takes another time is blamed
   * for it.
   */
  async shake(): Promise<void> {
    const still = this.#held.reduce<Spots>((all, { noise }) => union(all, noise), new Map());
    while (this.#delayed.length < this.#schedules) {
      const fresh = await this.delay(Math.min(2, this.#schedules - this.#delayed.length));
      this.setAside(fresh);
      if (fresh.length === 0) return;
      const enough = this.#delayed.length >= FEW_SCHEDULES;
      if (enough && this.#delayed.some(({ noise }) => without(noise, still).size > 0)) return;
    }
  }

  setAside(trials: readonly Trial[]): void {
    for (const { noise } of trials) this.noise = union(this.noise, noise);
  }

  /** Builds under so many more schedules; those that fail are left out. */
  async delay(many: number): Promise<Trial[]> {
    const worlds = Array.from({ length: many }, (_, index) => {
      const schedule = this.#delayed.length + index + 1;
      return { ...this.#still, name: `schedule ${schedule}`, schedule };
    });
    const built = (await this.#trials.of(worlds)).filter((one) => one !== undefined);
    const fresh = built.filter(({ spots }) => !spots.has(FAILS));
    this.#delayed.push(...fresh);
    return fresh;
  }
}
