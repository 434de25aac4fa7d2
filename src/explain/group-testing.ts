import type { CauseName } from "../world.ts";

/**
 * Which variations make which places differ, by adaptive group testing. An
 * experiment builds with a set of variations on and all others held; its
 * answer is the set of places that then differ from the build in which all are
 * held. One answer serves every place at once, so that k causes among n
 * variations take O(k log n) experiments, however many places there are.
 */
export type Place = string;

/** The places that differ for each set, asked at one time; undefined: not known, since there was no more time or it did not build. */
export type Ask = (sets: readonly (readonly CauseName[])[]) => Promise<readonly (ReadonlySet<Place> | undefined)[]>;

/** For a place, the smallest sets that make it differ: several when each does by itself, one of several names when only all together do. */
export type Attribution = Map<Place, CauseName[][]>;

/**
 * Finds what makes each of `places` differ, all of which do when all of
 * `names` vary (`always` vary besides). What experiments leave open is missing
 * from the answer.
 */
export async function attribute(
  places: ReadonlySet<Place>,
  names: readonly CauseName[],
  ask: Ask,
): Promise<Attribution> {
  const found: Attribution = new Map();
  await split({ places, names, always: [] }, remembering(ask), found);
  return found;
}

interface Question {
  places: ReadonlySet<Place>;
  names: readonly CauseName[];
  always: readonly CauseName[];
}

const key = (set: readonly CauseName[]): string => [...set].sort().join(" ");

/** A set that was asked for is not built again. */
function remembering(ask: Ask): Ask {
  const known = new Map<string, ReadonlySet<Place> | undefined>();
  return async (sets) => {
    const fresh = [...new Map(sets.map((set) => [key(set), set])).entries()].filter(([one]) => !known.has(one));
    const answers = fresh.length === 0 ? [] : await ask(fresh.map(([, set]) => set));
    for (const [index, [one]] of fresh.entries()) known.set(one, answers[index]);
    return sets.map((set) => known.get(key(set)));
  };
}

async function split({ places, names, always }: Question, ask: Ask, found: Attribution): Promise<void> {
  if (places.size === 0 || names.length === 0) return;
  if (names.length === 1) {
    for (const place of places) note(found, place, [...always, ...names]);
    return;
  }
  const [left, right] = halves(names);
  const [inLeft, inRight] = await ask([
    [...always, ...left],
    [...always, ...right],
  ]);
  const byLeft = places.intersection(inLeft ?? new Set());
  const byRight = places.intersection(inRight ?? new Set());
  await split({ places: byLeft, names: left, always }, ask, found);
  await split({ places: byRight, names: right, always }, ask, found);
  if (inLeft === undefined || inRight === undefined) return;
  const joint = places.difference(byLeft).difference(byRight);
  for (const [place, needed] of await together(joint, names, always, false, ask)) {
    if (needed !== undefined) note(found, place, [...always, ...needed]);
  }
}

/**
 * The smallest set of `names` without which a place does not differ, for places
 * that no half makes differ by itself: QuickXplain (Junker, 2004) over places
 * at once. `grown`: something was added to `always` since it was last asked.
 */
async function together(
  places: ReadonlySet<Place>,
  names: readonly CauseName[],
  always: readonly CauseName[],
  grown: boolean,
  ask: Ask,
): Promise<Map<Place, CauseName[] | undefined>> {
  const needed = new Map<Place, CauseName[] | undefined>();
  if (places.size === 0) return needed;
  let open = places;
  if (grown) {
    const [already] = await ask([always]);
    if (already === undefined) return new Map([...places].map((place) => [place, undefined]));
    for (const place of places.intersection(already)) needed.set(place, []);
    open = places.difference(already);
  }
  if (names.length === 1) {
    for (const place of open) needed.set(place, [...names]);
    return needed;
  }
  const [left, right] = halves(names);
  const ofRight = await together(open, right, [...always, ...left], left.length > 0, ask);
  const groups = Map.groupBy(open, (place) => JSON.stringify(ofRight.get(place) ?? null));
  for (const [group, members] of groups) {
    const fromRight = JSON.parse(group) as CauseName[] | null;
    if (fromRight === null) {
      for (const place of members) needed.set(place, undefined);
      continue;
    }
    const ofLeft = await together(new Set(members), left, [...always, ...fromRight], fromRight.length > 0, ask);
    for (const place of members) {
      const fromLeft = ofLeft.get(place);
      needed.set(place, fromLeft === undefined ? undefined : [...fromLeft, ...fromRight]);
    }
  }
  return needed;
}

function halves(names: readonly CauseName[]): [CauseName[], CauseName[]] {
  const middle = Math.ceil(names.length / 2);
  return [names.slice(0, middle), names.slice(middle)];
}

function note(found: Attribution, place: Place, causes: CauseName[]): void {
  const known = found.get(place) ?? [];
  found.set(place, [...known, causes]);
}
