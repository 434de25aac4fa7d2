import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import * as fc from "fast-check";
import { digestOf } from "../digest.ts";
import { cargoLockMaterials } from "../format/cargo-lock.ts";
import { goSumMaterials } from "../format/go-sum.ts";
import { mavenTreeMaterials, pomMaterials } from "../format/maven-pom.ts";
import { npmLockMaterials } from "../format/npm-lock.ts";
import { requirementsMaterials } from "../format/requirements.ts";
import { type JsonObject, parseJson } from "../json.ts";
import type { Material } from "../material.ts";
import { cycloneDx, sbomBytes, type SbomSubject } from "./cyclonedx.ts";

const AT = Date.UTC(2026, 0, 2, 3, 4, 5);
const fixture = (name: string): string => readFileSync(`${import.meta.dirname}/fixtures/${name}`, "utf8");
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);

const subject: SbomSubject = {
  name: "demo",
  version: "1.0.0+build/1",
  outputs: [{ path: "out/demo.tgz", digest: digestOf("demo") }],
};

const ECOSYSTEMS: Readonly<Record<string, () => Material[]>> = {
  npm: () => npmLockMaterials(fixture("package-lock.json"), "package-lock.json"),
  cargo: () => cargoLockMaterials(fixture("Cargo.lock"), "Cargo.lock"),
  go: () => goSumMaterials(fixture("go.sum"), "go.sum"),
  pip: () => requirementsMaterials(fixture("requirements.txt"), "requirements.txt"),
  "maven's pom": () => pomMaterials(fixture("pom.xml"), "pom.xml"),
  "maven's tree": () => mavenTreeMaterials(fixture("maven-tree.txt"), "maven-tree.txt"),
};

async function assertValid(document: JsonObject): Promise<void> {
  const faults = await validator.validate(Buffer.from(sbomBytes(document)).toString());
  assert.equal(faults, null, JSON.stringify(faults));
}

for (const [name, materials] of Object.entries(ECOSYSTEMS)) {
  test(`a bill of materials from ${name} is valid CycloneDX 1.6 and whole`, async () => {
    const listed = materials();
    assert.ok(listed.length >= 2, `${listed.length} materials`);
    const document = cycloneDx(subject, listed, AT, "0.1.0");
    await assertValid(document);
    const components = document["components"] as JsonObject[];
    assert.deepEqual(
      components.map((item) => item["purl"]),
      listed.map((item) => item.purl),
    );
  });
}

test("the validator can fail", async () => {
  const document = cycloneDx(subject, [], AT, "0.1.0");
  assert.notEqual(await validator.validate(JSON.stringify({ ...document, specVersion: "1.6", unknown: true })), null);
});

test("all materials in one document are valid, whatever their licence and name", async () => {
  const text = fc.string({ minLength: 1, maxLength: 20, unit: "binary" });
  const material = fc.record({
    kind: fc.constant("dependency" as const),
    name: text,
    purl: fc.stringMatching(/^[a-z][a-z0-9.-]{0,12}$/).map((name) => `pkg:generic/${name}`),
    checksums: fc.constantFrom({}, { sha256: "a".repeat(64) }, { goH1: "h1:x" }, { sha1: "b".repeat(40) }),
    licence: fc.oneof(
      text,
      fc.constantFrom(
        "MIT",
        "(MIT OR Apache-2.0)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "SEE LICENSE IN x",
        "Foo",
        "MIT MIT",
        "AND",
        "(MIT",
        "UNLICENSED",
      ),
    ),
    runtime: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(material, { maxLength: 5 }), async (materials) => {
      await assertValid(cycloneDx(subject, materials, AT, "0.1.0"));
    }),
    { numRuns: 150 },
  );
});

test("the same lock gives the same bytes, in whatever order it comes; another lock gives another serial number", () => {
  const listed = Object.values(ECOSYSTEMS)
    .slice(0, 4)
    .flatMap((materials) => materials());
  const bytes = sbomBytes(cycloneDx(subject, listed, AT, "0.1.0"));
  assert.deepEqual(sbomBytes(cycloneDx(subject, listed.toReversed(), AT, "0.1.0")), bytes);
  const one = cycloneDx(subject, listed, AT, "0.1.0")["serialNumber"];
  assert.notEqual(cycloneDx(subject, listed.slice(1), AT, "0.1.0")["serialNumber"], one);
  assert.match(String(one), /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("the document says what depends on what, and what only development needs", () => {
  const document = cycloneDx(subject, ECOSYSTEMS["npm"]?.() ?? [], AT, "0.1.0");
  const [root, ...rest] = document["dependencies"] as { ref: string; dependsOn: string[] }[];
  assert.ok(root?.dependsOn.includes("pkg:npm/%40sindresorhus/is@4.6.0"));
  assert.ok(root?.dependsOn.some((ref) => ref.startsWith("pkg:npm/rimraf@")));
  assert.ok(!root?.dependsOn.some((ref) => ref.startsWith("pkg:npm/glob@")), "glob is rimraf's");
  const rimraf = rest.find(({ ref }) => ref.startsWith("pkg:npm/rimraf@"));
  assert.deepEqual(
    rimraf?.dependsOn.map((ref) => ref.replace(/@.*/, "")),
    ["pkg:npm/glob"],
  );
  const scopes = new Map((document["components"] as JsonObject[]).map((item) => [item["name"], item["scope"]]));
  assert.equal(scopes.get("rimraf"), "excluded");
  assert.equal(scopes.get("supports-color"), "required");
});

const asked = (licence: string): unknown => {
  const material: Material = { kind: "dependency", name: "a", purl: "pkg:npm/a@1", checksums: {}, licence };
  const [component] = cycloneDx(subject, [material], AT, "0.1.0")["components"] as { licenses: JsonObject[] }[];
  return Object.keys(component?.licenses[0] ?? {})[0];
};

test("SPDX expressions are told from free text", () => {
  for (const licence of [
    "MIT",
    "(MIT OR Apache-2.0)",
    "MIT AND (BSD-2-Clause OR GPL-2.0+)",
    "GPL-2.0-only WITH Classpath-exception-2.0",
  ])
    assert.equal(asked(licence), "expression", licence);
  for (const licence of ["UNLICENSED", "SEE LICENSE IN x", "(MIT", "MIT MIT", "AND", "Public Domain", "MIT OR", ""])
    assert.equal(asked(licence), "license", licence);
});

test("a cycle of dependencies leaves no package unreachable from the root", () => {
  const cycle: Material[] = ["a", "b"].map((name) => ({
    kind: "dependency",
    name,
    purl: `pkg:npm/${name}@1.0.0`,
    version: "1.0.0",
    checksums: {},
    dependsOn: [`pkg:npm/${name === "a" ? "b" : "a"}@1.0.0`],
  }));
  const [root] = cycloneDx(subject, cycle, AT, "0.1.0")["dependencies"] as { dependsOn: string[] }[];
  assert.deepEqual(root?.dependsOn, ["pkg:npm/a@1.0.0"]);
});

test("the bytes are JSON that reads back, and end in a newline", () => {
  const document = cycloneDx(subject, ECOSYSTEMS["cargo"]?.() ?? [], AT, "0.1.0");
  const bytes = sbomBytes(document);
  assert.equal(bytes.at(-1), 0x0a);
  assert.deepEqual(parseJson(bytes, "sbom"), document);
});
