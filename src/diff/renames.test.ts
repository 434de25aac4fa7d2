import { strict as assert } from "node:assert";
import test from "node:test";
import { utf8 } from "../bytes.ts";
import { memorySource } from "../bytesource.ts";
import { type Nameless, renamed } from "./renames.ts";

const things = (contents: Readonly<Record<string, string>>): Nameless[] =>
  Object.entries(contents).map(([name, text]) => ({ name, open: () => memorySource(utf8(text), name) }));

function pairsOf(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string[] {
  const [left, right] = [things(a), things(b)];
  return renamed(left, right).map(([one, other]) => `${left[one]?.name} ${right[other]?.name}`);
}

test("a folder of another name is found by what stands below it, whatever the files hold", () => {
  const found = pairsOf(
    { "pkg-1.0/": "", "pkg-1.0/src/a": "one", "pkg-1.0/src/b": "two", "pkg-1.0/c": "three", "pkg-1.0/gone": "" },
    { "pkg-1.1/": "", "pkg-1.1/src/a": "other", "pkg-1.1/src/b": "two", "pkg-1.1/c": "else", "pkg-1.1/new": "" },
  );
  const pairs = ["", "src/a", "src/b", "c"].map((name) => `pkg-1.0/${name} pkg-1.1/${name}`);
  assert.deepEqual(found.toSorted(), pairs.toSorted());
});

test("one name that ends alike says nothing of its folder", () => {
  assert.deepEqual(pairsOf({ "a/index": "x" }, { "b/index": "y" }), []);
});

test("two folders of other names are told apart by their own files", () => {
  const found = pairsOf(
    { "x-1/m": "1", "x-1/n": "2", "y-1/m": "3", "y-1/o": "4", "y-1/p": "5" },
    { "x-2/m": "5", "x-2/n": "4", "y-2/m": "3", "y-2/o": "2", "y-2/p": "1" },
  );
  const pairs = ["x-1/m x-2/m", "x-1/n x-2/n", "y-1/m y-2/m", "y-1/o y-2/o", "y-1/p y-2/p"];
  assert.deepEqual(found.toSorted(), pairs);
});

test("equal contents are the same thing under another name; a name but for its compression is, too", () => {
  const text = "a text that is long enough to say where it came from\n";
  assert.deepEqual(pairsOf({ old: text, "data.tar.xz": "1" }, { "data.tar.zst": "2", new: text }), [
    "old new",
    "data.tar.xz data.tar.zst",
  ]);
  assert.deepEqual(pairsOf({ "x.gz": "1", "x.xz": "2" }, { "x.zst": "3" }), [], "which of both?");
});

test("a name but for its digest is the same thing, whatever it holds", () => {
  const found = pairsOf(
    {
      "main-3f2a9bc1.js": "1",
      "index-DiwrgT9a.js": "2",
      "libfoo-0123456789abcdef.rlib": "3",
      "readme-overview.md": "4",
    },
    {
      "main-77d0e2f4.js": "a",
      "index-Bk0Z3Hxk.js": "b",
      "libfoo-fedcba9876543210.rlib": "c",
      "readme-glossary.md": "d",
    },
  );
  assert.deepEqual(found, [
    "main-3f2a9bc1.js main-77d0e2f4.js",
    "index-DiwrgT9a.js index-Bk0Z3Hxk.js",
    "libfoo-0123456789abcdef.rlib libfoo-fedcba9876543210.rlib",
  ]);
  assert.deepEqual(pairsOf({ "x-3f2a9bc1": "1", "x-11111111": "2" }, { "x-77d0e2f4": "3" }), [], "which of both?");
});
