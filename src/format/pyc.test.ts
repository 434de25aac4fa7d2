import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { decodeAll, listed, partAt } from "../../test/listed.ts";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { pycParts } from "./pyc.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/pyc/${name}.pyc`));
const partsOf = (name: string): ReturnType<typeof pycParts> => pycParts(memorySource(golden(name)), "sample.pyc");
const THING = ["code <module>", "", "code Thing", ""];

async function shown(name: string): Promise<Record<string, string | undefined>> {
  return Object.fromEntries((await expanded(golden(name), pycParts)).map((part) => [part.path, part.shown]));
}

test("the header tells the version, and by what the source is known", async () => {
  const now = await shown("changed/a");
  assert.equal(now["version"], "Python 3.13 (magic number 3571)");
  assert.equal(now["invalidation"], "checked by mtime");
  assert.equal(now["mtime"], "1700000000");
  assert.equal(now["code <module> › co_filename"], '"sample.py"');
  const old = await shown("old/a");
  assert.equal(old["version"], "Python 3.6 (magic number 3379)");
  assert.equal(old["mtime"], "1700000000");
  assert.equal((await shown("marks/a"))["source hash"], "3132333435363738");
});

test("bytecode names what it leads to, as dis does", async () => {
  const code = await listed(partsOf("changed/a"), ...THING, "code Thing.method", "bytecode");
  assert.match(code, /^ {2}LOAD_GLOBAL enumerate \+ NULL$/m);
  assert.match(code, /^ {2}STORE_FAST_STORE_FAST i, x$/m);
  assert.match(
    code,
    /^ {2}LOAD_CONST frozenset\(\{"black", "blue", "green", "red", "yellow"\}\)\n {2}CONTAINS_OP in$/m,
  );
  assert.match(code, /^ {2}COMPARE_OP > as bool\n {2}POP_JUMP_IF_FALSE to L3$/m);
  const old = await listed(partsOf("old/a"), ...THING, "code method", "bytecode");
  assert.match(old, /^ {2}SETUP_LOOP to L\d+\n {2}LOAD_GLOBAL enumerate$/m);
  const lines = await listed(partsOf("changed/a"), ...THING, "code Thing.method", "co_linetable");
  assert.match(lines, /^line \+1, columns \d+ to \d+: \d+ bytes$/m);
});

test("sets stand in the order of hashes, and are told by what they hold", () => {
  const set = 'constant frozenset({"black", "blue", "green", "red", "yellow"})';
  const items = (name: string): string[] =>
    [...(partAt(partsOf(name), ...THING, "code method", "", set).parts?.() ?? [])].map((part) => part.key).slice(2);
  assert.notDeepEqual(items("marks/a"), items("marks/b"));
  assert.deepEqual(items("marks/a").toSorted(), items("marks/b").toSorted());
});

/** A code object's worth of marshal in a file of 3.11. */
function file(...body: number[]): Uint8Array {
  return Uint8Array.from([0xa7, 0x0d, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...body]);
}

test("hostile marshal: too deep, references that multiply, and to what is not there", async () => {
  const deep = file(...Array.from({ length: 5000 }, () => [0x29, 1]).flat(), 0x4e);
  assert.throws(
    () => pycParts(memorySource(deep), "x"),
    (error) => error instanceof BitforbitError && error.code === "limit",
  );
  assert.throws(() => pycParts(memorySource(file(0x72, 9, 0, 0, 0)), "x"), /offset 16: a reference to object 9 of 0/);
  assert.throws(() => pycParts(memorySource(file(0x28, 255, 255, 255, 127)), "x"), /2147483647 items/);
  for (const name of ["changed/a", "old/a", "marks/b"]) {
    await survives(golden(name), pycParts, 150);
    await decodeAll(partsOf(name));
  }
});

test("references that double at each level are shown in bounded time", async () => {
  // A tuple of two, each of two references to the one before, thirty levels deep.
  const bomb: number[] = [0xa9, 0];
  for (let level = 0; level < 30; level++) bomb.push(0xa9, 2, 0x72, level, 0, 0, 0, 0x72, level, 0, 0, 0);
  const tuple = [0x28, 31, 0, 0, 0, ...bomb];
  const numbers = Array.from({ length: 20 }, () => 0);
  const empty = [0x29, 0];
  const text = [0x7a, 1, 0x78];
  const code = [0x63, ...numbers, 0x73, 0, 0, 0, 0, ...tuple, ...empty, ...empty, 0x73, 0, 0, 0, 0];
  const whole = file(...code, ...text, ...text, ...text, 0, 0, 0, 0, 0x73, 0, 0, 0, 0, 0x73, 0, 0, 0, 0);
  const parts = await expanded(whole, pycParts);
  assert.ok(parts.length > 100 && parts.every((part) => (part.shown ?? "").length < 1000));
});
