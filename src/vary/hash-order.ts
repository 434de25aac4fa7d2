import { against, type Variation } from "./variation.ts";
import { shownVariables, variablesOf, withVariables } from "./variables.ts";

/** PERL_PERTURB_KEYS=0: the seed alone gives perl's order; with 2, what its tables saw before does too, the environment for one. */
const SEEDS = (python: string, perl: string): Record<string, string> => ({
  PYTHONHASHSEED: python,
  PERL_HASH_SEED: perl,
  PERL_PERTURB_KEYS: "0",
});

/** Fixed seeds of hashing, another for each round. */
export function hashSeeds(round = 0): Record<string, string> {
  return SEEDS(String(3491 + 1009 * round), `0x${(0x5a3c91e7 + 0x01010101 * round).toString(16)}`);
}

/**
 * The order in which Python's sets and perl's hashes give their members. The
 * canonical world leaves it to them, as strangers who build again do: it is
 * then another in every process.
 */
export const hashOrder: Variation = {
  name: "hash-order",
  how: "`PYTHONHASHSEED`, `PERL_HASH_SEED`, `PERL_PERTURB_KEYS`: unset in the canonical world, so that every process draws its own; fixed in the adversarial one.",
  shows: "The same members, keys or lines in another order: no value, so no watermark.",
  beyond:
    "Hashes that take their seed elsewhere: Go's maps and Rust's `HashMap` draw it from the kernel (`random`), Java's `Set.of` from the time since boot. Two members stand in the same order half the time.",
  describe: (a, b) => against("hash seeds", shownVariables(a, "hash-order"), shownVariables(b, "hash-order")),
  take: (world, other) => withVariables(world, "hash-order", variablesOf(other, "hash-order")),
  hold: (world) => withVariables(world, "hash-order", SEEDS("0", "0")),
  watermarks: () => [],
  remedy:
    "sort what comes out of a set or hash before it is written (sorted(…), sort keys %h, json.dumps(sort_keys=True)), or set PYTHONHASHSEED=0, PERL_HASH_SEED=0 for the build",
};
