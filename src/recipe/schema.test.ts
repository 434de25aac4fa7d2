/** The editors' schema and the parser are one thing said twice: held together here. */
import { strict as assert } from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import { Ajv } from "ajv";
import * as fc from "fast-check";
import { BitforbitError } from "../errors.ts";
import { isObject, prettyJson } from "../json.ts";
import { parseToml, tomlString } from "../format/toml.ts";
import { parseRecipe, recipeSchema } from "./recipe.ts";

const FILE = "schemas/recipe.schema.json";

const no = (...keys: string[]): object => ({ not: { anyOf: keys.map((key) => ({ required: [key] })) } });

/** The schema as published: valibot's, with a title and the rules that valibot does not write out. */
function published(): object {
  const schema = toJsonSchema(recipeSchema, { target: "draft-07" });
  const source = schema.properties?.["source"];
  assert.ok(isObject(source));
  source["oneOf"] = [{ required: ["purl"] }, { required: ["url"] }];
  const environment = schema.properties?.["environment"];
  assert.ok(isObject(environment));
  // Which keys belong to which type of environment; without a type it is the host's.
  const [debian, oci] = [
    ["suite", "packages", "components", "architecture"],
    ["image", "platform"],
  ];
  environment["oneOf"] = [
    { properties: { type: { const: "host" } }, ...no(...debian, ...oci) },
    { properties: { type: { const: "debian" } }, required: ["type", "suite", "packages"], ...no(...oci) },
    { properties: { type: { const: "oci" } }, required: ["type", "image"], ...no(...debian) },
  ];
  return { ...schema, title: "bitforbit.toml", description: "What to build, and what comes out." };
}

test("the published schema is the parser's; BITFORBIT_WRITE_SCHEMA=1 writes it", () => {
  if (process.env["BITFORBIT_WRITE_SCHEMA"] === "1") writeFileSync(FILE, prettyJson(published()));
  assert.equal(readFileSync(FILE, "utf8"), prettyJson(published()));
});

const SHA = "ab".repeat(32);
const BASE = 'name = "x"\ncommand = "make"\noutputs = ["out/**"]\n';

const VALID = [
  BASE,
  `${BASE}ecosystem = "npm"\nlockfiles = ["package-lock.json"]\nfetch = "npm ci"\ndirectory = "a/b"\n`,
  `${BASE}[limits]\ntimeout = "1h30m"\nmemory = "4 GiB"\nprocesses = 10\ndisk = "1.5 GB"\noutput = "100B"\nlog = "1 MiB"\n`,
  `${BASE}[source]\npurl = "pkg:npm/%40a/b@1"\nsha256 = "${SHA}"\n`,
  `${BASE}[source]\nurl = "../a.tar.gz"\nsha256 = "${SHA}"\n`,
  `${BASE}[environment]\ntype = "host"\ntools = ["gcc", "g++"]\n[env]\nA_1 = "x"\n`,
  `${BASE}network = "replay"\nstrict = true\ndeterminise = true\nvary = ["all"]\nno-vary = ["clock"]\n[environment]\ntype = "debian"\nsuite = "bookworm"\npackages = ["gcc", "g++"]\n`,
  `${BASE}[environment]\ntype = "debian"\nsuite = "sid"\npackages = ["make=4.3-4.1"]\ncomponents = ["main"]\narchitecture = "arm64"\n`,
  `${BASE}[environment]\ntype = "oci"\nimage = "registry.example/a/b:1"\nplatform = "linux/arm64/v8"\ntools = ["cc"]\n`,
];

const INVALID = [
  "",
  'name = "x"\n',
  BASE.replace('"x"', '"-x"'),
  BASE.replace('"x"', '"a b"'),
  BASE.replace('"x"', "3"),
  BASE.replace('"out/**"', '"../out"'),
  BASE.replace('"out/**"', '"a/../../out"'),
  BASE.replace('"out/**"', '"/out"'),
  BASE.replace('"out/**"', '""'),
  BASE.replace('"out/**"', ""),
  BASE.replace('"make"', '""'),
  `${BASE}ouputs = []\n`,
  `${BASE}ecosystem = "cobol"\n`,
  `${BASE}directory = ".."\n`,
  `${BASE}lockfiles = "package-lock.json"\n`,
  `${BASE}[limits]\ntimeout = "soon"\n`,
  `${BASE}[limits]\ntimeout = 30\n`,
  `${BASE}[limits]\nmemory = "4 gigs"\n`,
  `${BASE}[limits]\nprocesses = 0\n`,
  `${BASE}[limits]\nprocesses = 1.5\n`,
  `${BASE}[source]\npurl = "pkg:npm/b@1"\n`,
  `${BASE}[source]\nsha256 = "${SHA}"\n`,
  `${BASE}[source]\npurl = "pkg:npm/b@1"\nurl = "x"\nsha256 = "${SHA}"\n`,
  `${BASE}[source]\npurl = "npm/b@1"\nsha256 = "${SHA}"\n`,
  `${BASE}[source]\nurl = "x"\nsha256 = "${SHA.toUpperCase()}"\n`,
  `${BASE}[environment]\ntype = "docker"\n`,
  `${BASE}[environment]\ntype = "debian"\n`,
  `${BASE}[environment]\ntype = "debian"\nsuite = "bookworm"\n`,
  `${BASE}[environment]\ntype = "debian"\nsuite = "bookworm"\npackages = []\n`,
  `${BASE}[environment]\ntype = "debian"\nsuite = "bookworm"\npackages = ["Gcc"]\n`,
  `${BASE}[environment]\ntype = "debian"\nsuite = "bookworm"\npackages = ["gcc"]\nimage = "a"\n`,
  `${BASE}[environment]\nsuite = "bookworm"\n`,
  `${BASE}[environment]\ntype = "oci"\n`,
  `${BASE}[environment]\ntype = "oci"\nimage = "a"\nplatform = "linux"\n`,
  `${BASE}network = "host"\n`,
  `${BASE}determinise = "yes"\n`,
  `${BASE}vary = "vcs"\n`,
  `${BASE}vary = []\n`,
  `${BASE}no-vary = ["no such"]\n`,
  `${BASE}[environment]\ntools = ["rm -rf"]\n`,
  `${BASE}[env]\n"1A" = "x"\n`,
  `${BASE}[env]\nA = 1\n`,
];

const validate = new Ajv({ strict: false }).compile(published());

/** Whether the parser takes it; anything but a BitforbitError is a defect. */
function parses(toml: string): boolean {
  try {
    parseRecipe(toml, "bitforbit.toml");
    return true;
  } catch (error) {
    assert.ok(error instanceof BitforbitError, String(error));
    return false;
  }
}

test("schema and parser agree on what is valid and what is not", () => {
  for (const toml of VALID) {
    assert.equal(validate(parseToml(toml, "valid")), true, `${toml}\n${JSON.stringify(validate.errors)}`);
    assert.equal(parses(toml), true, toml);
  }
  for (const toml of INVALID) {
    assert.equal(validate(parseToml(toml, "invalid")), false, toml);
    assert.equal(parses(toml), false, toml);
  }
});

test("schema and parser agree on values made up at random", () => {
  const value = fc.oneof(
    fc.constantFrom('"a/b"', '"../x"', '"4 GiB"', '"30m"', "[]", '["x"]', "3", "0", "true", '""', '"pkg:a/b"', "{}"),
    fc.string({ maxLength: 12 }).map(tomlString),
  );
  const key = fc.constantFrom(
    ..."ecosystem directory fetch lockfiles nmae limits.memory limits.timeout limits.processes".split(" "),
    ..."env.A environment.tools environment.type environment.suite environment.image strict source.purl source.sha256 limits.lgo".split(
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(key, value), { maxLength: 3, selector: ([name]) => name }), (pairs) => {
      const toml = BASE + pairs.map(([name, item]) => `${name} = ${item}\n`).join("");
      assert.equal(parses(toml), validate(parseToml(toml, "random")), toml);
    }),
    { numRuns: 500 },
  );
});
