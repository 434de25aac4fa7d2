import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { DIGEST, statementsAbout, world } from "../../test/evidence.ts";
import { utf8 } from "../bytes.ts";
import { digestOf } from "../digest.ts";
import { readProvenance, readReproduction, readStatement } from "./read.ts";
import { provenance, reproductionStatement, sbomStatement, spdxStatement } from "./statement.ts";

const subjects = [{ name: "hello", digest: DIGEST }];
const [made, bom, reproduction] = statementsAbout(DIGEST);

test("provenance has every field of SLSA v1, as the specification names them", () => {
  assert.deepEqual(made, {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "hello", digest: { sha256: DIGEST.slice(7) } }],
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "https://bitforbit.dev/build/v1",
        externalParameters: {
          recipe: { path: "bitforbit.toml" },
          command: "make",
          outputs: ["hello"],
          source: {
            uri: "git+https://example.org/hello.git",
            digest: { gitCommit: "0123456789abcdef0123456789abcdef01234567" },
            ref: "refs/tags/v1",
          },
        },
        internalParameters: { environment: { type: "host", pinned: false }, canonical: true },
        resolvedDependencies: [
          {
            name: "example.org/m",
            uri: "pkg:golang/example.org/m@v1.0.0",
            digest: {
              sha256: "a".repeat(64),
              goModuleH1: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            },
            annotations: { kind: "dependency", version: "v1.0.0" },
          },
        ],
      },
      runDetails: {
        builder: { id: "https://bitforbit.dev/builder/local", version: { bitforbit: "0.1.0" } },
        metadata: {
          invocationId: "build-1",
          startedOn: "2026-11-22T23:59:00Z",
          finishedOn: "2026-11-22T23:59:59Z",
        },
        byproducts: [{ name: "build.log", digest: { sha256: digestOf("log").slice(7) }, mediaType: "text/plain" }],
      },
    },
  });
});

test("what is written is what is read", () => {
  const read = readStatement(utf8(JSON.stringify(made)));
  assert.deepEqual(read.subjects, [{ name: "hello", sha256: DIGEST.slice(7) }]);
  assert.equal(read.digest, digestOf(JSON.stringify(made)).slice(7));
  assert.equal(readProvenance(read.predicate).canonical, true);
  assert.deepEqual(
    readReproduction(reproduction.predicate).worlds.map(({ name }) => name),
    ["canonical", "adversarial"],
  );
  assert.equal(
    readStatement(utf8(JSON.stringify({ ...made, _type: "https://in-toto.io/Statement/v0.1" }))).predicateType,
    made.predicateType,
  );
});

test("subjects are in byte order, whatever order they came in", () => {
  const many = ["b", "a", "ä", "Z"].map((name) => ({ name, digest: DIGEST }));
  const bomOf = { bomFormat: "CycloneDX" };
  assert.deepEqual(
    sbomStatement(many, bomOf).subject.map(({ name }) => name),
    ["Z", "a", "b", "ä"],
  );
  assert.deepEqual(sbomStatement(many, bomOf), sbomStatement(many.toReversed(), bomOf));
});

test("statements about nothing, and SBOMs of another kind, are refused", () => {
  assert.throws(() => sbomStatement([], { bomFormat: "CycloneDX" }), {
    code: "input",
    message: /at least one subject/,
  });
  assert.throws(() => sbomStatement(subjects, { spdxVersion: "SPDX-2.3" }), {
    code: "input",
    message: /not a CycloneDX/,
  });
  assert.equal(bom.predicateType, "https://cyclonedx.org/bom");
  assert.equal(provenance.length, 1);
});

test("an SPDX document is a statement of its own type, and nothing else is", () => {
  const document = { spdxVersion: "SPDX-2.3", packages: [] };
  assert.deepEqual(spdxStatement(subjects, document).predicateType, "https://spdx.dev/Document/v2.3");
  assert.throws(() => spdxStatement(subjects, { spdxVersion: "SPDX-2.2" }), /not an SPDX 2.3 document/);
});

test("our own predicate is as its published schema says", () => {
  const schema = JSON.parse(readFileSync("schemas/reproduction.schema.json", "utf8")) as Record<string, unknown>;
  const valid = new Ajv2020({ allErrors: true, strict: true }).compile(schema);
  assert.ok(valid(reproduction.predicate), JSON.stringify(valid.errors));
  assert.equal(reproduction.predicate["grade"], "partial");
  const differs = reproductionStatement({
    subjects,
    invocationId: "build-2",
    verdict: "differs",
    worlds: [
      { world: { ...world("canonical"), cpus: 1 }, outputs: subjects },
      { world: world("adversarial"), outputs: [{ name: "hello", digest: digestOf("other") }] },
    ],
    causes: [{ cause: "clock", path: ["hello"] }],
    lacks: [],
  });
  assert.ok(valid(differs.predicate), JSON.stringify(valid.errors));
  assert.equal(differs.predicate["grade"], "full");
  for (const broken of [{ verdict: "maybe" }, { worlds: [] }, { causes: [{}] }, { extra: 1 }, { lacks: ["x"] }]) {
    assert.ok(!valid({ ...differs.predicate, ...broken }), JSON.stringify(broken));
  }
});
