import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { peParts } from "./pe-parts.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/pe/${name}`));
const cut = (name: string): Promise<Shown[]> => expanded(golden(name), peParts);
const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path)?.shown;

test("a DLL of GNU's tools: headers, functions, imports, exports, resources by name", async () => {
  const parts = await cut("dll/b");
  const shown = (path: string): string | undefined => shownIn(parts, path);
  assert.equal(shown("COFF header › machine"), "x86-64");
  assert.match(shown("COFF header › characteristics") ?? "", /EXECUTABLE_IMAGE.* DLL/);
  assert.equal(shown("optional header › magic"), "PE32+");
  assert.equal(shown("section .idata › import KERNEL32.dll!Sleep"), "Sleep");
  assert.equal(shown("section .edata › export announce"), "announce");
  assert.equal(shown("section .rsrc › resource version 1 1033 › FileVersion"), "1.0.0.2");
  assert.equal(shown("section .rsrc › resource version 1 1033 › ProductName"), "part");
  const paths = new Set(parts.map(({ path, kind }) => `${path} (${kind})`));
  for (const path of [
    "section .text › function twice (bytes)",
    "section .data › object counter (bytes)",
    "section .rsrc › resource manifest 1 1033 (content)",
    "optional header › checksum (derived)",
    "symbols › symbol announce (group)",
  ]) {
    assert.ok(paths.has(path), path);
  }
});

test("debug directory: times, GUID and path of the PDB", async () => {
  const parts = await cut("codeview/a");
  assert.equal(shownIn(parts, "COFF header › mtime"), "1700000000");
  assert.equal(shownIn(parts, "section .rdata › debug data CodeView › PDB path"), "one.pdb");
  assert.match(shownIn(parts, "section .rdata › debug data CodeView › GUID") ?? "", /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-/);
  assert.ok(parts.some(({ path }) => path === "section .text › function compute"));
});

test("an object of clang: functions, relocations by symbol", async () => {
  const parts = await cut("object/b");
  assert.ok(parts.some(({ path }) => path === "section .text › function announce"));
  assert.ok(parts.some(({ path }) => path === "relocations of .text › REL32 __imp_Sleep"));
});

test("hostile files give parts or a good error", async () => {
  for (const name of ["dll/a", "codeview/a", "object/a"]) await survives(golden(name), peParts, 150);
});
