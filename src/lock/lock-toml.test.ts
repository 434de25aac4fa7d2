/** The text of a lock: written, read, and refused where somebody edited it. */
import { strict as assert } from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import { Ajv2020 } from "ajv/dist/2020.js";
import * as fc from "fast-check";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { parseToml } from "../format/toml.ts";
import { prettyJson } from "../json.ts";
import type { Material } from "../material.ts";
import { anyLock } from "../../test/any-lock.ts";
import type { Lock } from "./lock.ts";
import { version2 } from "./lock-schema.ts";
import { lockToml, parseLock } from "./lock-toml.ts";

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
  environment: {
    type: "debian",
    pinned: true,
    suite: "bookworm",
    components: ["main", "contrib"],
    architecture: "amd64",
    packages: [
      { name: "make", version: "4.3-4.1", architecture: "amd64", size: 396_000, sha256: "b".repeat(64) },
      { name: "libc6", version: "2.36-9", architecture: "i386", size: 2, sha256: "9".repeat(64) },
      { name: "libc6", version: "2.36-9", architecture: "amd64", size: 1, sha256: "8".repeat(64) },
    ],
    root: digestOf("root"),
  },
  tools: [
    { name: "make", path: "/usr/bin/make", version: "GNU Make 4.3", sha256: "7".repeat(64) },
    { name: "cc", path: "/usr/bin/x86_64-linux-gnu-gcc-12", version: "12.2.0", sha256: "6".repeat(64) },
  ],
  source: { url: "https://example.org/demo.tar.gz", sha256: "0".repeat(64) },
  lockfiles: [{ path: "package-lock.json", sha256: "1".repeat(64) }],
  materials: [
    material("b", "2.0.0", { checksums: { sha512: "c".repeat(128) }, runtime: false, licence: "MIT", size: 1024 }),
    material("a", "1.0.0", {
      checksums: { sha256: "d".repeat(64), sha1: "e".repeat(40) },
      dependsOn: ["pkg:npm/c@3.0.0", "pkg:npm/b@2.0.0"],
    }),
  ],
  deps: { digest: digestOf("deps"), files: 2, bytes: 1024 },
};

const HEAD = `# What bitforbit builds this project from, by digest. Commit it, and review its
# changes like code. Made by \`bitforbit lock\`; not to be edited.
`;

const GOLDEN = `${HEAD}
version = 2
name = "demo"
recipe = "${digestOf("recipe")}"

[environment]
type = "debian"
pinned = true
suite = "bookworm"
components = ["main", "contrib"]
architecture = "amd64"
root = "${digestOf("root")}"
packages = [
  { name = "libc6", version = "2.36-9", architecture = "amd64", size = 1, sha256 = "${"8".repeat(64)}" },
  { name = "libc6", version = "2.36-9", architecture = "i386", size = 2, sha256 = "${"9".repeat(64)}" },
  { name = "make", version = "4.3-4.1", architecture = "amd64", size = 396000, sha256 = "${"b".repeat(64)}" },
]

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

[[tool]]
name = "cc"
path = "/usr/bin/x86_64-linux-gnu-gcc-12"
version = "12.2.0"
sha256 = "${"6".repeat(64)}"

[[tool]]
name = "make"
path = "/usr/bin/make"
version = "GNU Make 4.3"
sha256 = "${"7".repeat(64)}"

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
size = 1024
sha512 = "${"c".repeat(128)}"

# end of bitforbit.lock
`;

test("a whole lock, as it is written", () => {
  assert.equal(lockToml(LOCK), GOLDEN);
  assert.equal(lockToml({ ...LOCK, materials: LOCK.materials.toReversed(), tools: LOCK.tools.toReversed() }), GOLDEN);
  assert.equal(lockToml(parseLock(GOLDEN, "lock")), GOLDEN);
  // As an editor or git on another system may leave it.
  assert.deepEqual(parseLock(GOLDEN.replaceAll("\n", "\r\n"), "lock"), parseLock(GOLDEN, "lock"));
});

test("an image as environment, as it is written", () => {
  const image = {
    type: "oci",
    pinned: true,
    image: "registry.example/base",
    platform: "linux/arm64/v8",
    manifest: digestOf("manifest"),
    layers: [digestOf("z"), digestOf("a")],
    root: digestOf("root"),
  } as const;
  const written = lockToml({ ...LOCK, environment: { ...image, layers: [...image.layers] } });
  const [, from = ""] = written.split("[environment]\n");
  assert.equal(
    from.split("\n\n")[0],
    `type = "oci"
pinned = true
image = "registry.example/base"
platform = "linux/arm64/v8"
manifest = "${digestOf("manifest")}"
root = "${digestOf("root")}"
layers = [
  "${digestOf("z")}",
  "${digestOf("a")}",
]`,
  );
  assert.deepEqual(parseLock(written, "lock").environment, image);
});

/** As the bitforbit before this one wrote it, in any order. */
const FIRST = `${HEAD}
version = 1
name = "demo"
recipe = "${digestOf("recipe")}"

[environment]
type = "host"
pinned = false

[deps]
digest = "${digestOf("deps")}"
files = 2
bytes = 1024

[[lockfile]]
path = "package-lock.json"
sha256 = "${"1".repeat(64)}"

[[material]]
purl = "pkg:npm/b@2.0.0"
name = "b"
version = "2.0.0"

[[material]]
purl = "pkg:npm/a@1.0.0"
name = "a"
version = "1.0.0"
sha256 = "${"d".repeat(64)}"
`;

test("a lock of version 1 is read, and written as version 2", () => {
  const lock = parseLock(FIRST, "lock");
  assert.deepEqual([lock.version, lock.environment, lock.tools], [2, { type: "host", pinned: false }, []]);
  assert.deepEqual(
    lock.materials.map((item) => item.purl),
    ["pkg:npm/a@1.0.0", "pkg:npm/b@2.0.0"],
  );
  assert.match(lockToml(lock), /^version = 2$/m);
  assert.deepEqual(parseLock(lockToml(lock), "lock"), lock);
  const claims = FIRST.replace("[deps]", '[[tool]]\nname = "cc"\n\n[deps]');
  assert.throws(() => parseLock(claims, "lock"), /lock:\d+:1: unknown key "tool"/);
});

const changed = (from: string | RegExp, to: string): string => {
  const text = GOLDEN.replace(from, to);
  assert.notEqual(text, GOLDEN);
  return text;
};

const lineOf = (text: string, start: string): number =>
  text.split("\n").findIndex((line) => line.startsWith(start)) + 1;

const [LIBC = "", LIBC32 = ""] = GOLDEN.split("\n").filter((line) => line.includes("libc6"));
const [, A = "", B = ""] = GOLDEN.replace("\n# end of bitforbit.lock\n", "").split(/(?=\[\[material\]\])/);

for (const [what, text, message, hint] of [
  [
    "a newer version",
    changed("version = 2\n", "version = 3\n"),
    /^lock:4:1: made by a newer bitforbit: version 3, and this one reads up to 2$/,
    /the bitforbit that made it/,
  ],
  ["a version in words", changed("version = 2\n", 'version = "2"\n'), /^lock:4:1: version "2" is not known/, /anew/],
  ["no version", changed("version = 2\n", ""), /^lock:1:1: version none is not known, only 1 and 2$/, /anew/],
  ["an unknown key", changed('name = "demo"', 'naem = "demo"\nname = "x"'), /^lock:5:1: unknown key "naem"$/, /"name"/],
  [
    "an unknown key that is like none",
    changed("[deps]", "[deps]\nwhatever-it-is = 1"),
    /^lock:\d+:1: unknown key "deps.whatever-it-is"$/,
    /known keys here: digest, files, bytes/,
  ],
  [
    "an unknown key of a material",
    changed("runtime = false", "runtim = false"),
    new RegExp(`^lock:${lineOf(GOLDEN, "runtime")}:1: unknown key "material.runtim" of pkg:npm/b@2\\.0\\.0$`),
    /did you mean "runtime"/,
  ],
  [
    "an unknown key of a package",
    changed("size = 2,", "siez = 2,"),
    /^lock:17:64: unknown key "environment.packages.siez" of libc6$/,
    /did you mean "size"/,
  ],
  [
    "a wrong digest",
    changed(/recipe = "sha256:../, 'recipe = "sha256:XX'),
    /^lock:6:1: recipe is not a digest .*"sha256:XX/,
    /anew/,
  ],
  [
    "a package's wrong digest",
    changed("8888", "888G"),
    /^lock:16:75: environment\.packages\.sha256 of libc6 is not 64 lower-case hexadecimal digits: "888G/,
    /anew/,
  ],
  [
    "a short checksum",
    changed("eeee", "eee"),
    /^lock:\d+:1: material\.sha1 of pkg:npm\/a@1\.0\.0 is not 40 lower-case/,
    /anew/,
  ],
  [
    "an environment that is not what it claims",
    changed("pinned = true", "pinned = false"),
    /^lock:10:1: environment\.pinned should be true: false$/,
    /anew/,
  ],
  [
    "an environment of an unknown kind",
    changed('"debian"', '"vm"'),
    /^lock:9:1: environment\.type should be .*debian.*: "vm"$/,
    /anew/,
  ],
  [
    "a suite that is a path",
    changed('"bookworm"', '"../x"'),
    /^lock:11:1: environment\.suite is not a suite: "\.\.\/x"$/,
    /anew/,
  ],
  [
    "a tool without a path",
    changed("/usr/bin/make", "make"),
    /tool\.path of make is not an absolute path: "make"/,
    /anew/,
  ],
  ["a missing name", changed('name = "demo"\n', ""), /^lock:1:1: name is missing$/, /anew/],
  ["negative files", changed("files = 2", "files = -2"), /^lock:\d+:1: deps\.files is negative: -2$/, /anew/],
  [
    "a size beyond all numbers",
    changed("size = 2,", "size = 99999999999999999999,"),
    /size of libc6 should be number: "9+"/,
    /./,
  ],
  ["broken TOML", changed("[deps]", "[deps"), /^lock:\d+:\d+: /, undefined],
  [
    "packages out of order",
    changed(`${LIBC}\n${LIBC32}`, `${LIBC32}\n${LIBC}`),
    /^lock:17:3: libc6 amd64 is out of order: it belongs before libc6 i386$/,
    /anew/,
  ],
  ["a package twice", changed(LIBC32, LIBC), /^lock:17:3: libc6 amd64 stands there twice$/, /anew/],
  [
    "materials out of order",
    changed(A + B, B + A),
    /^lock:\d+:1: pkg:npm\/a@1\.0\.0 is out of order: it belongs before pkg:npm\/b@2\.0\.0$/,
    /anew/,
  ],
  ["a material twice", changed(B, `${B}\n${B}`), /^lock:\d+:1: pkg:npm\/b@2\.0\.0 stands there twice$/, /anew/],
  [
    "relations out of order",
    changed('  "pkg:npm/b@2.0.0",\n  "pkg:npm/c@3.0.0"', '  "pkg:npm/c@3.0.0",\n  "pkg:npm/b@2.0.0"'),
    /^lock:\d+:3: pkg:npm\/b@2\.0\.0 is out of order/,
    /anew/,
  ],
  [
    "marks of a merge",
    changed(LIBC, `<<<<<<< HEAD\n${LIBC}\n=======\n${LIBC32}\n>>>>>>> topic`),
    /^lock:16:1: marks of a merge conflict$/,
    /run 'bitforbit lock' again/,
  ],
  [
    "a file that was cut between two tables",
    GOLDEN.slice(0, GOLDEN.lastIndexOf("\n[[material]]")),
    /^lock:\d+: the end of the file is missing$/,
    /anew/,
  ],
  [
    "a file that was cut in a string",
    GOLDEN.slice(0, GOLDEN.indexOf("bookworm")),
    /^lock:11: the end of the file is missing$/,
    /anew/,
  ],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => parseLock(text, "lock"),
      (error: BitforbitError) => {
        assert.equal(error.name, "BitforbitError");
        assert.equal(error.code, "input");
        assert.match(error.message, message);
        if (hint !== undefined) assert.match(error.hint ?? "", hint);
        return true;
      },
    );
  });
}

test("a lock that was cut anywhere is refused", () => {
  const whole = GOLDEN.trimEnd().length;
  for (let length = 0; length < whole; length++) {
    assert.throws(() => parseLock(GOLDEN.slice(0, length), "lock"), BitforbitError, `${length}`);
  }
});

test("larger than anybody reviews: refused before it is parsed", () => {
  const padding = `${"#".repeat(1 << 20)}\n`.repeat(64);
  assert.throws(() => parseLock(GOLDEN + padding, "lock"), {
    code: "limit",
    message: "lock: larger than 67108864 bytes",
  });
});

test("a damaged lock is read or refused, with nothing else thrown", () => {
  const cut = fc.tuple(
    fc.nat(GOLDEN.length),
    fc.nat(30),
    fc.constantFrom(
      "",
      '"',
      "\n",
      "[[",
      "=",
      "1",
      "\u0000",
      "sha256 = 1979-05-27",
      "packages = [",
      "[environment]\n",
      "}",
    ),
  );
  fc.assert(
    fc.property(cut, ([at, count, piece]) => {
      try {
        parseLock(GOLDEN.slice(0, at) + piece + GOLDEN.slice(at + count), "lock");
      } catch (error) {
        assert.ok(error instanceof BitforbitError, String(error));
        assert.match(error.message, /^(?:cannot parse )?lock/);
      }
    }),
    { numRuns: 1000 },
  );
});

test("every lock reads back as it was written, and its lists' order does not matter", () => {
  fc.assert(
    fc.property(anyLock, (lock) => {
      const written = lockToml(lock);
      assert.deepEqual(parseLock(written, "lock"), lock);
      const { environment } = lock;
      const shuffled =
        environment.type === "debian" ? { ...environment, packages: environment.packages.toReversed() } : environment;
      const other = {
        ...lock,
        environment: shuffled,
        materials: lock.materials.toReversed(),
        tools: lock.tools.toReversed(),
      };
      assert.equal(lockToml({ ...other, lockfiles: lock.lockfiles.toReversed() }), written);
    }),
    { numRuns: 300 },
  );
});

const FILE = "schemas/lock-file.schema.json";

/** The schema as published: valibot's, with what editors show. */
const published = (): object => ({
  ...toJsonSchema(version2, { target: "draft-2020-12" }),
  $id: "https://bitforbit.dev/schemas/lock-file.schema.json",
  title: "bitforbit.lock",
  description:
    "What a project is built from, by digest: the environment's packages or layers, tools, lockfiles, dependencies.",
});

test("the published schema is the parser's; BITFORBIT_WRITE_SCHEMA=1 writes it", () => {
  if (process.env["BITFORBIT_WRITE_SCHEMA"] === "1") writeFileSync(FILE, prettyJson(published()));
  assert.equal(readFileSync(FILE, "utf8"), prettyJson(published()));
});

test("the schema takes every lock that is written, and not what the parser refuses", () => {
  const validate = new Ajv2020({ strict: false }).compile(published());
  const holds = (text: string): boolean => validate(parseToml(text, "lock"));
  assert.ok(holds(GOLDEN), JSON.stringify(validate.errors));
  fc.assert(
    fc.property(anyLock, (lock) => assert.ok(holds(lockToml(lock)), JSON.stringify(validate.errors))),
    { numRuns: 50 },
  );
  for (const [from, to] of [
    ["version = 2\n", "version = 1\n"],
    ["8888", "888G"],
    ["pinned = true", "pinned = false"],
    ["runtime = false", "runtim = false"],
    ['"bookworm"', '"../x"'],
    ["size = 2,", "size = -2,"],
    ['  "pkg:npm/b@2.0.0",\n', '  "",\n'],
  ] as const) {
    assert.ok(!holds(changed(from, to)), to);
    assert.throws(() => parseLock(changed(from, to), "lock"), BitforbitError, to);
  }
});
