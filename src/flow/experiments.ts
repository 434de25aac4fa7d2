import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { diff } from "../diff/diff.ts";
import { leavesOf } from "../diff/difference.ts";
import { byteOrder } from "../order.ts";
import type { Evidence } from "../explain/conclude.ts";
import { type Explained, mayFollow, placeOf } from "../explain/explain.ts";
import { type Ask, attribute, type Attribution, type Place } from "../explain/group-testing.ts";
import { experimentWorlds, mixed, variations } from "../vary/worlds.ts";
import type { CauseName, World } from "../world.ts";
import { nameMachineCauses, otherMachines } from "./machine-causes.ts";
import type { Seen } from "./builds.ts";

export interface ExperimentOptions {
  /** Builds once in this world, in a folder of its own. */
  build: (world: World) => Promise<Seen>;
  /** Variations that this machine does not make, or that are not asked for. */
  without: ReadonlySet<CauseName>;
  /** How many builds may run at one time. */
  atOnce: number;
  /** Elapsed milliseconds (of the clock) after which no further build begins. */
  deadline: number;
  /** Milliseconds that a build takes, as far as is known. */
  expected: number;
  /** The two builds were of equal worlds: what differs between them is noise. */
  flaky?: boolean;
  clock?: Clock;
  onProgress?: (line: string) => void;
}

export interface Experimented {
  evidence: Omit<Evidence, "checksums">;
  builds: number;
  /** What was left open, in words: no more time, for one. */
  open: string[];
}

/** The place that stands for a build that fails. */
const FAILS: Place = "\0fails";

/**
 * Finds out by builds what the bytes do not say: which variation makes a leaf
 * differ. All is held still first, and then let go in halves. What differs
 * between two builds in which all is held is noise, and told apart from the
 * rest before anything is blamed.
 */
export async function experiment(
  project: string,
  explained: readonly Explained[],
  options: ExperimentOptions,
): Promise<Experimented> {
  return await new Experiments(project, options).explain(explained);
}

/** The variations without which a build that fails in the adversarial world succeeds: several when each breaks it. */
export async function whatBreaks(
  project: string,
  options: ExperimentOptions,
): Promise<{ breaks: CauseName[][]; builds: number; open: string[] }> {
  return await new Experiments(project, options).breaking();
}

class Experiments {
  readonly #options: ExperimentOptions;
  readonly #clock: Clock;
  readonly #still: World;
  readonly #other: World;
  readonly #names: readonly CauseName[];
  readonly #open = new Set<string>();
  #control: Seen | undefined;
  #noise: ReadonlySet<Place> = new Set();
  #builds = 0;

  constructor(project: string, options: ExperimentOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    [this.#still, this.#other] = experimentWorlds(project);
    this.#names = variations
      .filter((one) => !options.without.has(one.name) && one.describe(this.#still, this.#other) !== "")
      .map(({ name }) => name);
  }

  async explain(explained: readonly Explained[]): Promise<Experimented> {
    const sure = new Set(
      explained.flatMap(({ causes }) =>
        causes.filter(({ confidence }) => confidence === "certain").map(({ name }) => name),
      ),
    );
    const own = explained.filter((one) => !mayFollow(one, explained));
    const places = new Set(own.map(({ place }) => place));
    const bare = new Set(
      own.filter(({ causes }) => !causes.some(({ confidence }) => confidence === "certain")).map(({ place }) => place),
    );
    if (this.#options.flaky === true) return await this.#explainNoise(places);
    const rest = this.#names.filter((name) => !sure.has(name));
    const known = this.#names.filter((name) => sure.has(name));
    const attribution: Attribution = new Map();
    if (!(await this.#hold(rest))) return this.#answer(attribution, new Map());
    const remaining = await this.#differing(rest);
    const further = places.intersection(remaining).difference(this.#noise);
    this.#add(attribution, await attribute(further, rest, this.#ask));
    const byKnown = bare.difference(remaining).difference(this.#noise);
    if (byKnown.size > 0) {
      const whole = known.length === 1 ? byKnown : byKnown.intersection(await this.#differing(known));
      this.#add(attribution, await attribute(whole, known, this.#ask));
      // Neither the sure ones nor the others alone: some of both are needed.
      const joint = byKnown.difference(whole);
      if (joint.size > 0) this.#add(attribution, await attribute(joint, this.#names, this.#ask));
    }
    if (attribution.size > 0) await this.#confirm(attribution);
    return this.#answer(attribution, new Map([...this.#noise.intersection(places)].map((place) => [place, undefined])));
  }

  async breaking(): Promise<{ breaks: CauseName[][]; builds: number; open: string[] }> {
    const [all] = await this.#ask([this.#names]);
    const found = all?.has(FAILS) === true ? await attribute(new Set([FAILS]), this.#names, this.#ask) : new Map();
    return { breaks: found.get(FAILS) ?? [], builds: this.#builds, open: [...this.#open] };
  }

  /** The build in which all is held, side by side with the one in which `names` vary; if they differ, two more for the noise. */
  async #hold(names: readonly CauseName[]): Promise<boolean> {
    const [control, varied] = await this.#inTurn([this.#still, this.#world(names)]);
    if (control === undefined || !control.result.ok) {
      if (control !== undefined) this.#open.add("the build fails when all is held still");
      return false;
    }
    this.#control = control;
    this.#first = { key: names.join(" "), places: varied === undefined ? undefined : await this.#places(varied) };
    if (this.#first.places?.size === 0) return true;
    const equal = ["held again", "held a second time"].map((name) => ({ ...this.#still, name }));
    for (const again of await this.#inTurn(equal)) {
      if (again !== undefined) this.#noise = this.#noise.union(await this.#places(again));
    }
    return true;
  }

  #first: { key: string; places: ReadonlySet<Place> | undefined } = { key: "\0", places: undefined };

  async #differing(names: readonly CauseName[]): Promise<ReadonlySet<Place>> {
    const [places] = await this.#ask([names]);
    return places ?? new Set();
  }

  readonly #ask: Ask = async (sets) => {
    const fresh = sets.filter((set) => set.join(" ") !== this.#first.key);
    const built = await this.#inTurn(fresh.map((set) => this.#world(set)));
    const answers = new Map<string, ReadonlySet<Place> | undefined>([[this.#first.key, this.#first.places]]);
    for (const [index, set] of fresh.entries()) {
      const one = built[index];
      answers.set(set.join(" "), one === undefined ? undefined : await this.#places(one));
    }
    return sets.map((set) => answers.get(set.join(" ")));
  };

  #world(names: readonly CauseName[]): World {
    return mixed(this.#still, this.#other, names, names.length === 0 ? "held" : names.join("+"));
  }

  /** What differs from the control, noise left out; the outputs are removed. */
  async #places(built: Seen): Promise<ReadonlySet<Place>> {
    if (!built.result.ok) return new Set([FAILS]);
    if (this.#control?.result.ok !== true) return new Set();
    const difference = await diff(this.#control.result.folder, built.result.folder, {});
    if (built !== this.#control) await rm(dirname(built.result.folder), { recursive: true, force: true });
    const places = difference === undefined ? [] : [...leavesOf(difference)].map((leaf) => placeOf(leaf));
    return new Set(places).difference(this.#noise);
  }

  /** So many at a time as may be; undefined for those that there was no time for. */
  async #inTurn(worlds: readonly World[]): Promise<(Seen | undefined)[]> {
    const { atOnce, deadline, expected, onProgress } = this.#options;
    const built: (Seen | undefined)[] = [];
    for (let from = 0; from < worlds.length; from += atOnce) {
      const some = worlds.slice(from, from + atOnce);
      if (this.#clock.elapsed() + expected > deadline) {
        this.#open.add("the budget was spent before all was tried: --budget gives more");
        built.push(...some.map(() => undefined));
        continue;
      }
      onProgress?.(
        `build ${this.#builds + 1}${some.length > 1 ? ` and ${this.#builds + 2}` : ""}: ${some.map(({ name }) => name).join(" | ")}`,
      );
      this.#builds += some.length;
      built.push(...(await Promise.all(some.map((world) => this.#options.build({ ...world, startDelay: 0 })))));
    }
    return built;
  }

  /** What differs between equal builds: a race if it does so under other schedules with all else held, otherwise randomness. */
  async #explainNoise(places: ReadonlySet<Place>): Promise<Experimented> {
    const found = new Map<Place, CauseName | undefined>([...places].map((place) => [place, undefined]));
    const schedules = [1, 2, 3, 4].map((schedule) => ({ ...this.#still, name: `schedule ${schedule}`, schedule }));
    const [first, ...others] = await this.#inTurn(schedules);
    this.#control = first;
    if (first === undefined || others.some((one) => one === undefined)) return this.#answer(new Map(), found);
    const racing = new Set<Place>();
    for (const one of others) {
      for (const place of one === undefined ? [] : await this.#places(one)) racing.add(place);
    }
    const held = this.#names.includes("random");
    for (const place of places) found.set(place, racing.has(place) ? "race" : held ? "random" : undefined);
    return this.#answer(new Map(), found);
  }

  /**
   * What was blamed must differ again where it was blamed, and equal builds must
   * agree again: a flaky place that agreed by chance is noise, and blames nobody.
   */
  async #confirm(attribution: Attribution): Promise<void> {
    const blamed = [...new Map([...attribution.values()].flat().map((set) => [set.join(" "), set])).values()];
    const controls = ["held a third time", "held a fourth time"].map((name) => ({ ...this.#still, name }));
    const repeated = blamed.map((set) => ({ ...this.#world(set), name: `${this.#world(set).name} again` }));
    const [third, fourth, ...again] = await this.#inTurn([...controls, ...repeated]);
    for (const built of [third, fourth]) {
      if (built !== undefined) this.#noise = this.#noise.union(await this.#places(built));
    }
    const confirmed = new Map<string, ReadonlySet<Place>>();
    for (const [index, set] of blamed.entries()) {
      const built = again[index];
      if (built !== undefined) confirmed.set(set.join(" "), await this.#places(built));
    }
    await this.#tellRaces(attribution);
    await this.#tellMachines(attribution);
    for (const [place, sets] of attribution) {
      const held = sets.filter((set) => set.includes("race") || (confirmed.get(set.join(" "))?.has(place) ?? true));
      if (held.length < sets.length || this.#noise.has(place)) this.#noise = this.#noise.union(new Set([place]));
      if (this.#noise.has(place)) attribution.delete(place);
    }
  }

  /** What several CPUs make differ is a race where two builds with all of them differ from one another. */
  async #tellRaces(attribution: Attribution): Promise<void> {
    const blamed = [...attribution].filter(([, sets]) => sets.some((set) => set.includes("cpu-count")));
    if (blamed.length === 0 || !this.#names.includes("cpu-count")) return;
    const worlds = ["all CPUs", "all CPUs again", "all CPUs once more"].map((name) => ({
      ...this.#world(["cpu-count"]),
      name,
    }));
    const [first, ...others] = await this.#inTurn(worlds);
    if (first?.result.ok !== true) return;
    const racing = new Set<Place>();
    for (const other of others) {
      if (other?.result.ok !== true) continue;
      const difference = await diff(first.result.folder, other.result.folder, {});
      for (const leaf of difference === undefined ? [] : leavesOf(difference)) racing.add(placeOf(leaf));
    }
    for (const [place, sets] of blamed) {
      if (!racing.has(place)) continue;
      const told = sets.map((set) => set.map((name): CauseName => (name === "cpu-count" ? "race" : name)));
      attribution.set(place, [...new Map(told.map((set) => [set.join(" "), set])).values()]);
    }
    for (const { result } of [first, ...others].filter((one) => one !== undefined)) {
      if (result.ok) await rm(dirname(result.folder), { recursive: true, force: true });
    }
  }

  /** What a virtual machine makes differ comes from its processor or its memory where machines with others differ, too. */
  async #tellMachines(attribution: Attribution): Promise<void> {
    if (![...attribution.values()].some((sets) => sets.some((set) => set.includes("machine")))) return;
    const world = { ...this.#world(["machine"]), name: "machine alone" };
    const others = otherMachines(world);
    const [first, ...built] = await this.#inTurn([world, ...others.map((one) => one.world)]);
    if (first?.result.ok !== true) return;
    const differing = new Map<CauseName, ReadonlySet<Place>>();
    for (const [index, other] of built.entries()) {
      const cause = others[index]?.cause;
      if (cause === undefined || other?.result.ok !== true) continue;
      const difference = await diff(first.result.folder, other.result.folder, {});
      differing.set(cause, new Set(difference === undefined ? [] : [...leavesOf(difference)].map(placeOf)));
    }
    nameMachineCauses(attribution, differing);
    for (const { result } of [first, ...built].filter((one) => one !== undefined)) {
      if (result.ok) await rm(dirname(result.folder), { recursive: true, force: true });
    }
  }

  #add(to: Attribution, from: Attribution): void {
    for (const [place, causes] of from) to.set(place, [...(to.get(place) ?? []), ...causes]);
  }

  #answer(attribution: Attribution, noise: Map<Place, CauseName | undefined>): Experimented {
    const tried = [
      `${this.#builds} builds, with each of ${[...this.#names].sort(byteOrder).join(", ")} varied or held`,
      ...(noise.size === 0 ? [] : ["equal builds differ there too, with all held and on one CPU"]),
      ...this.#open,
    ];
    return { evidence: { attribution, noise, tried }, builds: this.#builds, open: [...this.#open] };
  }
}
