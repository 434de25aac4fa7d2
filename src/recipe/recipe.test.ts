import { strict as assert } from "node:assert";
import { mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import * as fc from "fast-check";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "./quantity.ts";
import { nearest } from "./nearest.ts";
import { DEFAULT_LIMITS, parseRecipe, type Recipe, readRecipe } from "./recipe.ts";
import { recipeToml } from "./write.ts";

const BASE = 'name = "x"\ncommand = "make"\noutputs = ["out/**"]\n';

/** Message and hint of the error that a recipe gives. */
function complaint(toml: string): string {
  try {
    parseRecipe(toml, "bitforbit.toml");
  } catch (error) {
    assert.ok(error instanceof BitforbitError, String(error));
    assert.match(error.code, /^(?:input|limit)$/);
    return error.hint === undefined ? error.message : `${error.message} | ${error.hint}`;
  }
  return "accepted";
}

test("a recipe becomes what a build needs, with defaults filled in", () => {
  const recipe = parseRecipe(
    `${BASE}fetch = "f"\n[limits]\ntimeout = "1h30m"\nmemory = "1.5 GB"\n[env]\nA = "b"\n`,
    "bitforbit.toml",
  );
  assert.deepEqual(recipe, {
    name: "x",
    environment: { type: "host", tools: [] },
    patches: [],
    network: "none",
    strict: false,
    determinise: false,
    fetch: "f",
    command: "make",
    outputs: ["out/**"],
    directory: ".",
    env: { A: "b" },
    limits: { ...DEFAULT_LIMITS, timeoutSeconds: 5400, memoryBytes: 1_500_000_000 },
    lockfiles: [],
  });
});

test("errors name line, column, the key and the nearest known one", () => {
  const table: [string, string][] = [
    [`${BASE}[limits]\ntimeot = "3m"\n`, 'bitforbit.toml:5:1: unknown key "limits.timeot" | did you mean "timeout"?'],
    [`${BASE}ouptuts = []\n`, 'bitforbit.toml:4:1: unknown key "ouptuts" | did you mean "outputs"?'],
    [`${BASE}  directory = 3\n`, "bitforbit.toml:4:3: directory should be string: 3"],
    ['name = "x"\noutputs = ["a"]\n', 'bitforbit.toml:1:1: "command" is missing'],
    [BASE.replace("out/**", "../a"), "bitforbit.toml:3:1: outputs.0 is not a relative path without '..': \"../a\""],
    [`${BASE}[limits]\nmemory = "lots"\n`, 'bitforbit.toml:5:1: limits.memory is not a size such as "4 GiB": "lots"'],
    [
      `${BASE}[source]\nsha256 = "${"a".repeat(64)}"`,
      "bitforbit.toml:4:1: source needs either purl or url, and not both",
    ],
    ['name = "x', "bitforbit.toml:1:8: unfinished string"],
  ];
  for (const [toml, expected] of table) assert.equal(complaint(toml), expected);
  const script = `${BASE}fetch = '''\nnmae = 1\n[limits]\n'''\nnmae = 2\n`;
  assert.match(complaint(script), /^bitforbit\.toml:8:1: unknown key "nmae" \| did you mean "name"\?$/);
});

test("deep nesting, great size, bytes that are no text: refused, not endured", () => {
  assert.match(complaint(`${BASE}x = ${"[".repeat(5000)}${"]".repeat(5000)}\n`), /bitforbit\.toml/);
  assert.match(complaint(`${BASE}# ${"x".repeat(2 << 20)}\n`), /larger than/);
  assert.match(complaint(`${BASE}__proto__ = 1\n`), /unknown key "__proto__"/);
  assert.match(complaint(`${BASE}[env]\nconstructor = 1\n`), /not a variable/);
});

test("whatever the text, the parser answers with a recipe or a BitforbitError", () => {
  const fragment = fc.constantFrom(
    "name",
    "=",
    '"x"',
    "[",
    "]",
    "'''",
    "\n",
    "limits",
    ".",
    "{",
    "}",
    "1e9",
    "#",
    "\\u",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(fragment).map((parts) => parts.join(" ")),
  );
  fc.assert(
    fc.property(text, (toml) => void complaint(toml)),
    { numRuns: 500 },
  );
});

test("recipeToml is the inverse of parseRecipe", () => {
  const line = fc.string({ unit: "binary", minLength: 1, maxLength: 40 });
  const tools = fc.array(fc.constantFrom("gcc", "g++"));
  const environments: fc.Arbitrary<Recipe["environment"]> = fc.oneof(
    tools.map((some) => ({ type: "host" as const, tools: some })),
    fc.record(
      {
        type: fc.constant("debian" as const),
        tools,
        suite: fc.constantFrom("bookworm", "sid"),
        components: fc.constantFrom<string[]>(["main"], ["main", "contrib"]),
        packages: fc.constantFrom<string[]>(["gcc"], ["g++", "make=4.3-4.1"]),
        architecture: fc.constantFrom(undefined, "arm64"),
      },
      { noNullPrototype: true },
    ),
    fc.record(
      {
        type: fc.constant("oci" as const),
        tools,
        image: fc.constantFrom("a/b:1", "layout:dir:tag"),
        platform: fc.constantFrom(undefined, "linux/arm64"),
      },
      { noNullPrototype: true },
    ),
  );
  const recipes: fc.Arbitrary<Recipe> = fc.record(
    {
      name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+@-]{0,20}$/),
      ecosystem: fc.constantFrom("npm", "go", "debian"),
      source: fc.constant({ purl: "pkg:npm/a@1", sha256: "ab".repeat(32) }),
      patches: fc.constantFrom<string[]>([], ["a.patch", "b/c.patch"]),
      environment: environments,
      network: fc.constantFrom("none", "replay"),
      strict: fc.boolean(),
      determinise: fc.boolean(),
      vary: fc.array(fc.constantFrom("vcs", "all"), { minLength: 1 }),
      noVary: fc.constant(["clock", "hash-order"]),
      fetch: fc.oneof(line, fc.constant("a\n'quoted'\nb\\\n")),
      command: fc.oneof(line, fc.constant('one\ntwo "$X"\n'), fc.constant("'''\n\t\r\n'")),
      outputs: fc.array(fc.constantFrom("out/**", "a b", "*.deb"), { minLength: 1, maxLength: 3 }),
      directory: fc.constantFrom(".", "a/b"),
      env: fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,5}$/), fc.string(), { noNullPrototype: true }),
      limits: fc.record(
        {
          timeoutSeconds: fc.nat(1e6),
          memoryBytes: fc.nat(2 ** 31),
          processes: fc.integer({ min: 1, max: 1000 }),
          diskBytes: fc.nat(2 ** 31),
          outputBytes: fc.constantFrom(1, 1024, 5 * 2 ** 40),
          logBytes: fc.constant(DEFAULT_LIMITS.logBytes),
        },
        { noNullPrototype: true },
      ),
      lockfiles: fc.array(fc.constantFrom("package-lock.json", "go.sum"), { maxLength: 2 }),
    },
    {
      noNullPrototype: true,
      requiredKeys: [
        "name",
        "patches",
        "environment",
        "network",
        "strict",
        "determinise",
        "fetch",
        "command",
        "outputs",
        "directory",
        "env",
        "limits",
        "lockfiles",
      ],
    },
  );
  fc.assert(
    fc.property(recipes, fc.array(fc.string()), (any, assumed) => {
      const recipe = any.source === undefined ? { ...any, patches: [] } : any;
      assert.deepEqual(parseRecipe(recipeToml(recipe, assumed), "bitforbit.toml"), recipe);
    }),
  );
});

test("sizes and durations survive being written and read", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(formatSize(bytes)) === bytes));
  fc.assert(fc.property(fc.nat(1e9 - 1), (seconds) => parseDuration(formatDuration(seconds)) === seconds));
  assert.equal(parseSize("4 GiB"), 4294967296);
  assert.equal(parseSize("1.5kB"), 1500);
  assert.equal(parseDuration("1h30m"), 5400);
  for (const bad of ["", "4", "GiB", "4 gib", "-4 B", "4  B"]) assert.throws(() => parseSize(bad), BitforbitError, bad);
  for (const bad of ["", "30", "m", "30 m", "-1s"]) assert.throws(() => parseDuration(bad), BitforbitError, bad);
});

test("the nearest key is offered only when it is near", () => {
  assert.equal(nearest("Outputs", ["outputs", "name"]), "outputs");
  assert.equal(nearest("zzzzzzzzzzzz", ["outputs", "name"]), undefined);
});

test("a recipe is read from a folder with the digest of its bytes; a link in its place is refused", async () => {
  const folder = mkdtempSync(join(tmpdir(), "recipe-"));
  assert.equal(await readRecipe(folder), undefined);
  writeFileSync(join(folder, "other.toml"), BASE);
  symlinkSync("other.toml", join(folder, "bitforbit.toml"));
  await assert.rejects(readRecipe(folder), /bitforbit\.toml is a link/);
  const plain = mkdtempSync(join(tmpdir(), "recipe-"));
  writeFileSync(join(plain, "bitforbit.toml"), BASE);
  const found = await readRecipe(plain);
  assert.equal(found?.digest, digestOf(BASE));
  assert.equal(found.recipe.name, "x");
});

const recipeWith = (line: string): string => `name = "x"\ncommand = "make"\noutputs = ["x"]\nenv = { ${line} }\n`;

test("variables that every build gets cannot be set, and the source's time is a number", () => {
  const refused = (line: string, message: RegExp): void => {
    assert.throws(() => parseRecipe(recipeWith(line), "bitforbit.toml"), { code: "input", message });
  };
  refused('PATH = "/opt/bin"', /env\.PATH is given by bitforbit/);
  refused('BITFORBIT_DEPS = "/x"', /env\.BITFORBIT_DEPS is given/);
  refused('SOURCE_DATE_EPOCH = "yesterday"', /SOURCE_DATE_EPOCH is not a number of seconds: "yesterday"/);
  assert.equal(parseRecipe(recipeWith('SOURCE_DATE_EPOCH = "7"'), "bitforbit.toml").env["SOURCE_DATE_EPOCH"], "7");
});

test("what the SBOM says of a project may stand in its recipe", () => {
  const about = '[about]\nsupplier = "Ann Li <ann@example.org>"\nlicense = "MIT"\nhomepage = "https://example.org/p"\n';
  const text = `name = "p"\ncommand = "make"\noutputs = ["out"]\n${about}`;
  assert.deepEqual(parseRecipe(text, "r").about, {
    supplier: "Ann Li <ann@example.org>",
    license: "MIT",
    homepage: "https://example.org/p",
  });
  assert.throws(() => parseRecipe(text.replace("https://example", "ftp://example"), "r"), /r:7:\d+: .*homepage.*a URL/);
});
