/** Group testing against places whose causes are known, and the number of experiments that it takes. */
import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import type { CauseName } from "../world.ts";
import { type Ask, attribute, type Place } from "./group-testing.ts";

const NAMES: readonly CauseName[] = [
  "clock",
  "mtime",
  "timezone",
  "locale",
  "path",
  "readdir-order",
  "user",
  "umask",
  "hostname",
  "cpu-count",
  "aslr",
  "hash-order",
  "random",
  "pid",
  "uninitialised",
  "environment",
];

/** Places by the sets that make them differ. */
type Truth = Record<Place, CauseName[][]>;

function oracle(truth: Truth): { ask: Ask; builds: () => number } {
  let builds = 0;
  const ask: Ask = async (sets) => {
    builds += sets.length;
    return sets.map(
      (set) =>
        new Set(
          Object.entries(truth)
            .filter(([, causes]) => causes.some((needed) => needed.every((one) => set.includes(one))))
            .map(([place]) => place),
        ),
    );
  };
  return { ask, builds: () => builds };
}

const normal = (causes: readonly (readonly CauseName[])[] | undefined): string[] =>
  (causes ?? []).map((one) => one.toSorted().join("+")).toSorted();

test("single causes of many places are all found, in O(k log n) experiments", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 8,
      }),
      async (places) => {
        const truth = Object.fromEntries(places.map((names, index) => [`p${index}`, names.map((one) => [one])]));
        const { ask, builds } = oracle(truth);
        const found = await attribute(new Set(Object.keys(truth)), NAMES, ask);
        for (const [place, causes] of Object.entries(truth)) assert.deepEqual(normal(found.get(place)), normal(causes));
        const causes = new Set(places.flat()).size;
        assert.ok(
          builds() <= 10 + 2 * causes * Math.ceil(Math.log2(NAMES.length)),
          `${builds()} builds for ${causes} causes`,
        );
      },
    ),
  );
});

test("what differs only when several vary together is found as that", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 2, maxLength: 4 }),
      fc.constantFrom(...NAMES),
      async (joint, single) => {
        const truth: Truth = { joint: [joint], single: [[single]] };
        const { ask, builds } = oracle(truth);
        const found = await attribute(new Set(["joint", "single"]), NAMES, ask);
        assert.deepEqual(normal(found.get("joint")), normal([joint]));
        assert.deepEqual(normal(found.get("single")), [single]);
        assert.ok(builds() <= 60, String(builds()));
      },
    ),
  );
});

test("what cannot be built or asked any more is left open, and nothing is guessed", async () => {
  const { ask } = oracle({ a: [["clock"]], b: [["environment"]] });
  let left = 3;
  const tired: Ask = async (sets) => {
    const answers = await ask(sets);
    return answers.map((answer) => (left-- > 0 ? answer : undefined));
  };
  const found = await attribute(new Set(["a", "b"]), NAMES, tired);
  for (const [place, causes] of found) assert.deepEqual(causes, [[place === "a" ? "clock" : "environment"]]);
  assert.ok(found.size < 2);
});
