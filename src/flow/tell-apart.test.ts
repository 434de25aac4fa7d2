import { strict as assert } from "node:assert";
import test from "node:test";
import type { Leaf } from "../diff/difference.ts";
import { Atoms } from "../explain/atoms.ts";
import { noiseOf, spotsOf } from "../explain/regions.ts";
import type { CauseName } from "../world.ts";
import { areProcessNumbers, tellSources } from "./tell-apart.ts";
import type { Trial } from "./trials.ts";

/** A line that a build has in place of the control's. */
function line(a: string, b: string): Leaf {
  const [bytesA, bytesB] = [Buffer.from(a), Buffer.from(b)];
  const ranges = [{ a: { offset: 0, length: bytesA.length }, b: { offset: 0, length: bytesB.length } }];
  return { kind: "leaf", path: ["out.txt"], what: "text", a, b, ranges, bytesA, bytesB, atA: 0, atB: 0 };
}

const trialOf = (leaf: Leaf): Trial => ({ spots: spotsOf([leaf]), noise: noiseOf([leaf]), leaves: [leaf] });

/** Of one line that each of these variations alone makes another, what is left of the blame. */
function told(shown: Partial<Record<CauseName, Leaf>>): CauseName[][] {
  const atoms = new Atoms();
  const leaves = Object.entries(shown) as [CauseName, Leaf][];
  const [id = ""] = leaves.flatMap(([, leaf]) => [...atoms.discover(spotsOf([leaf]))]);
  const attribution = new Map([[id, leaves.map(([name]) => [name])]]);
  tellSources(
    { attribution, atoms },
    ([name]) => leaves.filter(([one]) => one === name).map(([, leaf]) => trialOf(leaf)),
    23_417,
  );
  return attribution.get(id) ?? [];
}

/** A line with an address; in pieces, that the source of this test may not look like what was printed at one. */
const at = (low: string): string => `at 0x${"7f"}${low}\n`;

test("what is drawn depends on addresses, too: the draw is the cause; an address is, where one stands", () => {
  const drawn = {
    aslr: line("key RP88dGtm8vw\n", "key Vno5nh2k0oP\n"),
    random: line("key RP88dGtm8vw\n", "key 8eGutlBjdYZ\n"),
  };
  assert.deepEqual(told(drawn), [["random"]]);
  const printed = {
    aslr: line(at("3a5c8e1000"), at("11aa8e1000")),
    random: line(at("3a5c8e1000"), at("3a5c8e2000")),
  };
  assert.deepEqual(told(printed), [["aslr"]]);
});

test("which number a process gets depends on how many ran before it: the number is the cause", () => {
  const numbers = { pid: line("gen-36\n", "gen-23440\n"), "cpu-count": line("gen-36\n", "gen-38\n") };
  assert.deepEqual(told(numbers), [["pid"]]);
  const counts = { pid: line("jobs 2\n", "jobs 3\n"), "cpu-count": line("jobs 2\n", "jobs 1\n") };
  assert.deepEqual(told(counts), [["pid"], ["cpu-count"]]);
});

test("numbers of processes that equal builds do not agree in are told from numbers that were drawn", () => {
  const leaf = line("gen-36\n", "gen-23440\n");
  assert.equal(areProcessNumbers(leaf, [line("gen-36\n", "gen-39\n")], 23_417), true);
  assert.equal(areProcessNumbers(leaf, [line("gen-36\n", "gen-48103\n")], 23_417), false);
  assert.equal(areProcessNumbers(line("gen-36\n", "gen-48103\n"), [], 23_417), false);
});

test("a name with a digest says nothing beside the content that it is the digest of, and all where it stands alone", () => {
  const path = ["main-3f2a9bc1.js → main-77d0e2f4.js"];
  const name: Leaf = {
    kind: "leaf",
    path,
    what: "field",
    field: "name",
    a: "main-3f2a9bc1.js",
    b: "main-77d0e2f4.js",
    ranges: [],
  };
  const content = { ...line("let id = 1\n", "let id = 2\n"), path };
  assert.deepEqual([...spotsOf([name, content])], [["main-#.js", [{ from: 0, to: 11 }]]]);
  assert.deepEqual([...noiseOf([name])], [["main-#.js", [{ from: 0, to: Infinity }]]]);
});
