import { strict as assert } from "node:assert";
import test from "node:test";
import { BitforbitError } from "../errors.ts";
import { variedBetween, worldPair } from "../vary/worlds.ts";
import type { CauseName } from "../world.ts";
import { type Asked, askedFor, experimentPair, leftOut, pairAsFor, unasked, type Wishes } from "./asked.ts";

const usual = variedBetween(...worldPair("thing"));
const varied = (asked: Asked): CauseName[] => variedBetween(...pairAsFor(worldPair("thing"), asked));

test("nothing asked for: the usual variations, and the optional ones are told with how to ask", () => {
  const asked = askedFor({});
  assert.deepEqual(varied(asked), usual);
  const [lack, ...more] = unasked(asked, []);
  assert.deepEqual(lack?.causes, ["race", "load", "filesystem", "vcs"]);
  assert.match(lack?.remedy ?? "", /--vary all/);
  assert.deepEqual(
    more.map(({ remedy }) => remedy),
    ["'bitforbit check --vary machine'"],
  );
  assert.deepEqual(unasked(asked, ["race"])[0]?.causes, ["load", "filesystem", "vcs"]);
});

test("what is asked for is varied, in the two builds and in experiments", () => {
  const asked = askedFor({ vary: ["vcs"] }, { vary: ["filesystem"] });
  assert.deepEqual(new Set(varied(asked)), new Set([...usual, "filesystem", "vcs"]));
  assert.ok(variedBetween(...experimentPair("thing", 1_700_000_000, asked)).includes("vcs"));
  assert.match(unasked(asked, [])[0]?.remedy ?? "", /--vary race,load'/);
  assert.deepEqual(
    unasked(askedFor({}, { vary: ["all"] }), []).map(({ causes }) => causes),
    [["machine"]],
    "it is slow",
  );
  assert.deepEqual(unasked(askedFor({}, { vary: ["all", "machine"] }), []), []);
});

test("what is left out is the same in both worlds, and told with who left it out", () => {
  const recipe = { noVary: ["path"] };
  const asked = askedFor(recipe, { noVary: ["clock", "mtime", "random", "hash-order"] });
  assert.deepEqual(
    varied(asked),
    usual.filter((name) => !["path", "clock", "mtime", "random", "hash-order"].includes(name)),
  );
  const [a, b] = pairAsFor(worldPair("thing"), asked);
  assert.equal(a.environment["PYTHONHASHSEED"], b.environment["PYTHONHASHSEED"]);
  assert.notEqual(a.random, undefined, "left to the machine, it would differ by itself");
  assert.equal(a.random, b.random);
  const told = leftOut(asked, recipe).map(({ what }) => what);
  assert.equal(told.length, 2);
  assert.match(told[0] ?? "", /^path: left out by no-vary in bitforbit.toml$/);
  assert.match(told[1] ?? "", /clock.*by --no-vary$/);
});

test("without the clock, the clock is real in experiments too", () => {
  const [still, other] = experimentPair("thing", 1_700_000_000, askedFor({}, { noVary: ["clock"] }));
  for (const world of [still, other]) {
    assert.deepEqual([world.clockHeld, world.clockOffset], [undefined, 0]);
  }
  assert.notEqual(experimentPair("thing", 1_700_000_000, askedFor({}))[0].clockHeld, undefined);
});

test("the command line goes before the recipe", () => {
  assert.deepEqual(askedFor({ noVary: ["clock"] }, { vary: ["clock"] }).without, []);
  assert.deepEqual(askedFor({ noVary: ["clock"] }, { vary: ["all"] }).without, []);
  assert.deepEqual(askedFor({ vary: ["vcs"] }, { noVary: ["vcs"] }), { vary: [], without: ["vcs"] });
  assert.deepEqual(askedFor({}, { vary: ["all"], noVary: ["load"] }).vary, ["race", "filesystem", "vcs"]);
});

test("an unknown name is an error that lists the names", () => {
  const cases: [Parameters<typeof askedFor>[0], Wishes, string, RegExp][] = [
    [{}, { vary: ["cvs"] }, "usage", /--vary: no variation "cvs"/],
    [{}, { noVary: ["all"] }, "usage", /--no-vary: no variation "all"/],
    [{}, { vary: ["vcs"], noVary: ["vcs"] }, "usage", /vcs is both asked for and left out/],
    [{ vary: ["cvs"] }, {}, "input", /bitforbit\.toml: vary: no variation "cvs"/],
  ];
  for (const [recipe, wishes, code, message] of cases) {
    assert.throws(
      () => askedFor(recipe, wishes),
      (error) => error instanceof BitforbitError && error.code === code && message.test(error.message),
    );
  }
  assert.throws(
    () => askedFor({}, { vary: ["cvs"] }),
    (error) => error instanceof BitforbitError && /all, .*filesystem.*vcs/.test(error.hint ?? ""),
  );
});
