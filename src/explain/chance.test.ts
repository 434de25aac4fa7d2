/** The chance that something was missed, against throwing the dice. */
import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { buildsFor, chanceMissed, parsePercentage } from "./chance.ts";

test("two builds miss an outcome of one in ten four times of five", () => {
  assert.equal(chanceMissed(2, 0.1).toFixed(2), "0.82");
  assert.equal(chanceMissed(2, 0.5), 0.5);
});

test("so many builds are enough, and one fewer is not", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.5, max: 0.9999, noNaN: true }),
      fc.double({ min: 0.01, max: 0.5, noNaN: true }),
      (confidence, rarity) => {
        const builds = buildsFor(confidence, rarity);
        assert.ok(chanceMissed(builds, rarity) <= 1 - confidence + 1e-9);
        assert.ok(builds === 2 || chanceMissed(builds - 1, rarity) > 1 - confidence);
      },
    ),
  );
  assert.equal(buildsFor(0.999, 0.1), 66);
});

test("a percentage is read, and anything else is named", () => {
  assert.equal(parsePercentage("99.9%", 0.5, 0.999999), 0.999);
  assert.equal(parsePercentage("95", 0.5, 0.999999), 0.95);
  for (const wrong of ["", "x", "100%", "0%", "-5%", "1e1", "99,9%"]) {
    assert.throws(() => parsePercentage(wrong, 0.5, 0.999999), new RegExp(JSON.stringify(wrong)));
  }
});
