import { strict as assert } from "node:assert";
import test from "node:test";
import { digestOf } from "../digest.ts";
import { clock, HELD_AT, heldAfter } from "./clock.ts";
import { crutchesOf, determinised, determinisedPair } from "./determinise.ts";
import { mtime } from "./mtime.ts";
import type { Watermark } from "./variation.ts";
import { adversarialWorld, experimentWorlds, held, mixed, variations, worldPair } from "./worlds.ts";

const source = { epoch: 1_700_000_001, treeDigest: digestOf("source") };
const [canonical] = worldPair("thing");

const marks = (shown: number, watermarks: readonly Watermark[]): boolean =>
  watermarks.some((one) => one.find(Buffer.from(`at ${shown}.`)).length > 0);

test("the two worlds of a determinised build differ in name and start alone", () => {
  const [one, two] = determinisedPair(canonical, source);
  assert.deepEqual({ ...two, name: one.name, startDelay: one.startDelay }, one);
  assert.ok(one.startDelay > 2000 && two.startDelay === 0);
  assert.equal(one.clockHeld, source.epoch);
  assert.equal(one.cpus, 1);
});

test("whatever the world was, a determinised one is held still, and by the source alone", () => {
  const adversarial = determinised(adversarialWorld("thing"), source);
  const { clockOffset, clockHeld, aslr, directoryOrder, fileOffset } = adversarial;
  assert.deepEqual(
    [clockOffset, clockHeld, aslr, directoryOrder, fileOffset],
    [0, source.epoch, false, "sorted", undefined],
  );
  assert.equal(determinised(canonical, source).random, adversarial.random);
  assert.notEqual(determinised(canonical, { ...source, treeDigest: digestOf("other") }).random, adversarial.random);
});

test("crutches are told in words; a world that is not held has none, nor does one claim what is lacking", () => {
  assert.deepEqual(crutchesOf(canonical, []), []);
  const world = determinised(canonical, source);
  const told = crutchesOf(world, []);
  assert.equal(told[0], "the clock stands still at 2023-11-14T22:13:21Z (SOURCE_DATE_EPOCH), and file times with it");
  assert.ok(told.some((line) => line.includes("can be predicted")));
  assert.ok(told.some((line) => line.includes("PYTHONHASHSEED=0")));
  const lacking = crutchesOf(world, [{ what: "no compiler", remedy: "install one", causes: ["clock", "random"] }]);
  assert.equal(lacking.length, told.length - 2);
  assert.doesNotMatch(lacking.join("\n"), /clock stands still|predicted/);
});

test("a held world keeps an instant of its own; clock and file times then vary one without the other", () => {
  const still = held(canonical);
  assert.equal(still.clockHeld, HELD_AT);
  assert.equal(still.startDelay, 0);
  assert.equal(held({ ...canonical, clockHeld: 5 }).clockHeld, 5);
  const other = adversarialWorld("thing");
  const [later, older] = [mixed(still, other, ["clock"], "clock"), mixed(still, other, ["mtime"], "mtime")];
  assert.deepEqual([later.clockHeld, later.clockOffset, later.fileOffset], [HELD_AT, other.clockOffset, undefined]);
  assert.deepEqual([older.clockHeld, older.clockOffset, older.fileOffset], [HELD_AT, 0, other.fileOffset]);
  const times = { start: 0, end: 1000 };
  assert.ok(marks(HELD_AT + other.clockOffset, clock.watermarks(later, times)));
  assert.ok(marks(HELD_AT + (other.fileOffset ?? 0), mtime.watermarks(older, times)));
  assert.ok(!marks(HELD_AT, mtime.watermarks(older, times)));
});

test("experiments hold the clock after the source, with a day's file times before it, at one time of day", () => {
  for (const epoch of [0, HELD_AT - 1, HELD_AT, HELD_AT + 1, source.epoch, 4_000_000_000]) {
    const at = heldAfter(epoch);
    assert.ok(at >= HELD_AT && at - epoch > 9 * 86_400, String(epoch));
    assert.ok(epoch < HELD_AT || at - epoch <= 11 * 86_400, String(epoch));
    assert.equal((at - HELD_AT) % 86_400, 0);
    const [still, other] = experimentWorlds("thing", epoch);
    for (const world of variations.map(({ name }) => mixed(still, other, [name], name))) {
      assert.equal(world.clockHeld, at);
      assert.ok(at + (world.fileOffset ?? 0) + Math.min(0, world.clockOffset) > epoch);
    }
  }
});
