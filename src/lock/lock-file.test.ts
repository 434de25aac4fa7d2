import { strict as assert } from "node:assert";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import * as fc from "fast-check";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { Material } from "../material.ts";
import { lockChanges } from "./changes.ts";
import type { Lock } from "./lock.ts";
import { LOCK_FILE, lockToml, parseLock, readLock, writeLock } from "./lock-file.ts";

const material = (name: string, version: string, rest: Partial<Material> = {}): Material => ({
  kind: "dependency",
  purl: `pkg:npm/${name}@${version}`,
  name,
  version,
  checksums: {},
  ...rest,
});

const LOCK: Lock = {
  version: 1,
  name: "demo",
  recipe: digestOf("recipe"),
  environment: { type: "host", pinned: false },
  source: { url: "https://example.org/demo.tar.gz", sha256: "0".repeat(64) },
  lockfiles: [{ path: "package-lock.json", sha256: "1".repeat(64) }],
  materials: [
    material("b", "2.0.0", { checksums: { sha512: "c".repeat(128) }, runtime: false, licence: "MIT" }),
    material("a", "1.0.0", {
      checksums: { sha256: "d".repeat(64), sha1: "e".repeat(40) },
      dependsOn: ["pkg:npm/c@3.0.0", "pkg:npm/b@2.0.0"],
    }),
  ],
  deps: { digest: digestOf("deps"), files: 2, bytes: 1024 },
};

const GOLDEN = `# What bitforbit builds this project from, by digest. Commit it, and review its
# changes like code. Made by \`bitforbit lock\`; not to be edited.

version = 1
name = "demo"
recipe = "${digestOf("recipe")}"

[environment]
type = "host"
pinned = false

[source]
url = "https://example.org/demo.tar.gz"
sha256 = "${"0".repeat(64)}"

[deps]
digest = "${digestOf("deps")}"
files = 2
bytes = 1024

[[lockfile]]
path = "package-lock.json"
sha256 = "${"1".repeat(64)}"

[[material]]
purl = "pkg:npm/a@1.0.0"
name = "a"
version = "1.0.0"
sha1 = "${"e".repeat(40)}"
sha256 = "${"d".repeat(64)}"
dependsOn = [
  "pkg:npm/b@2.0.0",
  "pkg:npm/c@3.0.0",
]

[[material]]
purl = "pkg:npm/b@2.0.0"
name = "b"
version = "2.0.0"
runtime = false
licence = "MIT"
sha512 = "${"c".repeat(128)}"
`;

test("a whole lock, as it is written", () => {
  assert.equal(lockToml(LOCK), GOLDEN);
  assert.equal(lockToml({ ...LOCK, materials: LOCK.materials.toReversed() }), GOLDEN);
  assert.equal(lockToml(parseLock(GOLDEN, LOCK_FILE)), GOLDEN);
});

const changed = (from: string | RegExp, to: string): string => {
  const text = GOLDEN.replace(from, to);
  assert.notEqual(text, GOLDEN);
  return text;
};

for (const [what, text, message, hint] of [
  ["a newer version", changed("version = 1\n", "version = 2\n"), /lock: version 2 is not known/, /newer bitforbit/],
  ["no version", changed("version = 1\n", ""), /lock: version none is not known/, /makes it anew/],
  ["an unknown key", changed('name = "demo"', 'name = "demo"\nextra = 1'), /lock: extra: unknown key/, /./],
  [
    "an unknown key of a material",
    changed("runtime = false", "runtim = false"),
    /material\.2\.runtim \(pkg:npm\/b@2\.0\.0\): unknown key/,
    /./,
  ],
  [
    "a wrong digest",
    changed(/recipe = "sha256:../, 'recipe = "sha256:XX'),
    /lock: recipe is not a digest .*"sha256:XX/,
    /anew/,
  ],
  ["a short checksum", changed("eeee", "eee"), /material\.1\.sha1 \(pkg:npm\/a@1\.0\.0\) is not 40 lower-case/, /anew/],
  [
    "an environment that claims to be pinned",
    changed("pinned = false", "pinned = true"),
    /environment\.pinned should be false/,
    /anew/,
  ],
  ["a missing name", changed('name = "demo"\n', ""), /lock: name is missing/, /anew/],
  ["negative files", changed("files = 2", "files = -2"), /deps\.files is negative/, /anew/],
  ["broken TOML", changed("[deps]", "[deps"), /lock:16:/, undefined],
  [
    "two contents of one purl",
    changed('purl = "pkg:npm/b@2.0.0"', 'purl = "pkg:npm/a@1.0.0"\nsha1 = "' + "f".repeat(40) + '"'),
    /pkg:npm\/a@1\.0\.0 has two sha1/,
    /./,
  ],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => parseLock(text, "lock"),
      (error: BitforbitError) => {
        assert.equal(error.name, "BitforbitError");
        assert.match(error.message, message);
        if (hint !== undefined) assert.match(error.hint ?? "", hint);
        return true;
      },
    );
  });
}

test("a damaged lock is read or refused, with nothing else thrown", () => {
  const cut = fc.tuple(
    fc.nat(GOLDEN.length),
    fc.nat(30),
    fc.constantFrom("", '"', "\n", "[[", "=", "1", "\u0000", "sha256 = 1979-05-27"),
  );
  fc.assert(
    fc.property(cut, ([at, count, piece]) => {
      try {
        parseLock(GOLDEN.slice(0, at) + piece + GOLDEN.slice(at + count), "lock");
      } catch (error) {
        assert.ok(error instanceof BitforbitError, String(error));
        assert.match(error.message, /lock/);
      }
    }),
    { numRuns: 1000 },
  );
});

const hexOf = (length: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));

test("every lock reads back as it was written", () => {
  const text = fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" });
  const item = fc.record(
    {
      name: text,
      version: text,
      runtime: fc.boolean(),
      licence: text,
      sha256: hexOf(64),
      purl: text.map((name) => `pkg:generic/${encodeURIComponent(name)}`),
    },
    { requiredKeys: ["name", "purl"] },
  );
  fc.assert(
    fc.property(fc.uniqueArray(item, { selector: ({ purl }) => purl, maxLength: 5 }), (items) => {
      const materials = items.map(({ sha256, ...rest }): Material => ({
        kind: "dependency",
        ...rest,
        checksums: sha256 === undefined ? {} : { sha256 },
      }));
      const written = lockToml({ ...LOCK, materials });
      const read = parseLock(written, "lock");
      assert.equal(lockToml(read), written);
      assert.deepEqual(new Set(read.materials), new Set(materials));
    }),
  );
});

test("on disk: absent, written, left alone when the same, never through a link", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lock-file-"));
  try {
    assert.equal(await readLock(folder), undefined);
    await writeLock(folder, LOCK);
    assert.equal(readFileSync(join(folder, LOCK_FILE), "utf8"), GOLDEN);
    const { ino } = statSync(join(folder, LOCK_FILE));
    await writeLock(folder, parseLock(GOLDEN, LOCK_FILE));
    assert.equal(statSync(join(folder, LOCK_FILE)).ino, ino);
    assert.equal((await readLock(folder))?.name, "demo");
    rmSync(join(folder, LOCK_FILE));
    writeFileSync(join(folder, "elsewhere"), GOLDEN);
    symlinkSync("elsewhere", join(folder, LOCK_FILE));
    await assert.rejects(readLock(folder), /bitforbit\.lock is a link/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

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
