import { strict as assert } from "node:assert";
import test from "node:test";
import { utf8 } from "../bytes.ts";
import { digestOf } from "../digest.ts";
import type { Material } from "../material.ts";
import { type Component, Lost, type ReadBom, settled } from "./bom.ts";
import { claimsOf } from "./claims.ts";
import { compareBoms } from "./compare.ts";
import { cycloneDx } from "./cyclonedx.ts";
import { readCycloneDx } from "./cyclonedx-read.ts";
import { cargoFacts, fileNameOf, formOf, goFacts, npmFacts, pythonFacts, wheelName } from "./package-facts.ts";
import { scoreBom } from "./score.ts";

const PURL = "pkg:cargo/a@1.0.0";
const material: Material = {
  kind: "dependency",
  name: "a",
  version: "1.0.0",
  purl: PURL,
  checksums: { sha256: "a".repeat(64) },
};
const facts = {
  supplier: { kind: "person", name: "A", email: "a@x.example" } as const,
  licence: "MIT",
  fileName: "a-1.0.0.crate",
  sha512: "b".repeat(128),
  form: formOf("a-1.0.0.crate", false),
};
const subject = {
  name: "demo",
  version: "2",
  facts,
  packages: new Map([[PURL, facts]]),
  outputs: [{ path: "bin/demo", digest: digestOf("demo"), sha512: "c".repeat(128), executable: true }],
  maker: { kind: "organization", name: "builder", url: "https://x.example/builder" } as const,
};
const whole = (): ReadBom => readCycloneDx(cycloneDx(subject, [material], 0, "1"));

test("a bill for which every fact is known has all of it", () => {
  const read = whole();
  const { score, elements } = scoreBom(read, claimsOf(read.bom, [{ purl: PURL, name: "a", read: true }]));
  assert.deepEqual(
    elements.filter(({ asked, present }) => present !== asked),
    [],
  );
  assert.equal(score, 1);
});

const without = (ref: string, ...fields: (keyof Component)[]): ReadBom => {
  const read = whole();
  const components = read.bom.components.map((component) =>
    component.ref === ref
      ? (Object.fromEntries(
          Object.entries(component).filter(([name]) => !fields.includes(name as never)),
        ) as unknown as Component)
      : component,
  );
  return { ...read, bom: { ...read.bom, components } };
};

test("each fact that is taken away is missed by its name, at its component", () => {
  const cases: [keyof Component, string[]][] = [
    ["supplier", ["ntia: supplier", "bsi: component creator, with e-mail or URL"]],
    ["version", ["ntia: component version", "bsi: component version"]],
    ["purl", ["ntia: unique identifier"]],
    ["fileName", ["bsi: filename"]],
    ["declared", ["bsi: distribution licence"]],
  ];
  for (const [field, expected] of cases) {
    const { score, elements } = scoreBom(without(PURL, field));
    const missed = elements.filter(({ missing }) => missing.includes(PURL));
    assert.deepEqual(
      missed.map(({ standard, name }) => `${standard}: ${name}`),
      expected,
    );
    assert.ok(score < 1);
  }
  const bare: ReadBom = {
    bom: settled(
      {
        creators: [],
        lifecycles: [],
        extracted: [],
        completeness: [],
        properties: [],
        components: [{ ref: "x", type: "library", name: "x", hashes: [], references: [], properties: [] }],
      },
      new Lost(),
    ),
    format: "SPDX",
    specVersion: "2.3",
    lost: [],
  };
  const { elements, standards } = scoreBom(bare);
  assert.deepEqual(
    elements.filter(({ present }) => present > 0).map(({ name }) => name),
    ["component name", "component name"],
  );
  assert.deepEqual(standards, { ntia: 1 / 7, bsi: 1 / 13 });
});

test("a bill against what was read: what it lacks, what it lists for nothing; qualifiers and scopes aside, or by digest", () => {
  const { bom } = whole();
  const observed = [
    { purl: `${PURL}?arch=x`, name: "a", read: true },
    { purl: "pkg:npm/@x/y@1", name: "y", read: true },
    { purl: "pkg:npm/z@1", name: "z", read: false },
  ];
  assert.deepEqual(claimsOf(bom, observed), {
    read: [`${PURL}?arch=x`, "pkg:npm/@x/y@1"],
    missing: ["pkg:npm/@x/y@1"],
    unread: [],
  });
  assert.deepEqual(claimsOf(bom, [{ name: "renamed", sha256: "a".repeat(64), read: true }]).missing, []);
  assert.deepEqual(claimsOf(bom, []).unread, [PURL]);
  const { elements } = scoreBom(whole(), claimsOf(bom, observed));
  assert.deepEqual(elements.at(-1)?.missing, ["pkg:npm/@x/y@1"]);
});

const bill = (...materials: Material[]): ReadBom["bom"] =>
  readCycloneDx(cycloneDx({ name: "d", outputs: [] }, materials, 0, "1")).bom;

test("two bills: added, removed, another version, another digest of the same version", () => {
  const other = (version: string, digit: string): Material => ({
    ...material,
    version,
    purl: `pkg:cargo/a@${version}`,
    checksums: { sha256: digit.repeat(64) },
  });
  const b: Material = { ...material, name: "b", purl: "pkg:cargo/b@1" };
  const same = compareBoms(bill(material), bill(material));
  assert.deepEqual(same, { added: [], removed: [], changed: [] });
  const swapped = compareBoms(bill(material), bill(other("1.0.0", "e")));
  assert.deepEqual(swapped.changed, [
    { component: PURL, fields: [{ field: "hashes", a: `SHA-256:${"a".repeat(64)}`, b: `SHA-256:${"e".repeat(64)}` }] },
  ]);
  const moved = compareBoms(bill(material), bill(other("1.1.0", "a"), b));
  assert.deepEqual(moved.added, ["pkg:cargo/b@1"]);
  assert.deepEqual(
    moved.changed.map(({ component, fields }) => [component, fields.map(({ field }) => field)]),
    [
      [PURL, ["version"]],
      ["pkg:generic/d", ["dependsOn"]],
    ],
  );
  // Two versions side by side: the one that is on both sides is not taken for a change of the other.
  const two = compareBoms(bill(material, other("2.0.0", "d")), bill(other("2.0.0", "d")));
  assert.deepEqual(two.removed, [PURL]);
});

test("what packages say of themselves", () => {
  assert.deepEqual(npmFacts(utf8('{"version":"1","author":"A B <a@b.example> (https://b.example)","license":"MIT"}')), {
    version: "1",
    supplier: { kind: "person", name: "A B", email: "a@b.example" },
    licence: "MIT",
  });
  assert.deepEqual(
    npmFacts(utf8('{"maintainers":[{"name":"M"}],"repository":{"url":"git+https://x.example/y.git"}}')),
    {
      supplier: { kind: "organization", name: "M", url: "https://x.example/y.git" },
      homepage: "https://x.example/y.git",
    },
  );
  assert.deepEqual(
    cargoFacts(utf8('[package]\nversion="1"\nauthors=["A <a@b.example>"]\nlicense="MIT/Apache-2.0"\n')),
    {
      version: "1",
      supplier: { kind: "person", name: "A", email: "a@b.example" },
      licence: "MIT OR Apache-2.0",
    },
  );
  const python =
    "Name: x\nVersion: 3\nAuthor-email: Some One <s@o.example>\nLicense-Expression: ISC\nHome-page: UNKNOWN\n\nAuthor: not me\n";
  assert.deepEqual(pythonFacts(utf8(python)), {
    version: "3",
    supplier: { kind: "person", name: "Some One", email: "s@o.example" },
    licence: "ISC",
  });
  assert.deepEqual(
    pythonFacts(utf8("Source: hello\nMaintainer: S V <s@debian.example>\nHomepage: x\n\nPackage: hello\n")),
    {
      supplier: { kind: "person", name: "S V", email: "s@debian.example" },
    },
  );
  assert.deepEqual(goFacts("github.com/o/r").supplier, {
    kind: "organization",
    name: "github.com/o",
    url: "https://github.com/o/r",
  });
  assert.equal(
    wheelName("x-1.dist-info", utf8("Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any\n")),
    "x-1-py2.py3-none-any.whl",
  );
  assert.equal(fileNameOf("npm", "@s/n", "1"), "n-1.tgz");
  assert.deepEqual(formOf("bin/x", true), { executable: true, archive: false, structured: false });
  assert.deepEqual(
    [npmFacts(utf8("[]")), cargoFacts(utf8("x=1")), pythonFacts(new Uint8Array([0xff])), goFacts("local")],
    [{}, {}, {}, {}],
  );
});
