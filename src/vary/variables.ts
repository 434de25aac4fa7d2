import type { World } from "../world.ts";

/**
 * Environment variables that belong to a variation of their own, so that an
 * experiment can vary one kind and keep the rest; all others are `environment`'s.
 */
const OWNED: Readonly<Record<Exclude<Owner, "environment">, readonly string[]>> = {
  "hash-order": ["PYTHONHASHSEED", "PERL_HASH_SEED", "PERL_PERTURB_KEYS"],
  uninitialised: ["MALLOC_PERTURB_"],
  "cpu-model": ["GLIBC_TUNABLES"],
  terminal: ["TERM", "COLUMNS", "LINES", "CI", "NO_COLOR"],
};

/** A variation that sets variables. */
type Owner = "hash-order" | "uninitialised" | "cpu-model" | "terminal" | "environment";

const OWNER: ReadonlyMap<string, string> = new Map(
  Object.entries(OWNED).flatMap(([owner, names]) => names.map((name) => [name, owner] as const)),
);

/** The variables of `world` that the variation `owner` owns, by name. */
export function variablesOf(world: World, owner: Owner): Record<string, string> {
  return Object.fromEntries(
    Object.entries(world.environment)
      .filter(([name]) => (OWNER.get(name) ?? "environment") === owner)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** `world` with its variables of `owner` replaced by `variables`. */
export function withVariables(world: World, owner: Owner, variables: Readonly<Record<string, string>>): World {
  const others = Object.entries(world.environment).filter(([name]) => (OWNER.get(name) ?? "environment") !== owner);
  return { ...world, environment: { ...Object.fromEntries(others), ...variables } };
}

/** `A=1 B=2`, or `unset`. */
export function shownVariables(world: World, owner: Owner): string {
  const shown = Object.entries(variablesOf(world, owner)).map(([name, value]) => `${name}=${value}`);
  return shown.length === 0 ? "unset" : shown.join(" ");
}
