/** Causes from made differences: named only for what stands in the bytes. */
import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import type { Difference, Leaf } from "../diff/difference.ts";
import { variations, worldPair } from "../vary/worlds.ts";
import type { CauseName, World } from "../world.ts";
import type { Cause } from "./cause.ts";
import { explain, NO_EVIDENCE } from "./conclude.ts";
import type { Side } from "./explain.ts";

const START = Date.UTC(2026, 10, 23, 10, 0, 0);
const [worldA, worldB] = worldPair("thing");
const A: Side = { world: worldA, times: { start: START, end: START + 1000 } };
const B: Side = { world: worldB, times: { start: START + 2100, end: START + 3100 } };

function contentLeaf(a: string | Uint8Array, b: string | Uint8Array, more: Partial<Leaf> = {}): Leaf {
  const [bytesA, bytesB] = [a, b].map((side) => (typeof side === "string" ? utf8(side) : side)) as [
    Uint8Array,
    Uint8Array,
  ];
  const ranges = [{ a: { offset: 0, length: bytesA.length }, b: { offset: 0, length: bytesB.length } }];
  return { kind: "leaf", path: ["out/x"], what: "text", ranges, bytesA, bytesB, atA: 0, atB: 0, ...more };
}

function fieldLeaf(field: string, a: string, b: string, path: string[] = ["out/x.tar", "member"]): Leaf {
  return { kind: "leaf", path, what: "field", field, a, b, ranges: [] };
}

function causes(leaves: readonly Leaf[], sides: readonly [Side, Side] = [A, B]): Cause[] {
  const difference: Difference = { kind: "node", path: [], format: "directory", children: [...leaves] };
  return explain(difference, sides, variations);
}

const told = (found: readonly Cause[]): string[] => found.map(({ name, confidence }) => `${name} ${confidence}`);

const line = ({ user, hostname, buildPath }: World): string => `${user.name}@${hostname}:${buildPath}/main.c\n`;

const epoch = (milliseconds: number): string => String(milliseconds / 1000);

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString().replace(".000Z", "Z");

test("certain: each side bears its own world's watermark, and the offset is the content's", () => {
  const found = causes([
    contentLeaf(`made on ${worldA.hostname}\n`, `made on ${worldB.hostname}\n`, { atA: 100, atB: 100 }),
  ]);
  assert.deepEqual(told(found), ["hostname certain"]);
  const [cause] = found;
  assert.deepEqual(cause?.evidence, { a: worldA.hostname, b: worldB.hostname });
  assert.equal(cause?.offset, 108);
  assert.deepEqual([cause?.artifact, cause?.leaf], ["out/x", []]);
  assert.notEqual(cause?.remedy, "");
});

test("likely: a sure watermark on one side alone", () => {
  assert.deepEqual(told(causes([contentLeaf("host: none\n", `host: ${worldB.hostname}\n`)])), ["hostname likely"]);
  const [one] = causes([contentLeaf(`host: ${worldA.hostname}\n`, "host: localhost\n")]);
  assert.deepEqual([one?.name, one?.confidence, one?.evidence.b], ["hostname", "likely", "localhost\n"]);
});

test("the other world's watermark, on the wrong side, is none", () => {
  assert.deepEqual(told(causes([contentLeaf(worldB.hostname, worldA.hostname)])), ["unknown possible"]);
});

test("unknown is said plainly: with the place, both sides and no remedy", () => {
  const found = causes([contentLeaf("q8Z!", "w1K?", { path: ["out/x.zip", "inner/y"] })]);
  assert.deepEqual(found, [
    {
      artifact: "out/x.zip",
      leaf: ["inner/y"],
      name: "unknown",
      offset: 0,
      evidence: { a: "q8Z!", b: "w1K?" },
      confidence: "possible",
      remedy: "",
    },
  ]);
});

test("several causes in one leaf are all named", () => {
  const found = causes([contentLeaf(line(worldA), line(worldB))]);
  assert.deepEqual(told(found), ["hostname certain", "path certain", "user certain"]);
});

test("clock and file times are told apart by what the second world shows", () => {
  const shown = iso(START + 2000 + worldB.clockOffset * 1000);
  assert.deepEqual(told(causes([contentLeaf(`at ${iso(START)}`, `at ${shown}`)])), ["clock certain"]);
  assert.deepEqual(told(causes([contentLeaf(`at ${iso(START)}`, `at ${iso(START + 3000)}`)])), ["mtime certain"]);
  const field = fieldLeaf("mtime", epoch(START), epoch(START + 3000));
  const [cause] = causes([field]);
  assert.deepEqual([cause?.name, cause?.leaf], ["mtime", ["member", "mtime"]]);
  assert.deepEqual(cause?.evidence, { a: epoch(START), b: epoch(START + 3000) });
});

test("owners: certain when both are their worlds' users, likely when one is", () => {
  const [a, b] = [String(worldA.user.uid), String(worldB.user.uid)];
  assert.deepEqual(told(causes([fieldLeaf("uid", a, b)])), ["user certain"]);
  assert.deepEqual(told(causes([fieldLeaf("uid", a, "7")])), ["user likely"]);
  assert.deepEqual(told(causes([fieldLeaf("uid", "7", b)])), ["user likely"]);
  assert.deepEqual(told(causes([fieldLeaf("uname", worldA.user.name, worldB.user.name)])), ["user certain"]);
  assert.deepEqual(told(causes([fieldLeaf("uid", "7", "8")])), ["unknown possible"]);
});

test("modes: the umask is blamed only for what each umask leaves", () => {
  assert.deepEqual([worldA.umask, worldB.umask], [0o022, 0o002]);
  assert.deepEqual(told(causes([fieldLeaf("mode", "644", "664")])), ["umask likely"]);
  assert.deepEqual(told(causes([fieldLeaf("mode", "664", "644")])), ["unknown possible"], "the wrong way round");
  assert.deepEqual(told(causes([fieldLeaf("mode", "644", "755")])), ["unknown possible"], "the umask sets no x");
  assert.deepEqual(told(causes([fieldLeaf("mode", "link", "644")])), ["unknown possible"]);
});

test("another order is the folders' only where the worlds list folders differently", () => {
  const leaf = contentLeaf("b\na\n", "a\nb\n", { what: "order" });
  assert.deepEqual(told(causes([leaf])), ["readdir-order likely"]);
  const alike: Side = { ...B, world: { ...worldB, directoryOrder: worldA.directoryOrder } };
  assert.deepEqual(told(causes([leaf], [A, alike])), ["unknown possible"]);
});

test("what only follows is a consequence, of something in the same artifact alone", () => {
  const primary = contentLeaf(worldA.hostname, worldB.hostname, { path: ["out/x.tar", "member"] });
  const derived = fieldLeaf("derived", "checksum 1", "checksum 2", ["out/x.tar"]);
  const elsewhere = fieldLeaf("compressed", "", "", ["out/y.gz"]);
  const found = causes([derived, primary, elsewhere]);
  assert.deepEqual(told(found), ["hostname certain", "unknown possible", "consequence certain"]);
  assert.deepEqual(
    found.map(({ artifact }) => artifact),
    ["out/x.tar", "out/y.gz", "out/x.tar"],
  );
});

test("a member that is called derived follows from nothing", () => {
  const named = contentLeaf("q8Z!", "w1K?", { path: ["out/x.tar", "derived"] });
  const other = contentLeaf(worldA.hostname, worldB.hostname, { path: ["out/x.tar", "member"] });
  assert.deepEqual(told(causes([named, other])), ["hostname certain", "unknown possible"]);
});

test("the same difference gives the same list, in whatever order the leaves come", () => {
  const leaves = [
    contentLeaf("q8Z!", "w1K?", { path: ["b"] }),
    contentLeaf(worldA.hostname, worldB.hostname, { path: ["c"] }),
    contentLeaf(worldA.hostname, worldB.hostname, { path: ["a"] }),
    fieldLeaf("uid", String(worldA.user.uid), "7"),
  ];
  assert.deepEqual(causes(leaves), causes(leaves.toReversed()));
});

/** Bytes with watermarks of both worlds strewn in. */
const strewn = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 24 }),
      fc
        .constantFrom(
          ...[worldA, worldB].flatMap(({ hostname, user, buildPath, timezone }) => [
            hostname,
            user.name,
            buildPath,
            timezone,
          ]),
          iso(START),
          iso(START + 2100),
          iso(START + 2000 + worldB.clockOffset * 1000),
          String(START / 1000),
        )
        .map(utf8),
    ),
    { maxLength: 6 },
  )
  .map((parts) => new Uint8Array(Buffer.concat(parts)));

const bears = (name: string, bytes: Uint8Array, { world, times }: Side): boolean =>
  variations
    .filter((variation) => variation.name === name)
    .some((variation) => variation.watermarks(world, times).some((watermark) => watermark.find(bytes).length > 0));

test("no cause is named without a watermark of its own in the bytes", () => {
  fc.assert(
    fc.property(strewn, strewn, (a, b) => {
      fc.pre(!Buffer.from(a).equals(b));
      const found = causes([contentLeaf(a, b)]);
      assert.ok(found.length > 0, "a difference never goes without a word");
      for (const { name, confidence } of found) {
        if (name === "unknown") {
          assert.equal(found.length, 1);
          continue;
        }
        const [inA, inB] = [bears(name, a, A), bears(name, b, B)];
        assert.ok(inA || inB, `${name} stands on neither side`);
        if (confidence === "certain") assert.ok(inA && inB, `${name} is certain from one side`);
      }
    }),
    { numRuns: 300 },
  );
});

test("that a packer stores what it cannot make shorter follows from the content; the same content stored otherwise does not", () => {
  const path = ["out/p.zip", "parts.tar.gz"];
  const stored = [fieldLeaf("method", "deflated", "stored", path), fieldLeaf("version-needed", "20", "10", path)];
  const content = contentLeaf(`${worldA.hostname}\n`, `${worldB.hostname}\n`, { path: [...path, "gunzip", "x"] });
  assert.deepEqual(told(causes([content, ...stored])), [
    "hostname certain",
    "consequence certain",
    "consequence certain",
  ]);
  const elsewhere = { ...content, path: ["out/p.zip", "other"] };
  assert.ok(!told(causes([elsewhere, ...stored])).includes("consequence certain"));
});

/** At an offset that is the same on both sides. */
function textAt(offset: number, a: string, b: string): Leaf {
  return contentLeaf(a, b, { ranges: [{ a: { offset, length: a.length }, b: { offset, length: b.length } }] });
}

test("what moved has the cause of the parts of the move that experiments showed; other lines stay unknown", () => {
  const shown = textAt(0, "", "green 2\n");
  const swapped = textAt(15, "gold 6\ncyan 4\n", "blue 3\n");
  const others = [
    textAt(28, "green 2\n", ""),
    textAt(60, "brown 9\n", ""),
    textAt(90, "blue 3\n", "gold 6\n"),
    textAt(120, "x 1\n", "0x1f\n"),
  ];
  const difference: Difference = { kind: "node", path: [], format: "directory", children: [shown, swapped, ...others] };
  const told = (name: CauseName): string[] => {
    const attribution = new Map([shown, swapped].map((leaf) => [leaf, [[name]]]));
    return explain(difference, [A, B], variations, { ...NO_EVIDENCE, attribution, tried: ["9 builds"] }).map(
      (cause) => `${cause.name} ${cause.offset}`,
    );
  };
  const unknown = ["unknown 60", "unknown 120"];
  assert.deepEqual(told("hash-order"), ["hash-order 0", "hash-order 15", "hash-order 28", "hash-order 90", ...unknown]);
  assert.deepEqual(told("user"), ["user 0", "user 15", "unknown 28", "unknown 60", "unknown 90", "unknown 120"]);
});
