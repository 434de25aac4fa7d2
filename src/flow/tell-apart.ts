/** What an experiment's blame stands for: a seed that is an order, CPUs that are a race, a machine that is its processor. */
import type { Leaf } from "../diff/difference.ts";
import { onlyAddressesDiffer } from "../explain/addresses.ts";
import type { Atoms } from "../explain/atoms.ts";
import type { Attribution, Place } from "../explain/group-testing.ts";
import type { CauseName, World } from "../world.ts";
import { nameMachineCauses, otherMachines } from "./machine-causes.ts";
import { FAILS, leafAt, printAt, type Trial, type Trials } from "./trials.ts";

/** Blame to be told apart, and where its places are. */
export interface Blame {
  attribution: Attribution;
  atoms: Atoms;
}

/** What a seed alone puts in another order comes out of a hash. `drawn`: the builds in which that set alone varied. */
export function tellOrders(
  { attribution, atoms }: Blame,
  drawn: (set: readonly CauseName[]) => readonly Trial[],
): void {
  for (const [id, sets] of attribution) {
    const where = atoms.where(id);
    const orders = sets.map((set): CauseName[] => {
      if (set.length !== 1 || set[0] !== "random" || where === undefined) return set;
      return drawn(set).some((trial) => printAt(trial, where.place, [where.span]).moved) ? ["hash-order"] : set;
    });
    attribution.set(id, distinctSets(orders));
  }
}

/**
 * What comes out of what: a generator is seeded by addresses among other things, so what is drawn differs with these, too;
 * and which number a process gets depends on how many ran before it. `firstPid`: where the other world's numbers begin.
 */
export function tellSources(
  { attribution, atoms }: Blame,
  drawn: (set: readonly CauseName[]) => readonly Trial[],
  firstPid: number,
): void {
  for (const [id, sets] of attribution) {
    const where = atoms.where(id);
    const alone = new Set(sets.flatMap((set) => (set.length === 1 ? set : [])));
    if (where === undefined) continue;
    const shown = (name: CauseName): Leaf[] =>
      drawn([name]).flatMap((trial) => leafAt(trial, where.place, where.span) ?? []);
    const keep = (...names: CauseName[]): void =>
      void attribution.set(
        id,
        sets.filter((set) => set.length > 1 || names.includes(set[0] ?? "unknown")),
      );
    if (alone.has("pid") && alone.size > 1 && shown("pid").some(({ b }) => holdsNumber(b, firstPid))) keep("pid");
    else if (alone.has("aslr") && alone.has("random")) {
      const addresses = shown("aslr").some(({ a, b }) => onlyAddressesDiffer(a ?? "", b ?? ""));
      keep(...alone.difference(new Set([addresses ? "random" : "aslr"])));
    }
  }
}

/** As many processes as a build may well start. */
const SPAN = 3000;

const holdsNumber = (text: string | undefined, first: number): boolean =>
  [...(text ?? "").matchAll(/(?<![\d.])\d{1,7}(?![\d.])/g)].some(([digits]) => {
    const number = Number(digits);
    return number >= first && number < first + SPAN;
  });

/**
 * Whether what differs in equal builds, too, is which number a process got: it depends on how many ran before. `leaf`: of
 * the two builds, the second of which counted from `firstPid`; `equal`: of builds that counted from 1.
 */
export function areProcessNumbers(leaf: Leaf, equal: readonly Leaf[], firstPid: number): boolean {
  return (
    firstPid > SPAN &&
    holdsNumber(leaf.b, firstPid) &&
    equal.every(({ a, b }) => holdsNumber(a, 2) && holdsNumber(b, 2))
  );
}

/** What several CPUs make differ is a race where builds with all of them, as in `world`, differ from one another. */
export async function tellRaces(blame: Blame, world: World, trials: Trials): Promise<void> {
  const { attribution } = blame;
  const blamed = [...attribution].filter(([, sets]) => sets.some((set) => set.includes("cpu-count")));
  if (blamed.length === 0) return;
  const names = ["all CPUs", "all CPUs again", "all CPUs once more"];
  const built = succeeded(await trials.of(names.map((name) => ({ ...world, name }))));
  for (const [id, sets] of blamed) {
    const prints = new Set(built.map((trial) => printOf(blame, id, trial)));
    if (prints.size < 2) continue;
    const told = sets.map((set) => set.map((name): CauseName => (name === "cpu-count" ? "race" : name)));
    attribution.set(id, distinctSets(told));
  }
}

/** What a virtual machine makes differ comes from its processor or its memory where machines with others differ, too. */
export async function tellMachines(blame: Blame, world: World, trials: Trials): Promise<void> {
  const blamed = [...blame.attribution].filter(([, sets]) => sets.some((set) => set.includes("machine")));
  if (blamed.length === 0) return;
  const alone = { ...world, name: "machine alone" };
  const others = otherMachines(alone);
  const [first, ...built] = await trials.of([alone, ...others.map((one) => one.world)]);
  if (first === undefined || first.spots.has(FAILS)) return;
  const differing = new Map<CauseName, ReadonlySet<Place>>();
  for (const [index, { cause }] of others.entries()) {
    const trial = built[index];
    if (trial === undefined || trial.spots.has(FAILS)) continue;
    const places = blamed.map(([id]) => id).filter((id) => printOf(blame, id, first) !== printOf(blame, id, trial));
    differing.set(cause, new Set(places));
  }
  nameMachineCauses(blame.attribution, differing);
}

/** What a build has at an atom, as a digest; undefined for an atom that is nowhere. */
function printOf({ atoms }: Blame, id: Place, trial: Trial): string | undefined {
  const where = atoms.where(id);
  return where === undefined ? undefined : printAt(trial, where.place, [where.span]).print;
}

/** Those that there was time for, and that did not fail. */
const succeeded = (trials: readonly (Trial | undefined)[]): Trial[] =>
  trials.filter((one) => one !== undefined).filter(({ spots }) => !spots.has(FAILS));

export const distinctSets = (sets: readonly CauseName[][]): CauseName[][] => [
  ...new Map(sets.map((set) => [set.join(" "), set])).values(),
];
