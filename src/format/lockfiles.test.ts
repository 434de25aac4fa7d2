/** What all lockfile readers promise: whatever comes in, materials or one clear error come out, and soon. */
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import * as fc from "fast-check";
import { PackageURL } from "packageurl-js";
import { BitforbitError } from "../errors.ts";
import type { Material } from "../material.ts";
import { cargoLockMaterials } from "./cargo-lock.ts";
import { goSumMaterials, goSumStale } from "./go-sum.ts";
import { mavenTreeMaterials, pomMaterials } from "./maven-pom.ts";
import { npmLockMaterials, npmLockStale } from "./npm-lock.ts";
import { pythonLockMaterials } from "./python-lock.ts";
import { requirementsMaterials } from "./requirements.ts";

const fixture = (name: string): string => readFileSync(`${import.meta.dirname}/../sbom/fixtures/${name}`, "utf8");
const POETRY = `[[package]]
name = "one"
version = "1.0"
groups = ["main"]
source = { git = "https://example.org/g#0a1b" }
files = [{ file = "one.whl", hash = "sha256:${"a".repeat(64)}" }]
[package.dependencies]
one = ">=1"
`;

const READERS: readonly [string, (text: string, what: string) => Material[], string][] = [
  ["npm", npmLockMaterials, fixture("package-lock.json")],
  ["cargo", cargoLockMaterials, fixture("Cargo.lock")],
  ["go.sum", goSumMaterials, fixture("go.sum")],
  ["requirements", requirementsMaterials, fixture("requirements.txt")],
  ["python", pythonLockMaterials, POETRY],
  ["pom", pomMaterials, fixture("pom.xml")],
  ["maven tree", mavenTreeMaterials, fixture("maven-tree.txt")],
];

/** Pieces that mean something to some format, to be put in anywhere. */
const PIECES = [
  "",
  "null",
  "[]",
  "{}",
  "0",
  '"',
  "\\",
  "\n",
  "[[package]]",
  "__proto__",
  "../",
  "\u0000",
  "\ud800",
  "#",
  "<a>",
  "${x}",
  "@",
  ":",
  "\\- ",
  "h1:",
  "--hash=",
  "é",
  "1e999",
  "1979-05-27",
];

const mutated = (text: string): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.nat(text.length), fc.nat(40), fc.constantFrom(...PIECES)), { minLength: 1, maxLength: 4 })
    .map((cuts) => cuts.reduce((all, [at, count, piece]) => all.slice(0, at) + piece + all.slice(at + count), text));

function expectClear(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof BitforbitError, String((error as Error).stack));
    assert.ok(error.code === "input" || error.code === "limit", error.code);
    assert.match(error.message, /LOCK|package\.json|go\.mod/);
    assert.ok(error.message.length < 600, error.message);
  }
}

for (const [name, read, text] of READERS) {
  test(`${name}: purls are what packageurl-js writes, in order, one each; checksums are hexadecimal`, () => {
    const found = read(text, "LOCK");
    assert.ok(found.length > 0);
    assert.deepEqual(
      found.map((item) => item.purl),
      [...new Set(found.map((item) => item.purl))].sort(),
    );
    const known = new Set(found.map((item) => item.purl));
    for (const { purl = "", checksums, dependsOn = [], kind } of found) {
      assert.equal(kind, "dependency");
      const { type, namespace, name: base, version, qualifiers } = PackageURL.fromString(purl);
      assert.equal(
        new PackageURL(type, namespace, base, version, qualifiers)
          .toString()
          .replaceAll("%2F", "/")
          .replaceAll("%3A", ":"),
        purl.replaceAll("%2F", "/"),
      );
      for (const ref of dependsOn) assert.ok(known.has(ref), `${purl} depends on ${ref}`);
      const { goH1, ...rest } = checksums;
      assert.ok(goH1 === undefined || goH1.startsWith("h1:"));
      for (const digits of Object.values(rest)) assert.match(digits, /^(?:[0-9a-f]{2})+$/);
    }
  });

  test(`${name}: a damaged file is read, or refused with a clear error`, () => {
    fc.assert(
      fc.property(mutated(text), (damaged) => expectClear(() => read(damaged, "LOCK"))),
      { numRuns: 400 },
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (any) => expectClear(() => read(any, "LOCK"))),
    );
  });
}

test("npm: any JSON in place of any part is read or refused", () => {
  const lock = JSON.parse(fixture("package-lock.json")) as Record<string, unknown>;
  const entry = fc.dictionary(
    fc.constantFrom(
      "version",
      "name",
      "integrity",
      "resolved",
      "link",
      "dev",
      "license",
      "dependencies",
      "peerDependencies",
    ),
    fc.oneof(fc.jsonValue(), fc.constantFrom("1.0.0", "a", "@a/b", "@a", "", "__proto__", { a: "1" })),
  );
  const folder = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "",
      "node_modules/a",
      "node_modules/@a/b",
      "node_modules/a/node_modules/__proto__",
      "w/node_modules/",
      "/",
    ),
  );
  fc.assert(
    fc.property(fc.dictionary(folder, fc.oneof(entry, fc.jsonValue())), (packages) => {
      const text = JSON.stringify({ ...lock, packages });
      expectClear(() => npmLockMaterials(text, "LOCK"));
      expectClear(() => npmLockStale(text, JSON.stringify(packages), "LOCK"));
    }),
    { numRuns: 400 },
  );
});

test("go.mod damaged is read or refused", () => {
  fc.assert(
    fc.property(mutated(fixture("go.mod")), (mod) => expectClear(() => goSumStale(mod, fixture("go.sum"), "LOCK"))),
  );
});

test("megabytes of what makes a careless pattern slow are done in seconds", () => {
  const long = 1 << 20;
  const hostile: string[] = [
    " ".repeat(long),
    `a==1${" ".repeat(long)}x`,
    "-".repeat(long),
    `a[${"[".repeat(long)}`,
    `${"a ".repeat(long / 2)}`,
    "|  ".repeat(long / 3),
    `${"a.".repeat(long / 2)}_`,
    '"'.repeat(long),
    `<a ${"<".repeat(long)}`,
    `<project>${"${".repeat(long / 2)}</project>`,
    "\\\n".repeat(long / 8),
    "--hash ".repeat(long / 8),
    "#".repeat(long),
  ];
  const start = performance.now();
  for (const text of hostile) for (const [, read] of READERS) expectClear(() => read(text, "LOCK"));
  for (const text of hostile) expectClear(() => goSumStale(text, "", "LOCK"));
  assert.ok(performance.now() - start < 10_000, `${performance.now() - start} ms`);
});
