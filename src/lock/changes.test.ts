import { strict as assert } from "node:assert";
import test from "node:test";
import { digestOf } from "../digest.ts";
import type { Material } from "../material.ts";
import { lockChanges } from "./changes.ts";
import type { Lock } from "./lock.ts";

const material = (name: string, version: string, rest: Partial<Material> = {}): Material => ({
  kind: "dependency",
  purl: `pkg:npm/${name}@${version}`,
  name,
  version,
  checksums: {},
  ...rest,
});

const LOCK: Lock = {
  version: 2,
  name: "demo",
  recipe: digestOf("recipe"),
  environment: { type: "host", pinned: false },
  tools: [],
  lockfiles: [],
  materials: [material("a", "1.0.0"), material("b", "1.0.0")],
};

test("what a new lock changes", () => {
  const sums = { checksums: { sha256: "a".repeat(64) } };
  const before = {
    ...LOCK,
    materials: [
      material("up", "1.0.0"),
      material("gone", "1.0.0"),
      material("same", "1.0.0", sums),
      material("two", "1.0.0"),
    ],
  };
  const after = {
    ...LOCK,
    recipe: digestOf("other"),
    materials: [
      material("up", "2.0.0"),
      material("come", "1.0.0"),
      material("same", "1.0.0"),
      material("two", "2.0.0"),
      material("two", "3.0.0"),
    ],
  };
  const { added, removed, changed } = lockChanges(before, after);
  assert.deepEqual(
    added.map((item) => item.purl),
    ["pkg:npm/come@1.0.0", "pkg:npm/two@2.0.0", "pkg:npm/two@3.0.0"],
  );
  assert.deepEqual(
    removed.map((item) => item.purl),
    ["pkg:npm/gone@1.0.0", "pkg:npm/two@1.0.0"],
  );
  assert.deepEqual(changed, [
    { what: "recipe", before: LOCK.recipe, after: digestOf("other") },
    { what: "same 1.0.0", before: `sha256:${"a".repeat(64)}`, after: "no checksum" },
    { what: "up", before: "1.0.0", after: "2.0.0" },
  ]);
  assert.deepEqual(lockChanges(LOCK, LOCK), { added: [], removed: [], changed: [] });
  assert.equal(lockChanges(undefined, LOCK).added.length, 2);
});
