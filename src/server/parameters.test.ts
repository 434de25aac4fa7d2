import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { tileParameter } from "./parameters.ts";

const written = (level: string, index: number, width: number): string => {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/\d{3}/g) ?? [];
  const path = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join("/");
  return `tile/${level}/${path}${width === 0 ? "" : `.p/${width}`}`;
};

test("every tile of every tree has a name that is taken as it is", () => {
  const level = fc.oneof(fc.nat(63).map(String), fc.constant("entries"));
  fc.assert(
    fc.property(level, fc.nat(Number.MAX_SAFE_INTEGER), fc.nat(255), (at, index, width) => {
      const path = written(at, index, width);
      assert.equal(tileParameter(path), path);
    }),
  );
});

test("nothing else is taken: no name that is accepted can leave the tree", () => {
  const piece = fc.constantFrom(
    "tile",
    "/",
    "..",
    ".",
    "x001",
    "067",
    "000",
    "entries",
    "0",
    "64",
    ".p",
    "\\",
    "\0",
    "%",
    "x",
    "\n",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const path = pieces.join("");
      try {
        tileParameter(path);
      } catch {
        return;
      }
      assert.match(path, /^tile\/(entries|\d{1,2})(\/x?\d{3})+(\.p\/\d{1,3})?$/);
      assert.doesNotMatch(path, /\.\.|\/\/|x000\/|\n/);
    }),
    { numRuns: 2000 },
  );
});
