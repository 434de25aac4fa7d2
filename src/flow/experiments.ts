import type { Clock } from "../clock.ts";
import { diff } from "../diff/diff.ts";
import { type Leaf, leavesOf } from "../diff/difference.ts";
import { Atoms, spansIn } from "../explain/atoms.ts";
import type { Evidence } from "../explain/conclude.ts";
import { type Explained, mayFollow, placeOf } from "../explain/explain.ts";
import { type Ask, attribute, type Attribution, type Place } from "../explain/group-testing.ts";
import { guessFor } from "../explain/guess.ts";
import { nameOfNoise } from "../explain/noise-name.ts";
import { type Ranges, type Span, type Spots, touches, without } from "../explain/regions.ts";
import { byteOrder } from "../order.ts";
import { experimentWorld, mixed, variations } from "../vary/worlds.ts";
import type { CauseName, World } from "../world.ts";
import type { Seen } from "./builds.ts";
import { EqualBuilds, FEW_SCHEDULES } from "./equal-builds.ts";
import { areProcessNumbers, distinctSets, tellMachines, tellOrders, tellRaces, tellSources } from "./tell-apart.ts";
import { FAILS, leafAt, light, printAt, type Trial, Trials } from "./trials.ts";

export interface ExperimentOptions {
  /** The world in which all is held, and the one that differs from it in every way. */
  worlds: readonly [still: World, other: World];
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
  /** Builds under other schedules, where these are varied; as long as none of them shows a race. */
  schedules: number;
  clock?: Clock;
  onProgress?: (line: string) => void;
}

/** Of the two builds that are to be explained. */
export interface Explaining {
  /** The two builds were of equal worlds: what differs between them is noise. */
  flaky: boolean;
  /** The first one's outputs. */
  folder: string;
  /** Artifacts that hold digests of others, and need no cause of their own. */
  checksums: ReadonlySet<string>;
}

export interface Experimented {
  evidence: Omit<Evidence, "checksums">;
  /** What differs between builds of experiments and did not between the two. */
  further: Explained[];
  builds: number;
  /** What was left open, in words: no more time, for one. */
  open: string[];
  /** It fails where all is held still, or does not fail where it did: nothing could be told of what varies. */
  spoilt: boolean;
}

/**
 * Finds out by builds what the bytes do not say: which variation makes a leaf
 * differ. All is held still first, and then let go in sets. What differs
 * between two builds in which all is held is noise: its bytes are set aside
 * before anything is blamed, and those beside them are asked for all the same.
 */
export async function experiment(
  explained: readonly Explained[],
  options: ExperimentOptions,
  explaining: Explaining,
): Promise<Experimented> {
  return await new Experiments(options).explain(explained, explaining);
}

/** The variations without which a build that fails in the adversarial world succeeds: several when each breaks it. */
export async function whatBreaks(
  options: ExperimentOptions,
): Promise<Pick<Experimented, "builds" | "open" | "spoilt"> & { breaks: CauseName[][] }> {
  return await new Experiments(options).breaking();
}

/** Variations whose values are drawn anew in each round. */
const DRAWN: readonly CauseName[] = ["hash-order", "random", "race", "aslr"];

/** So often what several draws are blamed for together is asked of each. */
const ROUNDS = 2;

/** So often everything is drawn anew for what the two builds differ in and no experiment has shown: few orders agree by chance. */
const MOST_DRAWS = 5;

class Experiments {
  readonly #still: World;
  readonly #other: World;
  readonly #names: readonly CauseName[];
  readonly #trials: Trials;
  readonly #atoms = new Atoms();
  readonly #known = new Map<string, Trial>();
  readonly #attribution: Attribution = new Map();
  readonly #equal: EqualBuilds;
  #differing: Map<Place, Ranges> = new Map();
  /** Leaves of the control itself: see `#furtherIn`. */
  readonly #further = new Set<Leaf>();
  #stillFails = false;
  #passed: ReadonlySet<Place> = new Set();
  #explaining: Explaining = { flaky: false, folder: "", checksums: new Set() };

  constructor(options: ExperimentOptions) {
    [this.#still, this.#other] = options.worlds;
    this.#names = variations
      .filter((one) => !options.without.has(one.name) && one.describe(this.#still, this.#other) !== "")
      .map(({ name }) => name);
    this.#trials = new Trials(options, this.#names.includes("aslr"));
    this.#equal = new EqualBuilds(this.#still, this.#trials, options.schedules);
  }

  async breaking(): ReturnType<typeof whatBreaks> {
    const [all, none] = await this.#ask([this.#names, []]);
    this.#stillFails = none?.has(FAILS) === true;
    if (this.#stillFails) this.#trials.open.add("the build fails when all is held still: what breaks it is not known");
    const fails = all?.has(FAILS) === true && !this.#stillFails;
    const found = fails ? await attribute(new Set([FAILS]), this.#names, this.#ask) : new Map();
    const { builds, open } = this.#trials;
    return { breaks: found.get(FAILS) ?? [], builds, open: [...open], spoilt: !fails };
  }

  async explain(explained: readonly Explained[], explaining: Explaining): Promise<Experimented> {
    this.#explaining = explaining;
    const own = explained.filter((one) => !mayFollow(one, explained));
    const follow = new Set(explained.filter((one) => mayFollow(one, explained)).map(({ place }) => place));
    this.#passed = follow.difference(new Set(own.map(({ place }) => place)));
    if (explaining.flaky) return await this.#explainNoise(own);
    const sure = new Set(own.flatMap((one) => sureOf(one)));
    const rest = this.#names.filter((name) => !sure.has(name));
    const first = await this.#hold(rest);
    if (first === undefined) return this.#answer(own, new Map());
    if (this.#names.includes("race")) await this.#equal.shake();
    const further = this.#furtherIn([first, ...this.#equal.held, ...this.#equal.delayed], explained);
    const all = [...own, ...further];
    if (first.spots.size > 0 || all.some((one) => sureOf(one).length === 0)) await this.#place();
    const asked = this.#asked(first.spots);
    this.#atoms.discover(asked);
    const ids = this.#atoms.touched(new Map([...asked].filter(([place]) => own.some((one) => one.place === place))));
    this.#add(await attribute(ids, rest, this.#ask, this.#guesses(own, ids, rest)));
    await this.#explainRest(own, [...sure]);
    const drawn = [...DRAWN, "cpu-count" as const].filter((name) => this.#names.includes(name));
    const quiet = further.filter((one) => !this.#isNoise(one));
    await this.#explainBy(drawn, 0, quiet, all);
    if (this.#attribution.size > 0) await this.#confirm();
    const every = [...all, ...this.#untold(all)];
    return this.#answer(every, await this.#nameNoise(every));
  }

  /** The build in which all is held, side by side with the one in which `names` vary; if they differ, one more for the noise. */
  async #hold(names: readonly CauseName[]): Promise<Trial | undefined> {
    const [first] = await this.#trials.withControl([this.#still, this.#world(names)]);
    this.#stillFails = this.#trials.failed;
    if (this.#trials.control === undefined || first === undefined) return undefined;
    this.#known.set(keyOf(names, 0), first);
    if (first.spots.size > 0) await this.#equal.holdAgain(["held again"]);
    return first;
  }

  /** Where the first of the two builds differs from the control: so what differs in it is found in the control's bytes. */
  async #place(): Promise<void> {
    const { control } = this.#trials;
    const difference = control === undefined ? undefined : await diff(this.#explaining.folder, control, {});
    const leaves = difference === undefined ? [] : [...leavesOf(difference)];
    this.#differing = new Map(
      [...Map.groupBy(leaves, placeOf)].map(([place, found]) => [place, found.flatMap(({ ranges }) => ranges)]),
    );
  }

  /** What of the spots is asked for: neither noise nor what merely follows. */
  #asked(spots: Spots): Spots {
    return new Map(
      [...without(spots, this.#equal.noise)].filter(
        ([place]) =>
          place !== FAILS && !this.#passed.has(place) && !this.#explaining.checksums.has(place.split("\0", 1)[0] ?? ""),
      ),
    );
  }

  /** What differs between builds of experiments only: two agreed by chance, or what runs side by side met in the same order. */
  #furtherIn(trials: readonly Trial[], explained: readonly Explained[]): Explained[] {
    const known = new Set(explained.map(({ place }) => place));
    return trials
      .flatMap(({ leaves }) => leaves)
      .flatMap((leaf) => {
        const place = placeOf(leaf);
        if (known.has(place) || leaf.what === "field" || this.#explaining.checksums.has(leaf.path[0] ?? "")) return [];
        known.add(place);
        return [this.#furtherLeaf(leaf)];
      });
  }

  #furtherLeaf(leaf: Leaf): Explained {
    this.#further.add(leaf);
    return { leaf, place: placeOf(leaf), follows: false, causes: [] };
  }

  /** Parts of which something is known that no leaf has: the two builds agreed there by chance, and differ beside it. */
  #untold(all: readonly Explained[]): Explained[] {
    const told = new Set(all.flatMap((one) => this.#atomsOf(one, all)));
    const parts = [...this.#attribution.keys()].flatMap((id) => (told.has(id) ? [] : (this.#atoms.where(id) ?? [])));
    const places = new Set(all.map(({ place }) => place));
    for (const [place, spans] of this.#equal.noise) {
      const here = all.filter((one) => one.place === place).flatMap((one) => this.#spansOf(one));
      const open = spans.filter((span) => places.has(place) && !here.some((one) => touches(one, span)));
      parts.push(...open.map((span) => ({ place, span })));
    }
    const trials = [...this.#known.values(), ...this.#equal.held, ...this.#equal.delayed];
    return parts.flatMap(({ place, span }) => {
      const leaf = trials
        .values()
        .map((trial) => leafAt(trial, place, span))
        .find((one) => one !== undefined);
      return leaf === undefined || this.#further.has(leaf) ? [] : [this.#furtherLeaf(leaf)];
    });
  }

  /** A guess for every atom, or none at all: a single one without a guess costs as much as all of them. */
  #guesses(all: readonly Explained[], atoms: ReadonlySet<Place>, names: readonly CauseName[]): CauseName[] {
    const guessed = new Map<Place, CauseName>();
    for (const one of all) {
      const guess = guessFor(one, names);
      if (guess !== undefined) for (const id of this.#atomsOf(one, all)) guessed.set(id, guess);
    }
    const distinct = [...new Set(guessed.values())];
    return [...atoms].every((id) => guessed.has(id)) && distinct.length <= 3 ? distinct : [];
  }

  /** Leaves that are still without a cause: made by the sure variations, by these with others, or shown by other draws alone. */
  async #explainRest(all: readonly Explained[], known: readonly CauseName[]): Promise<void> {
    const open = (): Explained[] =>
      all.filter(
        (one) =>
          sureOf(one).length === 0 &&
          !this.#isNoise(one) &&
          !this.#atomsOf(one, all).some((id) => this.#attribution.has(id)),
      );
    const sets = known.length === 0 ? [] : [known, this.#names];
    for (const names of sets) await this.#explainBy(names, 0, open(), all);
    for (let round = 1; round < MOST_DRAWS; round++) await this.#explainBy(this.#names, round, open(), all);
  }

  async #explainBy(
    names: readonly CauseName[],
    round: number,
    open: readonly Explained[],
    all: readonly Explained[],
  ): Promise<void> {
    if (open.length === 0) return;
    const [trial] = await this.#trialsIn([names], round);
    if (trial === undefined) return;
    const { spots } = trial;
    const asked = this.#asked(spots);
    this.#atoms.discover(asked);
    const wanted = new Set(open.flatMap((one) => this.#atomsOf(one, all)));
    const ids = this.#atoms.touched(asked).intersection(wanted);
    this.#add(await attribute(ids, names, async (sets) => await this.#askIn(sets, round)));
  }

  /**
   * What was blamed must not differ between equal builds: a flaky place that
   * agreed by chance is noise, and blames nobody. What joint draws are blamed
   * for is asked of each with other draws.
   */
  async #confirm(): Promise<void> {
    await this.#equal.holdAgain(["held a second time"]);
    for (const id of this.#atoms.within(this.#equal.noise)) this.#attribution.delete(id);
    const joint = [...this.#attribution].flatMap(([id, sets]) =>
      sets.filter((set) => set.length > 1 && set.some((name) => DRAWN.includes(name))).map((set) => ({ id, set })),
    );
    const single = [...new Set(joint.flatMap(({ set }) => set))].map((name) => [name]);
    for (let round = 1; single.length > 0 && round <= ROUNDS; round++) {
      const answers = await this.#askIn(single, round);
      for (const { id, set } of joint) {
        const alone = set.filter((name) => answers[single.findIndex(([one]) => one === name)]?.has(id) === true);
        if (alone.length === 0) continue;
        const others = (this.#attribution.get(id) ?? []).filter((one) => one !== set);
        this.#attribution.set(id, distinctSets([...others, ...alone.map((name) => [name])]));
      }
    }
    const blame = { attribution: this.#attribution, atoms: this.#atoms };
    const rounds = Array.from({ length: MOST_DRAWS }, (_, round) => round);
    const drawn = (set: readonly CauseName[]): Trial[] =>
      rounds.flatMap((round) => this.#known.get(keyOf(set, round)) ?? []);
    tellOrders(blame, drawn);
    tellSources(blame, drawn, this.#other.firstPid ?? 1);
    await tellRaces(blame, this.#world(["cpu-count"]), this.#trials);
    await tellMachines(blame, this.#world(["machine"]), this.#trials);
  }

  /** Flaky from the start: what is held and agrees then differs by its randomness. */
  async #explainNoise(own: readonly Explained[]): Promise<Experimented> {
    const [again] = await this.#trials.withControl([this.#still, { ...this.#still, name: "held again" }]);
    if (this.#trials.control === undefined || again === undefined) {
      return this.#answer(own, new Map(own.map(({ leaf }) => [leaf, undefined])));
    }
    this.#equal.add(again);
    await this.#place();
    const named = await this.#nameNoise(own, true);
    const held = this.#names.includes("random") ? "random" : undefined;
    return this.#answer(own, new Map(own.map(({ leaf }) => [leaf, named.has(leaf) ? named.get(leaf) : held])));
  }

  /**
   * Of noise, with all held and on one CPU: a race where equal builds agree more
   * often than under other schedules, or show two shapes only; an order that is
   * another every time is a hash's, and other values are drawn.
   */
  async #nameNoise(all: readonly Explained[], flaky = false): Promise<Map<Leaf, CauseName | undefined>> {
    const named = new Map<Leaf, CauseName | undefined>();
    const noisy = (): Explained[] => all.filter((one) => this.#isNoise(one));
    if (noisy().length === 0 && !flaky) return named;
    await this.#equal.holdAgain(["held a third time", ...(this.#equal.held.length < 2 ? ["held a fourth time"] : [])]);
    const delayed = await this.#equal.delay(Math.max(0, FEW_SCHEDULES - this.#equal.delayed.length));
    if (flaky) this.#equal.setAside(delayed);
    for (const one of noisy()) {
      const spans = this.#spansOf(one);
      const noise = (this.#equal.noise.get(one.place) ?? []).filter((span) =>
        spans.some((other) => touches(span, other)),
      );
      const [still, moving] = [this.#equal.held, this.#equal.delayed].map((trials) =>
        trials.map((trial) => printAt(trial, one.place, noise)),
      );
      if (still === undefined || moving === undefined) continue;
      const shown = this.#equal.held.flatMap((trial) => noise.flatMap((span) => leafAt(trial, one.place, span) ?? []));
      const numbers = this.#names.includes("pid") && areProcessNumbers(one.leaf, shown, this.#other.firstPid ?? 1);
      named.set(one.leaf, numbers ? "pid" : nameOfNoise(still, moving));
    }
    return named;
  }

  #isNoise(one: Explained): boolean {
    const noise = this.#equal.noise.get(one.place) ?? [];
    return this.#spansOf(one).some((span) => noise.some((other) => touches(span, other)));
  }

  #spansOf(one: Explained): Span[] {
    return spansIn(one.leaf, this.#further.has(one.leaf) ? [] : (this.#differing.get(one.place) ?? []));
  }

  /** The atoms of a leaf; of the only leaf of its place, all there. */
  #atomsOf(one: Explained, all: readonly Explained[]): Place[] {
    const found = this.#atoms.touchedBy(one.place, this.#spansOf(one));
    if (found.length > 0 || all.some((other) => other !== one && other.place === one.place)) return found;
    return this.#atoms.touchedBy(one.place, undefined);
  }

  #add(from: Attribution): void {
    for (const [id, sets] of from) this.#attribution.set(id, [...(this.#attribution.get(id) ?? []), ...sets]);
  }

  readonly #ask: Ask = async (sets) => await this.#askIn(sets, 0);

  async #askIn(
    sets: readonly (readonly CauseName[])[],
    round: number,
  ): Promise<readonly (ReadonlySet<Place> | undefined)[]> {
    const answers = await this.#trialsIn(sets, round);
    return answers.map((trial) => {
      if (trial === undefined) return undefined;
      return trial.spots.has(FAILS) ? new Set([FAILS]) : this.#atoms.touched(this.#asked(trial.spots));
    });
  }

  /** What differs when these vary; no set is built twice. */
  async #trialsIn(sets: readonly (readonly CauseName[])[], round: number): Promise<(Trial | undefined)[]> {
    const fresh = new Map(sets.map((set) => [keyOf(set, round), set]));
    for (const known of this.#known.keys()) fresh.delete(known);
    const trials = await this.#trials.of([...fresh.values()].map((set) => this.#world(set, round)));
    for (const [index, key] of [...fresh.keys()].entries()) {
      const trial = trials[index];
      if (trial !== undefined) this.#known.set(key, light(trial));
    }
    return sets.map((set) => this.#known.get(keyOf(set, round)));
  }

  #world(names: readonly CauseName[], round = 0): World {
    const other = round === 0 ? this.#other : experimentWorld(this.#other, round);
    const name = names.length === 0 ? "held" : names.join("+");
    return mixed(this.#still, other, names, round === 0 ? name : `${name} drawn ${round}`);
  }

  #answer(all: readonly Explained[], noise: Map<Leaf, CauseName | undefined>): Experimented {
    const attribution = new Map(
      all.flatMap((one) => {
        const sets = this.#atomsOf(one, all).flatMap((id) => this.#attribution.get(id) ?? []);
        return sets.length === 0 ? [] : [[one.leaf, distinctSets(sets)] as const];
      }),
    );
    const { builds, open } = this.#trials;
    const tried = [
      `${builds} builds, with each of ${[...this.#names].sort(byteOrder).join(", ")} varied or held`,
      ...(noise.size === 0 ? [] : ["equal builds differ there too, with all held and on one CPU"]),
      ...open,
    ];
    const further = all.filter(({ leaf }) => this.#further.has(leaf) && (attribution.has(leaf) || noise.has(leaf)));
    return { evidence: { attribution, noise, tried }, further, builds, open: [...open], spoilt: this.#stillFails };
  }
}

const keyOf = (set: readonly CauseName[], round: number): string => `${[...set].sort().join(" ")} ${round}`;

const sureOf = ({ causes }: Explained): CauseName[] =>
  causes.filter(({ confidence }) => confidence === "certain").map(({ name }) => name);
