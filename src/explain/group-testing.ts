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
 * `names` vary. `guesses` are tried by themselves first: where they are all
 * there is, nothing else is built but once with all the others. What
 * experiments leave open is missing from the answer.
 */
export async function attribute(
  places: ReadonlySet<Place>,
  names: readonly CauseName[],
  ask: Ask,
  guesses: readonly CauseName[] = [],
): Promise<Attribution> {
  const found: Attribution = new Map();
  const once = remembering(ask);
  const first = guesses.filter((name) => names.includes(name));
  if (first.length === 0 || first.length === names.length) {
    await resolve(places, names, once, found);
    return found;
  }
  const others = names.filter((name) => !first.includes(name));
  const [inOthers, ...inEach] = await once([others, ...first.map((name) => [name])]);
  for (const [index, name] of first.entries()) noteAll(found, places.intersection(inEach[index] ?? new Set()), [name]);
  await resolve(places.intersection(inOthers ?? new Set()), others, once, found);
  if (inOthers === undefined || inEach.includes(undefined)) return found;
  await jointly(
    inEach.reduce<ReadonlySet<Place>>((open, one) => open.difference(one ?? new Set()), places.difference(inOthers)),
    names,
    once,
    found,
  );
  return found;
}

/** So few names are asked for one by one. */
const FEW = 3;

/**
 * Gives each name a word of as many sets as any other has, and builds each set
 * once: a place that one name alone makes differ shows that name's word, one
 * of several names shows more sets than a word has, and what only a joint
 * makes differ shows fewer. What was read so is asked for by itself.
 */
async function resolve(
  places: ReadonlySet<Place>,
  names: readonly CauseName[],
  ask: Ask,
  found: Attribution,
): Promise<void> {
  if (places.size === 0 || names.length === 0) return;
  if (names.length <= FEW) return await oneByOne(places, names, ask, found);
  const words = wordsFor(names.length);
  const sets = Array.from({ length: words.bits }, (_, bit) =>
    names.filter((_, index) => ((words.of[index] ?? 0) & (1 << bit)) !== 0),
  );
  const answers = await ask(sets);
  const shown = Map.groupBy(places, (place) =>
    answers.reduce((word, answer, bit) => word | (answer?.has(place) === true ? 1 << bit : 0), 0),
  );
  if (answers.includes(undefined)) return;
  const read = names.filter((_, index) => shown.has(words.of[index] ?? 0));
  const several = [...shown].filter(([word]) => weight(word) > words.weight);
  const rest = names.filter((name) => !read.includes(name));
  const [inRest, ...inEach] = await ask([...(several.length === 0 ? [[]] : [rest]), ...read.map((name) => [name])]);
  for (const [index, name] of read.entries()) noteAll(found, places.intersection(inEach[index] ?? new Set()), [name]);
  for (const [word, members] of several) {
    const open = new Set(members).intersection(inRest ?? new Set());
    const possible = rest.filter((name) => ((words.of[names.indexOf(name)] ?? 0) & ~word) === 0);
    await split({ places: open, names: possible, always: [] }, ask, found);
  }
  if (inRest === undefined || inEach.includes(undefined)) return;
  for (const [word, members] of shown) {
    const open = new Set(members.filter((place) => !found.has(place)));
    const within = sets.filter((_, bit) => (word & (1 << bit)) !== 0).sort((a, b) => a.length - b.length)[0] ?? names;
    await jointly(open, weight(word) > words.weight ? names : within, ask, found);
  }
}

async function oneByOne(
  places: ReadonlySet<Place>,
  names: readonly CauseName[],
  ask: Ask,
  found: Attribution,
): Promise<void> {
  const answers = names.length === 1 ? [places] : await ask(names.map((name) => [name]));
  for (const [index, name] of names.entries()) noteAll(found, places.intersection(answers[index] ?? new Set()), [name]);
  if (answers.includes(undefined)) return;
  await jointly(new Set([...places].filter((place) => !found.has(place))), names, ask, found);
}

async function jointly(
  places: ReadonlySet<Place>,
  names: readonly CauseName[],
  ask: Ask,
  found: Attribution,
): Promise<void> {
  for (const [place, needed] of await together(places, names, [], false, ask)) {
    if (needed !== undefined) note(found, place, needed);
  }
}

/** Words of equal weight, so that no two of them together show a third: the fewest bits that give enough of them. */
function wordsFor(many: number): { bits: number; weight: number; of: number[] } {
  for (let bits = 4; ; bits++) {
    const half = Math.floor(bits / 2);
    const of: number[] = [];
    for (let word = 0; word < 1 << bits && of.length < many; word++) if (weight(word) === half) of.push(word);
    if (of.length === many) return { bits, weight: half, of };
  }
}

function weight(word: number): number {
  let ones = 0;
  for (let left = word; left !== 0; left &= left - 1) ones++;
  return ones;
}

interface Question {
  places: ReadonlySet<Place>;
  names: readonly CauseName[];
  always: readonly CauseName[];
}

const key = (set: readonly CauseName[]): string => [...set].sort().join(" ");

/** A set that was asked for is not built again. */
function remembering(ask: Ask): Ask {
  const known = new Map<string, ReadonlySet<Place> | undefined>([["", new Set()]]);
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

function noteAll(found: Attribution, places: Iterable<Place>, causes: CauseName[]): void {
  for (const place of places) note(found, place, causes);
}

function note(found: Attribution, place: Place, causes: CauseName[]): void {
  const known = found.get(place) ?? [];
  found.set(place, [...known, causes]);
}
