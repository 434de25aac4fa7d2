import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { memorySource } from "../bytesource.ts";
import { diffSources } from "./diff.ts";
import { type Leaf, leavesOf } from "./difference.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-text-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const source = (text: string | Uint8Array, name: string): ReturnType<typeof memorySource> =>
  memorySource(typeof text === "string" ? new TextEncoder().encode(text) : text, name);
const wide = (text: string): Uint8Array => new Uint8Array(Buffer.from(`\ufeff${text}`, "utf16le"));

/** The leaves of two texts, shown to be complete. */
async function leaves(a: string | Uint8Array, b: string | Uint8Array): Promise<Leaf[]> {
  const found = await diffSources(source(a, "a"), source(b, "b"), ["x"], { temporary: folder, prove: true });
  return found === undefined ? [] : [...leavesOf(found)];
}

const told = ({ what, field, a, b, note }: Leaf): unknown[] => [what, field, a, b, note];
const lines = (count: number, end: string): string =>
  Array.from({ length: count }, (_, index) => `line ${index} of the text${end}`).join("");

test("other line ends are one difference, whatever the number of lines", async () => {
  const note = "lines end otherwise";
  assert.deepEqual((await leaves(lines(100, "\r\n"), lines(100, "\n"))).map(told), [
    ["field", "line endings", "CRLF (100)", "LF (100)", note],
  ]);
  assert.deepEqual((await leaves(lines(3, "\r"), lines(3, "\n"))).map(told), [
    ["field", "line endings", "CR (3)", "LF (3)", note],
  ]);
  const changed = lines(100, "\n").replace("line 50 of", "line fifty of");
  assert.deepEqual((await leaves(lines(100, "\r\n"), changed)).map(told), [
    ["text", undefined, "line 50 of the text\r\n", "line fifty of the text\n", undefined],
    ["field", "line endings", "CRLF (100)", "LF (100)", note],
  ]);
});

test("a block that moved is told as an order", async () => {
  const block = "first line of a block\nsecond line of it\n";
  const [head, tail] = [lines(20, "\n"), lines(20, " again\n")];
  const found = await leaves(head + block + tail, head + tail + block);
  assert.deepEqual(found.map(told), [["order", undefined, block, block, "the same lines in another order"]]);
  // What is too little to be recognised came and went.
  assert.deepEqual(
    (await leaves(`${head}}\n${tail}x\n`, `${head}${tail}}\ny\n`)).map(({ what }) => what),
    ["text", "text"],
  );
});

test("what cannot be seen is said", async () => {
  const notes = async (a: string, b: string): Promise<(string | undefined)[]> =>
    (await leaves(a, b)).map(({ note }) => note);
  assert.deepEqual(await notes("a\nb\n", "a\nb"), ["the last line has no end in B"]);
  assert.deepEqual(await notes("\ufeffa\nb\n", "a\nb\n"), ["a byte order mark is in A only"]);
  assert.deepEqual((await leaves("if x:\n\treturn 1 \n", "if x:\n        return 1\n")).map(told), [
    [
      "text",
      undefined,
      "→return·1·\n",
      "········return·1\n",
      "only blanks differ: tabs are shown as →, blanks as ·, carriage returns as ␍",
    ],
  ]);
});

test("text in UTF-16 is compared line by line", async () => {
  const found = await leaves(wide("eins\r\nzwei\r\ndrei\r\n"), wide("eins\r\nzwölf\r\ndrei\r\n"));
  assert.deepEqual(
    found.filter(({ what }) => what === "text").map(({ a, b }) => [a, b]),
    [["zwei\r\n", "zwölf\r\n"]],
  );
});

test("whatever the lines and their ends, the leaves are complete", async () => {
  const line = fc.constantFrom("a", "bb", "a long enough line", "another such line", "", "\t", "x\u00e9");
  const end = fc.constantFrom("\n", "\r\n", "\r", "");
  const text = fc.array(fc.tuple(line, end), { maxLength: 30 }).map((pairs) => pairs.flat().join(""));
  await fc.assert(
    fc.asyncProperty(text, text, fc.boolean(), async (a, b, returns) => {
      const other = returns ? a.replaceAll(/\r\n|\n/g, (feed) => (feed === "\n" ? "\r\n" : "\n")) + b : b;
      const found = await leaves(a, other);
      assert.equal(found.length === 0, a === other);
    }),
    { numRuns: 1500 },
  );
});
