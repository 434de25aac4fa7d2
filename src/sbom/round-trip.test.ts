/** What both formats can say comes back from either, and from one through the other; the rest is named. */
import { strict as assert } from "node:assert";
import test from "node:test";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { canonicalJson, type Json, type JsonObject } from "../json.ts";
import { type Bom, type Component, Lost, settled } from "./bom.ts";
import { readCycloneDx } from "./cyclonedx-read.ts";
import { writeCycloneDx } from "./cyclonedx-write.ts";
import {
  AGGREGATES,
  HASH_NAMES,
  isExpression,
  licenceRef,
  OTHER_TYPES,
  PHASES,
  PURPOSES,
  refOfSpdxId,
  spdxId,
} from "./names.ts";
import { readBom } from "./read.ts";
import { readSpdx } from "./spdx-read.ts";
import { spdxFaults } from "./spdx-rules-for-tests.ts";
import { writeSpdx } from "./spdx-write.ts";

const DEFAULTS = {
  created: "2026-01-01T00:00:00Z",
  creator: { kind: "tool", name: "bitforbit", version: "1" } as const,
  namespace: "urn:uuid:00000000-0000-8000-8000-000000000000",
};
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);

const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9 .@/_-]{0,14}$/).map((text) => text.trim());
const anyText = fc
  .string({ minLength: 1, maxLength: 24, unit: "grapheme" })
  .filter((text) => text.isWellFormed() && text !== "NOASSERTION");
const mail = fc.stringMatching(/^[a-z]{1,8}@[a-z]{1,8}\.example$/);
const url = fc.stringMatching(/^https:\/\/[a-z]{1,8}\.example\/[a-z0-9/]{0,10}$/);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const defined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;

const party = fc
  .record({ kind: fc.constantFrom("person", "organization"), name: word, email: maybe(mail), url: maybe(url) })
  .map(defined);
const creator = fc.oneof(
  party,
  fc.record({ kind: fc.constant("tool" as const), name: word, version: maybe(word) }).map(defined),
);
const named = fc
  .record({ name: anyText.filter((name) => name !== "NONE"), text: maybe(anyText) })
  .map(({ name, text }) => defined({ id: licenceRef(name, text), name, text }));
const other = fc
  .record({ id: fc.stringMatching(/^LicenseRef-[a-z0-9]{1,9}$/), name: maybe(anyText), text: maybe(anyText) })
  .map(defined);
const property = fc.record({
  name: word.map((name) => `x:${name}`),
  value: fc.string({ maxLength: 20, unit: "grapheme" }),
});
const digits = fc.constantFrom(
  ...[...HASH_NAMES.keys()].map((algorithm) => {
    const bits = /(\d{3})$/.exec(algorithm)?.[1];
    const length = algorithm === "MD5" ? 32 : algorithm === "SHA-1" ? 40 : Number(bits ?? 256) / 4;
    return { algorithm, value: "0a".repeat(length / 2) };
  }),
);
const reference = fc
  .record({
    type: fc.constantFrom("vcs", "issue-tracker", "advisories", "source-distribution", "other"),
    url,
    comment: maybe(anyText.filter((text) => !text.startsWith("spdx:"))),
  })
  .map(defined);
const foreign = fc.record({
  type: fc.constant("other"),
  url,
  comment: fc.constantFrom(
    "spdx:SECURITY fix",
    "spdx:PERSISTENT-ID swh: as kept",
    "spdx:PACKAGE-MANAGER maven-central",
  ),
});

/** Bills that say only what both formats have a way of saying. */
const bills: fc.Arbitrary<Bom> = fc
  .record({
    licences: fc.uniqueArray(fc.oneof(named, other), { maxLength: 4, selector: ({ id }) => id }),
    refs: fc.uniqueArray(fc.oneof(word, anyText, fc.constantFrom("SPDXRef-x", "SPDXRef-ref-x", "SPDXRef-DOCUMENT")), {
      minLength: 1,
      maxLength: 7,
    }),
  })
  .chain(({ licences, refs }) => {
    const plain = fc.constantFrom(
      "MIT",
      "Apache-2.0 OR MIT",
      "GPL-2.0-only WITH Classpath-exception-2.0",
      "(MIT OR ISC) AND 0BSD",
      "NONE",
    );
    const licence = fc.oneof(plain, ...licences.map(({ id }) => fc.constantFrom(id, `MIT AND ${id}`)));
    const components = fc.tuple(
      ...refs.map((ref, at) =>
        fc
          .record({
            ref: fc.constant(ref),
            type: fc.constantFrom(...PURPOSES.keys(), ...OTHER_TYPES),
            group: maybe(word),
            name: anyText,
            version: maybe(anyText),
            supplier: maybe(party),
            originator: maybe(party),
            description: maybe(anyText),
            comment: maybe(anyText),
            copyright: maybe(anyText),
            purl: maybe(fc.constantFrom("pkg:npm/a@1", "pkg:golang/x.example/y@v1#sub")),
            cpe: maybe(fc.constantFrom("cpe:2.3:a:x:y:1:*:*:*:*:*:*:*", "cpe:/a:x:y:1")),
            fileName: maybe(word),
            scope: maybe(fc.constantFrom("required", "optional", "excluded")),
            hashes: fc.uniqueArray(digits, { maxLength: 3, selector: ({ algorithm }) => algorithm }),
            declared: maybe(licence),
            concluded: maybe(licence),
            homepage: maybe(url),
            download: maybe(fc.oneof(url, fc.constantFrom("NONE", "git+https://x.example/y.git@v1"))),
            references: fc.uniqueArray(fc.oneof(reference, foreign), {
              maxLength: 2,
              selector: (one) => JSON.stringify(one),
            }),
            properties: fc.array(property, { maxLength: 2 }),
            dependsOn: maybe(fc.uniqueArray(fc.constantFrom(...refs), { maxLength: 3 })),
            // The first is the root, which stands apart; a part of one before it makes no loop.
            partOf: at < 2 ? fc.constant(at === 0 ? undefined : refs[0]) : maybe(fc.constantFrom(...refs.slice(0, at))),
          })
          .map((one) => defined(one) as Component),
      ),
    );
    return fc
      .record({
        id: maybe(fc.constantFrom("urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "https://x.example/spdx/1")),
        name: maybe(anyText),
        created: fc.constant("2024-02-29T23:59:58Z"),
        creators: fc.array(creator, { minLength: 1, maxLength: 4 }),
        lifecycles: fc.uniqueArray(fc.constantFrom(...PHASES), { maxLength: 2 }),
        comment: maybe(anyText),
        root: fc.constant(refs[0]),
        components,
        extracted: fc.constant(licences),
        completeness: fc.uniqueArray(
          fc.record({
            of: fc.constantFrom(...refs),
            what: fc.constantFrom("dependencies", "parts"),
            is: fc.constantFrom(...AGGREGATES),
          }),
          { maxLength: 3, selector: ({ of, what, is }) => JSON.stringify([of, what, is]) },
        ),
        properties: fc.array(property, { maxLength: 2 }),
      })
      .map((bom) => settled(JSON.parse(JSON.stringify(bom)) as Bom, new Lost()));
  });

const NOTHING = { lost: [], added: [] };

test("a bill comes back from CycloneDX, from SPDX, and from each through the other; both are valid", async () => {
  await fc.assert(
    fc.asyncProperty(bills, async (bom) => {
      const cyclonedx = writeCycloneDx(bom);
      assert.deepEqual({ lost: cyclonedx.lost, added: cyclonedx.added }, NOTHING);
      const faults = await validator.validate(Buffer.from(canonicalJson(cyclonedx.document)).toString());
      assert.equal(faults, null, JSON.stringify(faults));
      const fromCycloneDx = readCycloneDx(cyclonedx.document);
      assert.deepEqual(fromCycloneDx, { bom, format: "CycloneDX", specVersion: "1.6", lost: [] });

      const added = bom.id === undefined ? [`the namespace ${DEFAULTS.namespace}`] : [];
      const spdx = writeSpdx(fromCycloneDx.bom, DEFAULTS);
      assert.deepEqual({ lost: spdx.lost, added: spdx.added }, { lost: [], added });
      assert.deepEqual(spdxFaults(spdx.document), []);
      const fromSpdx = readSpdx(spdx.document);
      const expected = { ...bom, id: bom.id ?? DEFAULTS.namespace };
      assert.deepEqual(fromSpdx, { bom: expected, format: "SPDX", specVersion: "2.3", lost: [] });
      assert.deepEqual(readCycloneDx(writeCycloneDx(fromSpdx.bom).document).bom, expected);
    }),
    { numRuns: 400 },
  );
});

/** Every path of a document that leads to a value. */
function leaves(value: Json, path = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => leaves(item, `${path}[${at}]`));
  if (value === null || typeof value !== "object") return [path];
  return Object.entries(value).flatMap(([name, item]) => leaves(item, path === "" ? name : `${path}.${name}`));
}

test("whatever field is put anywhere into a document is read, or named as lost, or refused", () => {
  const start: Bom = settled(
    {
      creators: [{ kind: "tool", name: "t" }],
      created: "2024-02-29T23:59:58Z",
      lifecycles: [],
      root: "a",
      components: [
        { ref: "a", type: "library", name: "a", hashes: [], references: [], properties: [], dependsOn: ["b"] },
        { ref: "b", type: "file", name: "b", hashes: [], references: [], properties: [], partOf: "a" },
      ],
      extracted: [],
      completeness: [],
      properties: [],
    },
    new Lost(),
  );
  const documents = { cyclonedx: writeCycloneDx(start).document, spdx: writeSpdx(start, DEFAULTS).document };
  const objectsOf = (value: Json): JsonObject[] =>
    value === null || typeof value !== "object"
      ? []
      : [...(Array.isArray(value) ? [] : [value]), ...Object.values(value).flatMap(objectsOf)];
  for (const [format, document] of Object.entries(documents)) {
    const count = objectsOf(document).length;
    assert.ok(count > 6);
    for (let at = 0; at < count; at++) {
      const copy = structuredClone(document) as JsonObject;
      const target = objectsOf(copy)[at] ?? assert.fail();
      target["neverHeardOf"] = { inside: "said" };
      const { lost } = readBom(canonicalJson(copy), "x");
      assert.ok(
        lost.some((line) => line.endsWith("neverHeardOf")),
        `${format}: ${leaves(copy).find((path) => path.includes("neverHeardOf"))} vanished in ${JSON.stringify(lost)}`,
      );
    }
  }
});

test("older CycloneDX: tools as a list, author, several licences, a version that is not the first", () => {
  const { bom, lost } = readCycloneDx({
    bomFormat: "CycloneDX",
    specVersion: "1.4",
    version: 3,
    metadata: {
      timestamp: "2021-01-02T05:04:05.678+02:00",
      tools: [{ vendor: "v", name: "cdx", version: "2" }],
      supplier: { name: "S", url: ["https://s.example", "https://t.example"] },
      component: { type: "application", name: "root" },
    },
    components: [
      {
        type: "library",
        name: "x",
        author: "A",
        licenses: [{ license: { id: "MIT" } }, { license: { name: "Own", text: { content: "do" } } }],
        hashes: [{ alg: "SHA-256", content: "short" }],
        evidence: { copyright: [] },
        externalReferences: [
          { type: "vcs", url: "https://x.example", hashes: [{ alg: "MD5", content: "0".repeat(32) }] },
        ],
      },
    ],
    vulnerabilities: [{ id: "CVE-1" }],
  });
  assert.deepEqual(bom.creators, [{ kind: "tool", name: "cdx", version: "2" }]);
  assert.equal(bom.created, "2021-01-02T03:04:05Z");
  const x = bom.components.find(({ name }) => name === "x");
  assert.deepEqual(x?.originator, { kind: "person", name: "A" });
  assert.equal(x?.declared, `MIT AND ${licenceRef("Own", "do")}`);
  assert.deepEqual(bom.components.find(({ name }) => name === "root")?.supplier, {
    kind: "organization",
    name: "S",
    url: "https://s.example",
  });
  assert.deepEqual(lost, [
    'metadata.supplier: the further address "https://t.example"',
    "metadata.tools[0].vendor",
    'components[0].hashes[0]: SHA-256 "short"',
    "components[0]: 2 licences without an expression; they are joined by AND",
    "components[0].externalReferences[0].hashes",
    "components[0].evidence",
    "version",
    "vulnerabilities",
  ]);
});

test("foreign SPDX: files, purposes, relationships seen from the other end", () => {
  const { bom, lost } = readSpdx({
    spdxVersion: "SPDX-2.3",
    SPDXID: "SPDXRef-DOCUMENT",
    dataLicense: "CC0-1.0",
    name: "n",
    documentNamespace: "https://x.example/1",
    creationInfo: { created: "2024-01-01T00:00:00Z", creators: ["Tool: syft-1.2.3", "Organization: O ()", "nobody"] },
    packages: [
      {
        SPDXID: "SPDXRef-p",
        name: "p",
        downloadLocation: "NOASSERTION",
        primaryPackagePurpose: "APPLICATION",
        hasFiles: ["SPDXRef-f"],
      },
      {
        SPDXID: "SPDXRef-q",
        name: "q",
        downloadLocation: "NONE",
        sourceInfo: "from here",
        checksums: [{ algorithm: "ADLER32", checksumValue: "00000000" }],
        externalRefs: [
          { referenceCategory: "PACKAGE_MANAGER", referenceType: "purl", referenceLocator: "pkg:npm/q@1" },
        ],
      },
    ],
    files: [
      {
        SPDXID: "SPDXRef-f",
        fileName: "./f",
        checksums: [{ algorithm: "SHA1", checksumValue: "A".repeat(40) }],
        licenseInfoInFiles: ["MIT"],
      },
    ],
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: "SPDXRef-p" },
      { spdxElementId: "SPDXRef-q", relationshipType: "DEV_DEPENDENCY_OF", relatedSpdxElement: "SPDXRef-p" },
      { spdxElementId: "SPDXRef-q", relationshipType: "GENERATED_FROM", relatedSpdxElement: "SPDXRef-p" },
      { spdxElementId: "SPDXRef-q", relationshipType: "DEPENDS_ON", relatedSpdxElement: "NOASSERTION" },
      { spdxElementId: "SPDXRef-p", relationshipType: "DEPENDS_ON", relatedSpdxElement: "DocumentRef-z:SPDXRef-z" },
    ],
  });
  assert.deepEqual(bom.creators, [
    { kind: "tool", name: "syft", version: "1.2.3" },
    { kind: "organization", name: "O" },
  ]);
  const [f, p, q] = bom.components;
  assert.deepEqual(
    [f?.type, f?.partOf, f?.declared, f?.hashes[0]?.value],
    ["file", "SPDXRef-p", "MIT", "a".repeat(40)],
  );
  assert.deepEqual([p?.dependsOn, q?.scope, q?.purl], [["SPDXRef-q"], "excluded", "pkg:npm/q@1"]);
  assert.deepEqual(bom.completeness, [{ of: "SPDXRef-q", what: "dependencies", is: "unknown" }]);
  assert.deepEqual(lost, [
    'creationInfo: the creator "nobody"',
    'packages[1].checksums[0]: ADLER32 "00000000"',
    "packages[1]: no primaryPackagePurpose: taken for a library",
    "packages[1].sourceInfo",
    "relationships[1]: DEV_DEPENDENCY_OF is kept as a dependency of scope excluded",
    "relationships[2]: SPDXRef-q GENERATED_FROM SPDXRef-p",
    '"SPDXRef-p" names "DocumentRef-z:SPDXRef-z", which is not in the document',
  ]);
});

test("identifiers: any ref has one SPDX identifier, and it leads back", () => {
  fc.assert(
    fc.property(fc.oneof(anyText, fc.stringMatching(/^SPDXRef-(ref-)?[a-zA-Z0-9.-]{1,9}$/)), (ref) => {
      assert.match(spdxId(ref), /^SPDXRef-[A-Za-z0-9.-]+$/);
      assert.equal(refOfSpdxId(spdxId(ref)), ref);
    }),
  );
});

test("expressions by their grammar", () => {
  for (const good of ["MIT", "(MIT)", "A OR (B AND C+)", "A WITH x-1.0 AND B", "DocumentRef-a:LicenseRef-b"]) {
    assert.ok(isExpression(good), good);
  }
  for (const bad of [
    "",
    "MIT MIT",
    "(MIT",
    "MIT)",
    "AND",
    "A OR",
    "A WITH (B)",
    "(A) WITH B",
    "A WITH B WITH C",
    "ä",
  ]) {
    assert.ok(!isExpression(bad), bad);
  }
});

test("bad documents are refused by name", () => {
  const cases: [string, RegExp][] = [
    ["[]", /neither CycloneDX nor SPDX/],
    ["{}", /neither CycloneDX nor SPDX/],
    ['{"bomFormat":"CycloneDX","specVersion":"2.0"}', /"2.0" is not read/],
    ['{"spdxVersion":"SPDX-3.0"}', /"SPDX-3.0" is not read/],
    ['{"bomFormat":"CycloneDX","specVersion":"1.6","components":{}}', /components is not a list/],
    ['{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"file"}]}', /components\[0\].name is missing/],
    [
      '{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"timestamp":"now"}}',
      /metadata.timestamp is not a time/,
    ],
    [
      '{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","bom-ref":"x"},{"name":"b","bom-ref":"x"}]}',
      /two components of the SBOM are called "x"/,
    ],
    ['{"spdxVersion":"SPDX-2.3"}', /creationInfo is missing/],
    [
      '{"spdxVersion":"SPDX-2.3","creationInfo":{},"packages":[{"SPDXID":"SPDXRef-a","name":"a"},{"SPDXID":"SPDXRef-b","name":"b"}],' +
        '"relationships":[{"spdxElementId":"SPDXRef-a","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-b"},' +
        '{"spdxElementId":"SPDXRef-b","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-a"}]}',
      /a part of parts of parts/,
    ],
  ];
  for (const [document, message] of cases) {
    assert.throws(() => readBom(utf8(document), "x.json"), { name: "BitforbitError", message }, document);
  }
});

test("any JSON ends in a bill or in an error of ours", () => {
  const keys = fc.constantFrom(
    "metadata",
    "components",
    "packages",
    "name",
    "licenses",
    "dependencies",
    "relationships",
    "SPDXID",
    "annotations",
    "x",
  );
  const { value } = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(keys, tie("value"), { maxKeys: 4 }),
    ),
  }));
  const start = fc.constantFrom<JsonObject>(
    { bomFormat: "CycloneDX", specVersion: "1.5" },
    { spdxVersion: "SPDX-2.3", creationInfo: { created: "2024-01-01T00:00:00Z", creators: [] } },
  );
  fc.assert(
    fc.property(start, fc.dictionary(keys, value, { maxKeys: 4 }), (head, rest) => {
      try {
        const { bom } = readBom(canonicalJson({ ...rest, ...head }), "x");
        writeSpdx(bom, DEFAULTS);
        writeCycloneDx(bom);
      } catch (error) {
        assert.ok(error instanceof BitforbitError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
