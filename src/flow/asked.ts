/** Which variations a check makes: what is asked for besides the usual ones, and what is left out. */
import { BitforbitError } from "../errors.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { experimentWorlds, mixed, variations, withOptional } from "../vary/worlds.ts";
import type { CauseName, Lack, World } from "../world.ts";

export interface Asked {
  /** The optional variations that are made. */
  vary: readonly CauseName[];
  /** What does not differ between the worlds, though it would. */
  without: readonly CauseName[];
}

/** Names as a person wrote them, on the command line. */
export interface Wishes {
  vary?: readonly string[];
  noVary?: readonly string[];
}

const ALL = "all";

const optional: readonly CauseName[] = variations.filter((one) => one.optional === true).map(({ name }) => name);

/** What takes many times as long: its own name asks for it. */
const slow: readonly CauseName[] = variations.filter((one) => one.slow === true).map(({ name }) => name);

/**
 * What recipe and command line ask for together; the command line goes before
 * the recipe. Throws `usage`, or `input` for the recipe's, naming what is no variation.
 */
export function askedFor(recipe: Pick<Recipe, "vary" | "noVary">, wishes: Wishes = {}): Asked {
  const [varied, left] = [named(wishes.vary, "--vary", true), named(wishes.noVary, "--no-vary", false)];
  const both = left.find((name) => varied.includes(name) && wishes.vary?.includes(ALL) !== true);
  if (both !== undefined) {
    throw new BitforbitError("usage", `${both} is both asked for and left out: --vary and --no-vary name it`);
  }
  const recipeVaries = named(recipe.vary, "bitforbit.toml: vary", true);
  const recipeLeaves = named(recipe.noVary, "bitforbit.toml: no-vary", false);
  const without = new Set([...recipeLeaves.filter((name) => !varied.includes(name)), ...left]);
  const vary = new Set([...recipeVaries, ...varied]);
  return {
    vary: optional.filter((name) => vary.has(name) && !without.has(name)),
    without: variations.map(({ name }) => name).filter((name) => without.has(name)),
  };
}

function named(names: readonly string[] | undefined, where: string, mayBeAll: boolean): CauseName[] {
  const known = variations.map(({ name }) => name);
  return (names ?? []).flatMap((name) => {
    if (mayBeAll && name === ALL) return known.filter((one) => !slow.includes(one));
    const found = known.find((one) => one === name);
    if (found !== undefined) return [found];
    throw new BitforbitError(
      where.startsWith("--") ? "usage" : "input",
      `${where}: no variation ${JSON.stringify(name)}`,
      {
        hint: `${mayBeAll ? `${ALL}, ` : ""}${known.join(", ")}`,
      },
    );
  });
}

/** The pair with the variations that are asked for, and without those that are left out. */
export function pairAsFor([canonical, adversarial]: readonly [World, World], asked: Asked): [World, World] {
  const held = heldIn(canonical, asked);
  // One that starts later would differ in file times: who leaves these out has both start at once.
  const still = asked.without.includes("mtime") ? { ...held, startDelay: 0 } : held;
  return [still, heldIn(mixed(withOptional(adversarial, asked.vary), still, asked.without, adversarial.name), asked)];
}

/** What a canonical world leaves to the machine differs by itself: to leave it out is to hold it, in both. */
function heldIn(world: World, { without }: Asked): World {
  return variations
    .filter(({ name }) => (name === "random" || name === "hash-order") && without.includes(name))
    .reduce((still, one) => one.hold?.(still) ?? still, world);
}

/** The two worlds of experiments. A build that needs the real time needs it there, too. */
export function experimentPair(project: string, epoch: number, asked: Asked): [still: World, other: World] {
  const [still, other] = experimentWorlds(project, epoch);
  const every = withOptional(other, asked.vary);
  if (!asked.without.includes("clock")) return [still, every];
  return [unheld(still), { ...unheld(every), clockOffset: still.clockOffset }];
}

/** The same two worlds where the clock goes as it does: a build that needs the real time fails where it is held. */
export function unheldPair([still, other]: readonly [World, World]): [still: World, other: World] {
  return [unheld(still), unheld(other)];
}

function unheld(world: World): World {
  const { clockHeld: _, fileOffset: __, ...real } = world;
  return real;
}

/** Of what is left out, as the verdict tells it. */
export function leftOut({ without }: Asked, recipe: Pick<Recipe, "noVary">): Lack[] {
  const parts = [
    { causes: without.filter((name) => recipe.noVary?.includes(name) === true), by: "no-vary in bitforbit.toml" },
    { causes: without.filter((name) => recipe.noVary?.includes(name) !== true), by: "--no-vary" },
  ];
  return parts
    .filter(({ causes }) => causes.length > 0)
    .map(({ causes, by }) => ({
      what: `${causes.join(", ")}: left out by ${by}`,
      remedy: `'bitforbit check --vary ${causes.join(",")}' varies ${causes.length === 1 ? "it" : "them"}`,
      causes,
    }));
}

/** The optional variations that nobody asked for. `made`: in which the worlds differed nevertheless. */
export function unasked({ vary, without }: Asked, made: readonly CauseName[]): Lack[] {
  const open = optional.filter((name) => !vary.includes(name) && !without.includes(name) && !made.includes(name));
  const usual = open.filter((name) => !slow.includes(name));
  const all = usual.length === optional.length - slow.length;
  return [
    ...(usual.length === 0 ? [] : [nobodyAsked(usual, all ? ALL : usual.join(","))]),
    ...open.filter((name) => slow.includes(name)).map((name) => nobodyAsked([name], name)),
  ];
}

function nobodyAsked(causes: CauseName[], names: string): Lack {
  return { what: `${causes.join(", ")}: nobody asked for it`, remedy: `'bitforbit check --vary ${names}'`, causes };
}
