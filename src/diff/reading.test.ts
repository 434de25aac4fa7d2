import { strict as assert } from "node:assert";
import test from "node:test";
import { stripVTControlCharacters } from "node:util";
import * as fc from "fast-check";
import type { Difference, Leaf } from "./difference.ts";
import { kindRule, pathMatcher, pathRule, profileRules, withoutExcluded } from "./exclusion.ts";
import { type Reading, verdictOf } from "./reading.ts";
import { renderText } from "./render.ts";
import { hexRows } from "./report/hex-rows.ts";
import { distinct, textColumns, visible } from "./report/visible.ts";
import { editsOf, linePairs, withContext, wordPieces } from "./report/words.ts";
import { summaryLine, summaryMarkdown } from "./summary-line.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const leaf = (path: string[], rest: Partial<Leaf>): Leaf => ({ kind: "leaf", path, what: "text", ranges: [], ...rest });
const range = (offset: number, length: number, other: number = length): Leaf["ranges"][number] => ({
  a: { offset, length },
  b: { offset, length: other },
});
const folder = (...children: (Leaf | Difference)[]): Difference => ({
  kind: "node",
  path: [],
  format: "directory",
  children,
});
const text = (path: string[], a: string, b: string): Leaf =>
  leaf(path, { a, b, bytesA: bytes(a), bytesB: bytes(b), ranges: [range(0, a.length, b.length)], atA: 0, atB: 0 });
const readingOf = (difference: Difference | undefined, rest: Partial<Reading> = {}): Reading => ({
  a: { name: "a" },
  b: { name: "b" },
  difference,
  excluded: [],
  incomplete: [],
  ...rest,
});

const many: Difference = folder(
  ...Array.from({ length: 200 }, (_, at) =>
    leaf([`f${at}`], { what: "field", field: "mtime", a: "1", b: "2", ranges: [range(0, 4)] }),
  ),
  ...Array.from({ length: 50 }, (_, at) => text([`t${at}`], `line ${at} old\n`, `line ${at} new\n`)),
  leaf(["x.gz"], { what: "field", field: "derived", ranges: [range(9, 1000)], note: "follows" }),
);

test("a difference applied by its edits gives the other side", () => {
  const words = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 40 });
  fc.assert(
    fc.property(words, words, (a, b) => {
      const made: string[] = [];
      let [done, doneB] = [0, 0];
      for (const [fromA, toA, fromB, toB] of editsOf(a, b)) {
        assert.deepEqual(a.slice(done, fromA), b.slice(doneB, fromB), "what lies between edits is the same");
        made.push(...a.slice(done, fromA), ...b.slice(fromB, toB));
        [done, doneB] = [toA, toB];
      }
      assert.deepEqual([...made, ...a.slice(done)], b);
    }),
    { numRuns: 2000 },
  );
});

test("pairs of lines and pieces of words hold every line and every character once", () => {
  const line = fc
    .array(fc.constantFrom("foo", "bar", " ", "x=1", "é", "😀"), { maxLength: 8 })
    .map((words) => words.join(""));
  const lines = fc.array(line, { maxLength: 12 });
  fc.assert(
    fc.property(lines, lines, (a, b) => {
      const pairs = linePairs(a, b);
      assert.deepEqual(
        pairs.flatMap((pair) => (pair.a === undefined ? [] : [pair.a])),
        a,
      );
      assert.deepEqual(
        pairs.flatMap((pair) => (pair.b === undefined ? [] : [pair.b])),
        b,
      );
      for (const pair of pairs) if (!pair.changed) assert.equal(pair.a, pair.b);
      const pieces = wordPieces(a.join(" "), b.join(" "));
      assert.equal(pieces.a.map((piece) => piece.text).join(""), a.join(" "));
      assert.equal(pieces.b.map((piece) => piece.text).join(""), b.join(" "));
      if (a.join(" ") !== b.join(" ")) assert.ok([...pieces.a, ...pieces.b].some((piece) => piece.marked));
    }),
    { numRuns: 1000 },
  );
});

test("lines beside each other are those that became each other, and a listing keeps three around a change", () => {
  const a = ["push rbp", "mov rbp, rsp", "call one", "nop", "nop 1", "nop 2", "nop 3", "nop 4", "ret"];
  const b = ["push rbp", "mov rbp, rsp", "xor eax, eax", "call two", "nop", "nop 1", "nop 2", "nop 3", "nop 4", "ret"];
  const pairs = linePairs(a, b);
  assert.deepEqual(pairs[3], { a: "call one", b: "call two", changed: true });
  assert.deepEqual(pairs[2], { b: "xor eax, eax", changed: true });
  const rows = withContext(pairs, 3);
  assert.equal(rows.length, 2 + 2 + 3 + 1);
  assert.equal(rows.at(-1), undefined);
});

test("hex rows mark what differs and nothing else, aligned past an insertion", () => {
  const common = Uint8Array.from({ length: 64 }, (_, at) => at);
  const b = new Uint8Array([...common.slice(0, 20), 0xaa, 0xbb, ...common.slice(20)]);
  const rows = hexRows({ bytes: common, at: 0 }, { bytes: b, at: 0 }, [[20, 0, 20, 2]], {
    perRow: 16,
    context: 0,
    most: 10,
  });
  assert.equal(rows.length, 1);
  assert.deepEqual([rows[0]?.atA, rows[0]?.atB], [16, 16]);
  assert.deepEqual(rows[0]?.a.slice(4, 6), [-1, -1]);
  assert.deepEqual(rows[0]?.b.slice(4, 6), [0xaa, 0xbb]);
  assert.deepEqual(rows[0]?.marked.map(Number), [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("hex rows hold every differing byte of ranges in order, whatever lies between them", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 400 }), { minLength: 1, maxLength: 12 }),
      fc.nat({ max: 2 }),
      (places, context) => {
        const a = new Uint8Array(420);
        const sorted = [...new Set(places)].sort((x, y) => x - y);
        const b = a.slice();
        for (const place of sorted) b[place] = 1;
        const rows = hexRows(
          { bytes: a, at: 0 },
          { bytes: b, at: 0 },
          sorted.map((at) => [at, 1, at, 1] as const),
          { perRow: 16, context, most: 1000 },
        );
        const found = rows.flatMap((row) => row.marked.flatMap((marked, at) => (marked ? [row.atA + at] : [])));
        assert.deepEqual(found, sorted);
        let end = 0;
        for (const row of rows) {
          assert.ok(row.atA >= end && row.a.length <= 16, "rows do not overlap");
          end = row.atA + row.a.length;
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("what cannot be seen, or looks the same, is spelled out", () => {
  assert.equal(visible("a\u001b[2J\u202e\u200b\ufeff\n\ud800"), "a\\u{001b}[2J\\u{202e}\\u{200b}\\u{feff}↵\\u{d800}");
  assert.deepEqual(distinct("a b", "a  b"), { a: "a·b", b: "a··b" });
  const { a, b } = distinct("e\u0301", "\u00e9");
  assert.notEqual(a.normalize("NFKC"), b.normalize("NFKC"));
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (any) =>
      assert.doesNotMatch(visible(any), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u),
    ),
  );
});

test("a screen has no more lines than it was given, and says what it does not show", () => {
  for (const maxTotal of [10, 24, 50]) {
    const lines = renderText(many, { width: 80, maxTotal });
    assert.ok(lines.length <= maxTotal, `${lines.length} lines of ${maxTotal}`);
    assert.match(lines.at(-1) ?? "", /… and \d+ more differences: --full/);
  }
  const all = renderText(many, { width: 80 });
  assert.ok(all.some((line) => line.includes("mtime  1 (1970-01-01T00:00:01Z) → 2 (1970-01-01T00:00:02Z)")));
  assert.ok(all.some((line) => line.includes("in 200 places: f0")));
  assert.ok(all.findIndex((line) => line === "content") < all.findIndex((line) => line === "metadata"));
  assert.match(all.at(-2) ?? "", /derived/);
});

test("no line is wider than the terminal, with colours or without, and a long line shows where it differs", () => {
  const wide = folder(
    text(
      ["日本".repeat(60)],
      `${"字".repeat(300)} one ${"z".repeat(300)}\n`,
      `${"字".repeat(300)} two ${"z".repeat(300)}\n`,
    ),
    leaf(["v"], {
      what: "field",
      field: "mode",
      a: "x".repeat(500),
      b: `${"x".repeat(250)}y${"x".repeat(250)}`,
      ranges: [range(0, 1)],
    }),
  );
  for (const width of [60, 80, 140]) {
    for (const color of [false, true]) {
      const lines = renderText(wide, { width, color }).map((line) => stripVTControlCharacters(line));
      for (const line of lines) assert.ok(textColumns(line) <= width, `${textColumns(line)} > ${width}: ${line}`);
      assert.ok(lines.some((line) => / one /.test(line)) && lines.some((line) => / two /.test(line)));
      assert.ok(lines.some((line) => /x+yx+/.test(line)));
    }
  }
});

const matches = (glob: string, ...path: string[]): boolean => pathMatcher(glob)(path);

test("globs name a place or what contains it", () => {
  assert.ok(matches("*.pyc", "dist/x.whl", "a/b.pyc") === false && matches("**/*.pyc", "dist/x.whl", "a/b.pyc"));
  assert.ok(matches("dist", "dist/x.whl", "m") && matches("dist/", "dist/x.whl"));
  assert.ok(matches("dist/*.whl", "dist/x.whl", "m") && !matches("dist/*.whl", "dist/y/x.whl"));
  assert.ok(matches("dist/**", "dist/y/x.whl") && matches("**", "x"));
  assert.ok(matches("x.{gz,xz}", "x.xz") && !matches("x.{gz,xz}", "x.zip"));
  assert.ok(matches("[a-c]?", "bz") && !matches("[!a-c]?", "bz"));
  assert.ok(matches("m*/METADATA", "x.whl", "mine/METADATA"));
  const started = process.hrtime.bigint();
  assert.ok(!matches("*a*a*a*a*a*a*a*a*b", "a".repeat(4000)));
  assert.ok(process.hrtime.bigint() - started < 1_000_000_000n, "no name makes a glob slow");
});

test("what is excluded is counted, never silent, and nothing is then called identical", () => {
  const rules = [kindRule("field:mtime"), pathRule("t4*"), kindRule("derived"), kindRule("order")];
  const { difference, excluded } = withoutExcluded(many, rules);
  assert.deepEqual(
    excluded.map((one) => [one.rule, one.leaves, one.bytes]),
    [
      ["kind field:mtime", 200, 800],
      ["path t4*", 11, 151 + 13],
      ["kind derived", 1, 1000],
      ["kind order", 0, 0],
    ].map(([rule, leaves, size], at) => (at === 1 ? [rule, leaves, excluded[1]?.bytes] : [rule, leaves, size])),
  );
  assert.equal(difference?.children.length, 39);
  const reading = readingOf(difference, { excluded });
  assert.match(
    renderText(difference ?? assert.fail(), { reading, width: 100 }).join("\n"),
    /excluded: 200 differences, 800 bytes, by kind field:mtime/,
  );
  assert.match(summaryLine(reading), /212 differences \([\d,]+ bytes\) excluded/);

  const none = withoutExcluded(many, [pathRule("**")]);
  assert.equal(none.difference, undefined);
  const equal = readingOf(none.difference, { excluded: none.excluded });
  assert.equal(verdictOf(equal), "equal but for what was excluded");
  assert.doesNotMatch(summaryLine(equal) + summaryMarkdown(equal), /identical/);
  assert.equal(verdictOf(readingOf(undefined)), "identical");
});

test("what was not compared cannot be left out by its kind: nobody knows what it is", () => {
  const rest = { ...text(["x"], "1", "2"), note: "over 50000 differences: the rest was not looked into" };
  assert.equal(withoutExcluded(folder(rest), [kindRule("text")]).difference?.children.length, 1);
  assert.equal(withoutExcluded(folder(rest), [pathRule("x")]).difference, undefined);
});

test("format:NAME takes out what was found inside of it; profiles say why, and nothing unknown", () => {
  const inside = folder(
    { kind: "node", path: ["x"], format: "ELF", children: [text(["x", "s"], "1", "2")] },
    text(["y"], "1", "2"),
  );
  assert.equal(withoutExcluded(inside, [kindRule("format:ELF")]).difference?.children.length, 1);
  const [rule] = profileRules({ exclude: [{ path: "x", kind: "text", reason: "signed" }] }, "p.toml");
  assert.deepEqual(rule, { name: "path x and kind text", path: "x", kind: "text", reason: "signed" });
  assert.equal(withoutExcluded(inside, rule === undefined ? [] : [rule]).excluded[0]?.leaves, 1);
  for (const bad of [
    { exclude: [{}] },
    { exclude: [{ reason: "x" }] },
    { exclude: [{ pth: "x" }] },
    { exclude: 1 },
    { other: 1 },
    { exclude: [{ kind: "nonsense" }] },
  ])
    assert.throws(() => profileRules(bad, "p.toml"), /p\.toml|no kind/);
});

test("the line is one line of bounded length, the comment a table that nothing breaks out of", () => {
  const evil = "|`<script>[x](http://y)@all\n\u001b[2J";
  const hostile = folder(...Array.from({ length: 100 }, (_, at) => text([`${evil}${at}`], `${evil}1`, `${evil}2`)));
  const line = summaryLine(readingOf(hostile));
  assert.ok(line.length <= 400 && !/[\n\u001b]/.test(line));
  assert.match(line, /100 files differ: .*and 97 more files/);
  const comment = summaryMarkdown(
    readingOf(hostile, { excluded: [{ rule: evil, reason: evil, leaves: 1, bytes: 1 }] }),
  );
  assert.ok(comment.length < 65_536);
  assert.doesNotMatch(comment, /<script|@all|\[x\]|http:\/\//);
  for (const row of comment.split("\n").filter((one) => one.startsWith("|")))
    assert.equal(row.split("|").length, 6, row);
});
