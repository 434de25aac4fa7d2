/** What a new lock changes, as a value, as lines, and as the published document. */
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import * as fc from "fast-check";
import { anyLock } from "../../test/any-lock.ts";
import { digestOf } from "../digest.ts";
import type { Material } from "../material.ts";
import { changeLines, sizeText } from "./change-lines.ts";
import { countOf, type ListChanges, lockChanges, materialDifferences } from "./changes.ts";
import type { DebianEnvironment, EnvironmentPackage } from "./environment.ts";
import type { Lock, LockedTool } from "./lock.ts";
import { KEY } from "./lock-issues.ts";
import { lockToml, parseLock } from "./lock-toml.ts";

const material = (name: string, version: string, rest: Partial<Material> = {}): Material => ({
  kind: "dependency",
  purl: `pkg:npm/${name}@${version}`,
  name,
  version,
  checksums: {},
  ...rest,
});

const sha256 = (digit: string): { checksums: { sha256: string } } => ({ checksums: { sha256: digit.repeat(64) } });

const LOCK: Lock = {
  version: 2,
  name: "demo",
  recipe: digestOf("recipe"),
  environment: { type: "host", pinned: false },
  tools: [],
  lockfiles: [{ path: "package-lock.json", sha256: "0".repeat(64) }],
  materials: [],
};

const debian = (...packages: [name: string, version: string, size: number, digit: string][]): DebianEnvironment => ({
  type: "debian",
  pinned: true,
  suite: "bookworm",
  components: ["main"],
  architecture: "amd64",
  packages: packages.map(([name, version, size, digit]) => ({
    name,
    version,
    architecture: "amd64",
    size,
    sha256: digit.repeat(64),
  })),
  root: digestOf(JSON.stringify(packages)),
});

const BEFORE: Lock = {
  ...LOCK,
  environment: debian(
    ["gcc", "12.2.0-3", 5_100_000, "1"],
    ["libc6", "2.36-9", 2_800_000, "2"],
    ["perl", "5.36.0-7", 240_000, "3"],
  ),
  tools: [{ name: "cc", path: "/usr/bin/gcc-12", version: "12.2.0", sha256: "4".repeat(64) }],
  materials: [
    material("up", "1.0.0", { size: 900 }),
    material("down", "2.0.0", { size: 500 }),
    material("gone", "1.0.0", { size: 300 }),
    material("swapped", "1.0.0", sha256("a")),
    material("bare", "1.0.0", sha256("b")),
    material("two", "1.0.0"),
    material("app", "1.0.0", { dependsOn: ["pkg:npm/up@1.0.0"], licence: "MIT" }),
  ],
};

const AFTER: Lock = {
  ...BEFORE,
  recipe: digestOf("other"),
  environment: debian(
    ["gcc", "12.2.0-3", 5_100_000, "9"],
    ["libc6", "2.36-8", 2_900_000, "2"],
    ["zip", "3.0-13", 230_000, "5"],
  ),
  tools: [{ name: "cc", path: "/usr/bin/gcc-12", version: "12.2.1", sha256: "5".repeat(64) }],
  materials: [
    material("up", "1.10.0", { size: 1000 }),
    material("down", "1.9.9", { size: 500 }),
    material("come", "1.0.0", { size: 2_345_678 }),
    material("swapped", "1.0.0", sha256("c")),
    material("bare", "1.0.0"),
    material("two", "2.0.0"),
    material("two", "3.0.0"),
    material("app", "1.0.0", { dependsOn: ["pkg:npm/come@1.0.0", "pkg:npm/up@1.10.0"], licence: "ISC" }),
  ],
};

const at = (from: string, to = from): object => ({ from: `pkg:npm/${from}`, to: `pkg:npm/${to}` });
const purls = (materials: readonly Material[]): string[] => materials.map((item) => item.purl ?? "");

test("dependencies: come, gone, updated, downgraded, swapped, and what is said of them", () => {
  const { added, removed, changed, direct } = lockChanges(BEFORE, AFTER);
  assert.deepEqual(purls(added), ["pkg:npm/come@1.0.0", "pkg:npm/two@2.0.0", "pkg:npm/two@3.0.0"]);
  assert.deepEqual(purls(removed), ["pkg:npm/gone@1.0.0", "pkg:npm/two@1.0.0"]);
  assert.deepEqual(
    changed.filter((change) => change.to !== undefined),
    [
      {
        what: "app 1.0.0",
        before: "licence MIT, dependsOn pkg:npm/up@1.0.0",
        after: "licence ISC, dependsOn pkg:npm/come@1.0.0 pkg:npm/up@1.10.0",
        ...at("app@1.0.0"),
      },
      {
        what: "bare 1.0.0",
        before: `sha256:${"b".repeat(64)}`,
        after: "no checksum",
        alarm: "checksum-lost",
        ...at("bare@1.0.0"),
      },
      { what: "down", before: "2.0.0", after: "1.9.9", ...at("down@2.0.0", "down@1.9.9"), alarm: "downgrade" },
      {
        what: "swapped 1.0.0",
        before: `sha256:${"a".repeat(64)}`,
        after: `sha256:${"c".repeat(64)}`,
        alarm: "other-bytes",
        ...at("swapped@1.0.0"),
      },
      { what: "up", before: "1.0.0", after: "1.10.0", ...at("up@1.0.0", "up@1.10.0") },
    ],
  );
  assert.deepEqual(direct?.includes("pkg:npm/come@1.0.0"), false);
  assert.deepEqual(direct?.includes("pkg:npm/gone@1.0.0"), true);
});

test("the environment's packages and the tools", () => {
  const { packages, tools, sizes, counts } = lockChanges(BEFORE, AFTER);
  assert.deepEqual(
    packages.added.map((item) => item.name),
    ["zip"],
  );
  assert.deepEqual(
    packages.removed.map((item) => item.name),
    ["perl"],
  );
  assert.deepEqual(packages.changed, [
    {
      what: "gcc 12.2.0-3",
      before: `sha256:${"1".repeat(64)}`,
      after: `sha256:${"9".repeat(64)}`,
      alarm: "other-bytes",
      from: "gcc amd64",
      to: "gcc amd64",
    },
    { what: "libc6", before: "2.36-9", after: "2.36-8", from: "libc6 amd64", to: "libc6 amd64", alarm: "downgrade" },
  ]);
  assert.deepEqual(tools.changed, [
    { what: "cc", before: "12.2.0", after: "12.2.1", from: "cc /usr/bin/gcc-12", to: "cc /usr/bin/gcc-12" },
  ]);
  assert.deepEqual(sizes.packages, { before: 8_140_000, after: 8_230_000 });
  assert.deepEqual(counts, { added: 4, removed: 3, changed: 10, alarms: 5 });
});

test("parts of the lock: recipe, source, lockfiles, deps, environments of another kind", () => {
  const image = {
    type: "oci",
    pinned: true,
    image: "base",
    platform: "linux/amd64",
    manifest: digestOf("m"),
    layers: [digestOf("1"), digestOf("2")],
    root: digestOf("r"),
  } as const;
  const other: Lock = {
    ...LOCK,
    environment: { ...image, layers: [...image.layers] },
    lockfiles: [{ path: "name", sha256: "1".repeat(64) }],
    deps: { digest: digestOf("d"), files: 1, bytes: 2 },
  };
  assert.deepEqual(
    lockChanges(LOCK, other).changed.map(({ what, before, after }) => [what, before, after]),
    [
      ["deps", "none", digestOf("d")],
      ["deps.bytes", "none", "2"],
      ["deps.files", "none", "1"],
      ["environment", "host, not pinned", "oci"],
      ["environment.image", "none", "base"],
      ["environment.layer 1", "none", digestOf("1")],
      ["environment.layer 2", "none", digestOf("2")],
      ["environment.manifest", "none", digestOf("m")],
      ["environment.platform", "none", "linux/amd64"],
      ["environment.root", "none", digestOf("r")],
      ["name", "none", `sha256:${"1".repeat(64)}`],
      ["package-lock.json", `sha256:${"0".repeat(64)}`, "none"],
    ],
  );
  const { environment } = other;
  assert.ok(environment.type === "oci");
  const rebased: Lock = { ...other, environment: { ...environment, layers: [digestOf("1"), digestOf("3")] } };
  assert.deepEqual(
    lockChanges(other, rebased).changed.map((change) => change.what),
    ["environment.layer 2"],
  );
});

test("a size that came to be known, more checksums than before: the same bytes", () => {
  const now = { ...BEFORE, materials: BEFORE.materials.map((item) => ({ ...item, size: item.size ?? 7 })) };
  assert.equal(countOf(lockChanges(BEFORE, now)), 0);
  const more = {
    ...LOCK,
    materials: [material("a", "1.0.0", { checksums: { sha256: "a".repeat(64), sha512: "b".repeat(128) } })],
  };
  const less = { ...LOCK, materials: [material("a", "1.0.0", sha256("a"))] };
  const [change] = lockChanges(less, more).changed;
  assert.deepEqual([change?.alarm, change?.after], [undefined, `sha512:${"b".repeat(128)}`]);
  assert.deepEqual(materialDifferences(less, more), []);
  assert.deepEqual(materialDifferences(BEFORE, AFTER), [
    "come 1.0.0 is not in the lock",
    "two 2.0.0 is not in the lock",
    "two 3.0.0 is not in the lock",
    "gone 1.0.0 is locked and was not fetched",
    "two 1.0.0 is locked and was not fetched",
    `bare 1.0.0 has no checksum any more, locked sha256:${"b".repeat(64)}`,
    "down is 1.9.9, locked 2.0.0",
    `swapped 1.0.0 has other bytes: sha256:${"c".repeat(64)}, locked sha256:${"a".repeat(64)}`,
    "up is 1.10.0, locked 1.0.0",
  ]);
});

function changedPart(what: string): string {
  const change = lockChanges(BEFORE, AFTER).changed.find((item) => item.what === what);
  return `changed ~ ${what}: ${change?.before.slice(0, 19)}… → ${change?.after.slice(0, 19)}…`;
}

test("as lines: alarms first and in full, then each list under its counts", () => {
  const lines = changeLines(lockChanges(BEFORE, AFTER), BEFORE, AFTER, 2);
  assert.equal(
    lines.map(({ tone, text }) => `${tone.padEnd(8)}${text}`).join("\n"),
    `alarm   ! bare 1.0.0: its checksum is gone
alarm       was sha256:${"b".repeat(64)}
alarm       is  no checksum
alarm   ! down: an older version: 2.0.0 → 1.9.9
alarm   ! swapped 1.0.0: same version, other bytes
alarm       was sha256:${"a".repeat(64)}
alarm       is  sha256:${"c".repeat(64)}
alarm   ! gcc 12.2.0-3: same version, other bytes
alarm       was sha256:${"1".repeat(64)}
alarm       is  sha256:${"9".repeat(64)}
alarm   ! libc6: an older version: 2.36-9 → 2.36-8
${changedPart("environment.root")}
${changedPart("recipe")}
heading environment: 1 added, 1 removed, 2 changed · 8.1 MB → 8.2 MB
added   + zip 3.0-13 (amd64), 230 kB
removed - perl 5.36.0-7 (amd64), 240 kB
alarm   ~ gcc 12.2.0-3: sha256:111111111111… → sha256:999999999999… (same version, other bytes)
alarm   ~ libc6: 2.36-9 → 2.36-8 (an older version)
heading tools: 1 changed
changed ~ cc: 12.2.0 → 12.2.1
heading dependencies: 3 added, 2 removed, 5 changed · 1.7 kB → 2.3 MB
added   + come 1.0.0, 2.3 MB (for app)
added   + two 2.0.0 (direct)
note      … and 1 more
removed - gone 1.0.0, 300 B (direct)
removed - two 1.0.0 (direct)
changed ~ app 1.0.0: licence MIT, dependsOn pkg:npm/up@1.0.0 → licence ISC, dependsOn pkg:npm/come@1.0.0 pkg:npm/up@1.10.0
alarm   ~ bare 1.0.0: sha256:bbbbbbbbbbbb… → no checksum (its checksum is gone)
note      … and 3 more`,
  );
  assert.deepEqual(changeLines(lockChanges(BEFORE, BEFORE), BEFORE, BEFORE), []);
  const hostile = { ...LOCK, materials: [material("\u001b[2J", "1")] };
  assert.ok(changeLines(lockChanges(LOCK, hostile), LOCK, hostile).every(({ text }) => !text.includes("\u001b")));
});

test("sizes for people", () => {
  assert.deepEqual([0, 999, 1000, 99_949, 99_951, 999_499, 999_500, 5e9].map(sizeText), [
    "0 B",
    "999 B",
    "1.0 kB",
    "99.9 kB",
    "100 kB",
    "999 kB",
    "1.0 MB",
    "5.0 GB",
  ]);
});

/** What reviewing the changes gives: the old list with them applied. */
function applied<T>(
  list: readonly T[],
  { added, removed, changed }: ListChanges<T>,
  key: (item: T) => string,
): Set<string> {
  const keys = new Set(list.map(key));
  for (const item of removed) assert.ok(keys.delete(key(item)), "what is removed was there");
  for (const { from = "" } of changed) assert.ok(keys.delete(from), "what is changed was there");
  const come = [...added.map(key), ...changed.map(({ to = "" }) => to)];
  for (const name of come) {
    assert.ok(!keys.has(name), `${name} is there already`);
    keys.add(name);
  }
  return keys;
}

const toolKey = ({ name, path }: LockedTool): string => `${name} ${path}`;
const bare = ({ materials: list, ...lock }: Lock): string =>
  lockToml({ ...lock, materials: list.map(({ size: _size, ...item }) => item) });
const deb = ({ name, architecture }: EnvironmentPackage): string => `${name} ${architecture}`;

/** A lock and one that somebody changed: some of the other's, some of its own. */
const twoLocks = fc
  .tuple(anyLock, anyLock, fc.array(fc.boolean(), { maxLength: 5 }))
  .map(([a, b, keep]): [Lock, Lock] => {
    const kept = a.materials.filter((_, index) => keep[index] === true);
    const own = b.materials.filter((item) => !kept.some((other) => KEY.material(other) === KEY.material(item)));
    return [a, { ...b, materials: [...kept, ...own] }];
  });

test("nothing changes from a lock to itself, read back or not", () => {
  fc.assert(
    fc.property(anyLock, (lock) => {
      assert.equal(countOf(lockChanges(lock, lock)), 0);
      assert.equal(countOf(lockChanges(lock, parseLock(lockToml(lock), "lock"))), 0);
    }),
  );
});

test("the changes are whole: applied to the old lists, they give the new ones", () => {
  fc.assert(
    fc.property(twoLocks, ([a, b]) => {
      const changes = lockChanges(a, b);
      const parts = changes.changed.filter((change) => change.to === undefined);
      const materials = { ...changes, changed: changes.changed.filter((change) => change.to !== undefined) };
      assert.deepEqual(applied(a.materials, materials, KEY.material), new Set(b.materials.map(KEY.material)));
      const [old, now] = [a, b].map(({ environment }) => (environment.type === "debian" ? environment.packages : []));
      assert.deepEqual(applied(old ?? [], changes.packages, deb), new Set(now?.map(deb)));
      assert.deepEqual(applied(a.tools, changes.tools, toolKey), new Set(b.tools.map(toolKey)));
      // Two locks without a change are the same file, but for sizes that came to be known.
      assert.equal(countOf(changes) === 0 && bare(a) !== bare(b), false);
      assert.equal(
        parts.some((change) => change.before === change.after),
        false,
      );
    }),
    { numRuns: 500 },
  );
});

test("the published document takes all changes", () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  for (const name of ["terms", "lock"])
    ajv.addSchema(JSON.parse(readFileSync(`schemas/${name}.schema.json`, "utf8")) as object);
  const validate = ajv.getSchema("https://bitforbit.dev/schemas/lock.schema.json#/properties/changes");
  assert.ok(validate !== undefined);
  const holds = (value: unknown): void => assert.ok(validate(value), JSON.stringify(validate.errors));
  holds(lockChanges(BEFORE, AFTER));
  holds(lockChanges(undefined, AFTER));
  fc.assert(
    fc.property(twoLocks, ([a, b]) => holds(JSON.parse(JSON.stringify(lockChanges(a, b))))),
    { numRuns: 50 },
  );
  assert.equal(validate({ ...lockChanges(BEFORE, AFTER), counts: {} }), false);
});
