import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { compare } from "../src/diff/diff.ts";
import { renderText } from "../src/diff/render.ts";

/** Pairs made by the formats' own tools: golden/README.md says how. Each differs as `expected.txt` says, and completely. */
const root = join(import.meta.dirname, "golden");

for (const format of foldersIn(root)) {
  for (const pair of foldersIn(join(root, format))) {
    test(`${format}: ${pair}`, async () => {
      const folder = join(root, format, pair);
      const names = readdirSync(folder).toSorted();
      const side = (letter: string): string =>
        join(folder, names.find((name) => name === letter || name.startsWith(`${letter}.`)) ?? letter);
      const [a, b] = [side("a"), side("b")];
      const { difference, incomplete } = await compare(a, b, { prove: true });
      assert.ok(difference !== undefined, "the two are equal");
      assert.deepEqual(incomplete, []);
      const lines = `${renderText(difference, { width: 160 }).join("\n")}\n`;
      const expected = join(folder, "expected.txt");
      if (process.env["BITFORBIT_WRITE_GOLDEN"] !== undefined) writeFileSync(expected, lines);
      assert.ok(existsSync(expected), `${pair} has no expected.txt: write it with BITFORBIT_WRITE_GOLDEN=1`);
      assert.equal(lines, readFileSync(expected, "utf8"));
    });
  }
}

function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}
