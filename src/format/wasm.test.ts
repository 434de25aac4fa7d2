import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { wasmParts } from "./wasm-parts.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/wasm/${name}`));
const cut = (name: string): Promise<Shown[]> => expanded(golden(name), wasmParts);
const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path)?.shown;

test("a module of wat2wasm: what its text says, by name", async () => {
  const parts = await cut("text/a");
  assert.equal(shownIn(parts, "section import › import env.log"), "function type 0");
  assert.equal(shownIn(parts, "section memory › memory"), "1 to 2");
  assert.equal(shownIn(parts, "section global › global g"), "i32 mutable = i32.const 3");
  assert.equal(shownIn(parts, "section type › type (i32) → (i32)"), "(i32) → (i32)");
  assert.ok(parts.some(({ path }) => path === 'section data › data › "hello there"'));
  assert.deepEqual(shownIn(parts, "section code › function main")?.split("\n"), [
    "local 1 × i64",
    "local.get 0",
    "if",
    "  i32.const 10",
    "  call log",
    "else",
    "  f64.const 1.5",
    "  drop",
    "end",
    "global.get g",
    "end",
  ]);
});

test("a linked module of clang: functions, data segments and producers by name", async () => {
  const parts = await cut("linked/a");
  for (const path of [
    "section code › function twice",
    "section code › function announce",
    "section data › data .rodata",
  ]) {
    assert.ok(
      parts.some((part) => part.path === path),
      path,
    );
  }
  assert.match(shownIn(parts, "custom producers › processed-by Debian clang") ?? "", /^14\./);
  assert.match(shownIn(parts, "section code › function compute") ?? "", /call twice/);
});

test("every byte belongs to a part", async () => {
  for (const name of ["text/a", "linked/a"]) {
    let at = 0;
    const leaves = (await cut(name)).filter(({ kind }) => kind !== "group");
    for (const { path, offset, length } of leaves) {
      assert.equal(offset, at, path);
      at += length;
    }
    assert.equal(at, golden(name).length);
  }
});

test("hostile modules give parts or a good error", async () => {
  for (const name of ["text/a", "linked/a"]) await survives(golden(name), wasmParts, 300);
});
