import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { parse } from "lockparse";
import type { ParsedDependency } from "lockparse";
import { npmLockMaterials, npmLockStale } from "./npm-lock.ts";

const FIXTURES = `${import.meta.dirname}/../sbom/fixtures`;
const SHA512 = `sha512-${Buffer.alloc(64, 7).toString("base64")}`;

const lockOf = (packages: Record<string, unknown>, rest: Record<string, unknown> = {}): string =>
  JSON.stringify({ name: "demo", lockfileVersion: 3, packages: { "": { name: "demo" }, ...packages }, ...rest });

const depends = (text: string): Record<string, string[]> =>
  Object.fromEntries(npmLockMaterials(text, "lock").map((item) => [item.purl ?? "", item.dependsOn ?? []]));

const same = (item: ParsedDependency): string => `${item.name}@${item.version}`;

test("a real lockfile: the packages and relations that lockparse finds", async () => {
  // This repository's own lockfile is the larger one.
  for (const [lock, manifest] of [
    [`${FIXTURES}/package-lock.json`, `${FIXTURES}/npm-package.json`],
    ["package-lock.json", "package.json"],
  ] as const) {
    const text = readFileSync(lock, "utf8");
    const materials = npmLockMaterials(text, lock);
    const oracle = await parse(text, "npm", JSON.parse(readFileSync(manifest, "utf8")));
    const wanted = new Set(oracle.packages.filter((item) => item.name !== oracle.root.name).map(same));
    assert.deepEqual(new Set(materials.map((item) => `${item.name}@${item.version}`)), wanted);
    const byPurl = new Map(materials.map((item) => [item.purl, item]));
    for (const item of oracle.packages) {
      const ours = materials.find((material) => `${material.name}@${material.version}` === same(item));
      if (ours === undefined) continue;
      const names = new Set(
        (ours.dependsOn ?? []).map((purl) => `${byPurl.get(purl)?.name}@${byPurl.get(purl)?.version}`),
      );
      for (const wants of item.dependencies) assert.ok(names.has(same(wants)), `${same(item)} wants ${same(wants)}`);
    }
    assert.ok(materials.every((item) => /^[0-9a-f]{128}$/.test(item.checksums.sha512 ?? "")));
    assert.deepEqual(npmLockStale(text, readFileSync(manifest), lock), []);
  }
});

test("checksums, scopes, development, licence", () => {
  const [scoped] = npmLockMaterials(
    lockOf({ "node_modules/@a/b": { version: "1.0.0", integrity: SHA512, dev: true, license: "MIT" } }),
    "lock",
  );
  assert.deepEqual(scoped, {
    kind: "dependency",
    purl: "pkg:npm/%40a/b@1.0.0",
    name: "@a/b",
    version: "1.0.0",
    checksums: { sha512: "07".repeat(64) },
    runtime: false,
    licence: "MIT",
  });
});

test("dependsOn is what Node resolves: the nearest node_modules, from workspaces too", () => {
  const text = lockOf({
    "node_modules/a": { version: "1.0.0", dependencies: { b: "*", c: "*" } },
    "node_modules/a/node_modules/b": { version: "2.0.0", dependencies: { c: "*" }, peerDependencies: { gone: "*" } },
    "node_modules/b": { version: "1.0.0" },
    "node_modules/c": { version: "1.0.0", optionalDependencies: { b: "*" } },
    "node_modules/w": { resolved: "packages/w", link: true },
    "packages/w": { version: "0.0.0", dependencies: { b: "*" } },
    "packages/w/node_modules/b": { version: "3.0.0", dependencies: { a: "*" } },
  });
  assert.deepEqual(depends(text), {
    "pkg:npm/a@1.0.0": ["pkg:npm/b@2.0.0", "pkg:npm/c@1.0.0"],
    "pkg:npm/b@1.0.0": [],
    "pkg:npm/b@2.0.0": ["pkg:npm/c@1.0.0"],
    "pkg:npm/b@3.0.0": ["pkg:npm/a@1.0.0"],
    "pkg:npm/c@1.0.0": ["pkg:npm/b@1.0.0"],
  });
});

test("aliases, git and bundled packages are what they are", () => {
  const found = npmLockMaterials(
    lockOf({
      "node_modules/alias": { name: "real", version: "1.0.0" },
      "node_modules/g": { version: "1.0.0", resolved: "git+ssh://git@example.org/g.git#0a1b2c" },
      "node_modules/real/node_modules/inner": { version: "1.0.0", inBundle: true },
    }),
    "lock",
  );
  assert.deepEqual(
    found.map((item) => item.purl),
    [
      "pkg:npm/g@1.0.0?vcs_url=git%2Bssh:%2F%2Fgit%40example.org%2Fg.git%400a1b2c",
      "pkg:npm/inner@1.0.0",
      "pkg:npm/real@1.0.0",
    ],
  );
});

const at = (dev: boolean): unknown => ({ version: "1.0.0", integrity: SHA512, dev });

test("one package at two places is needed to run when one of them is", () => {
  const [one, ...rest] = npmLockMaterials(
    lockOf({ "node_modules/a": at(true), "node_modules/b/node_modules/a": at(false) }),
    "lock",
  );
  assert.equal(one?.runtime, true);
  assert.deepEqual(rest, []);
});

test("the root's dependencies that package.json has otherwise", () => {
  const lock = lockOf(
    {},
    {
      packages: {
        "": { dependencies: { a: "^1.0.0", gone: "1" }, devDependencies: { d: "1" }, optionalDependencies: { o: "1" } },
      },
    },
  );
  const manifest = {
    dependencies: { a: "^2.0.0", fresh: "3", o: "1" },
    devDependencies: { d: "1" },
    optionalDependencies: { o: "1" },
  };
  assert.deepEqual(npmLockStale(lock, JSON.stringify(manifest), "package-lock.json"), [
    "a: package.json has ^2.0.0 in dependencies, package-lock.json was made for ^1.0.0",
    "fresh: package.json has 3 in dependencies, package-lock.json was made for none",
    "gone: package.json has none in dependencies, package-lock.json was made for 1",
  ]);
});

for (const [what, text, message] of [
  ["version 1", JSON.stringify({ lockfileVersion: 1, dependencies: {} }), /lock: lockfileVersion 1 is not read/],
  ["no packages", JSON.stringify({ lockfileVersion: 3 }), /lock: "packages" is missing/],
  ["a list", "[]", /lock: not an object/],
  ["not JSON", "{", /cannot parse lock/],
  [
    "a short checksum",
    lockOf({ "node_modules/a": { integrity: "sha512-AAAA" } }),
    /packages\."node_modules\/a": integrity "sha512-AAAA"/,
  ],
  [
    "a number as version",
    lockOf({ "node_modules/a": { version: 1 } }),
    /packages\."node_modules\/a": version should be text: 1/,
  ],
  ["a broken place", lockOf({ "node_modules/@a": { version: "1" } }), /packages\."node_modules\/@a" is not a package/],
  ["dependencies as a list", lockOf({ "node_modules/a": { dependencies: ["b"] } }), /dependencies is not a table/],
  [
    "two contents",
    lockOf({
      "node_modules/a": { version: "1", integrity: SHA512 },
      "node_modules/b/node_modules/a": { version: "1", integrity: `sha512-${Buffer.alloc(64).toString("base64")}` },
    }),
    /pkg:npm\/a@1 has two sha512/,
  ],
  ["folders without end", lockOf({ [`${"node_modules/a/".repeat(99)}node_modules/a`]: {} }), /deeper than 64 folders/],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => npmLockMaterials(text, "lock"), { name: "BitforbitError", message });
  });
}
