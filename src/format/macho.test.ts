import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { machParts, universalParts } from "./macho-parts.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/macho/${name}`));
const cut = (name: string): Promise<Shown[]> => expanded(golden(name), machParts);
const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path)?.shown;

test("a library of lld: commands, functions, stubs, symbols, signature by name", async () => {
  const parts = await cut("library/b");
  assert.equal(shownIn(parts, "header › CPU"), "x86_64");
  assert.equal(shownIn(parts, "load commands › LC_BUILD_VERSION › SDK"), "12.0.0");
  assert.equal(shownIn(parts, "load commands › LC_BUILD_VERSION › platform"), "macOS");
  assert.equal(shownIn(parts, "load commands › LC_ID_DYLIB /opt/libpart.dylib › name"), "/opt/libpart.dylib");
  assert.match(shownIn(parts, "load commands › LC_UUID › UUID") ?? "", /^[0-9a-f]{32}$/);
  const paths = new Set(parts.map(({ path }) => path));
  for (const path of [
    "section __TEXT,__text › function _twice",
    "section __TEXT,__text › function _announce",
    "section __TEXT,__stubs › function _puts stub",
    "section __DATA,__data › object _counter",
    "section __TEXT,__cstring › starting now",
    "symbols › symbol _puts",
    "code signature › code directory › identifier",
  ]) {
    assert.ok(paths.has(path), path);
  }
});

test("objects, and universal files of several machines", async () => {
  assert.ok((await cut("object-arm64/a")).some(({ path }) => path === "section __TEXT,__text › function _compute"));
  const slices = (await expanded(golden("universal/a"), universalParts)).filter(({ kind }) => kind === "content");
  assert.deepEqual(
    slices.map(({ path }) => path),
    ["x86_64", "arm64"],
  );
});

test("hostile files give parts or a good error", async () => {
  for (const name of ["library/a", "object-arm64/a"]) await survives(golden(name), machParts, 200);
  await survives(golden("universal/a"), universalParts, 200);
});
