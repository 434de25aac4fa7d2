import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { PackageURL } from "packageurl-js";
import { formatPurl, parsePurl, type Purl } from "./purl.ts";

/** What packageurl-js makes of the same parts; it leaves `+` in versions as it is, where ECMA-427 encodes it. */
const oracle = ({ type, namespace, name, version, qualifiers, subpath }: Purl): string =>
  new PackageURL(type, namespace, name, version, qualifiers, subpath).toString().replaceAll("+", "%2B");

test("written as packageurl-js writes them", () => {
  const table: Purl[] = [
    { type: "npm", namespace: "@types", name: "node", version: "24.0.0" },
    { type: "pypi", name: "Ruamel.Yaml_x", version: "1.0+local" },
    { type: "golang", namespace: "github.com/Foo", name: "Bar", version: "v1.0.0-0.20200101000000-abc+incompatible" },
    {
      type: "maven",
      namespace: "org.slf4j",
      name: "slf4j-api",
      version: "2",
      qualifiers: { type: "jar", classifier: "" },
    },
    { type: "deb", namespace: "debian", name: "hello", version: "1:2~3", qualifiers: { distro: "x", arch: "source" } },
    { type: "cargo", name: "itoa", version: "1.0.0" },
    { type: "generic", name: "a b/c", version: "1", subpath: "x/../y z" },
  ];
  for (const purl of table.filter(({ type }) => type !== "pypi")) assert.equal(formatPurl(purl), oracle(purl));
  assert.equal(formatPurl(table[1] ?? { type: "", name: "" }), "pkg:pypi/ruamel-yaml-x@1.0%2Blocal");
});

test("parsed as packageurl-js parses them, and written back", () => {
  const part = fc.stringMatching(/^[a-z][a-z0-9._ +@&?#-]{0,8}[a-z0-9]$/);
  const purls: fc.Arbitrary<Purl> = fc.record(
    {
      type: fc.constantFrom("cargo", "maven", "generic"),
      namespace: part,
      name: part,
      version: part,
      qualifiers: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), part, { noNullPrototype: true, minKeys: 1 }),
    },
    { requiredKeys: ["type", "name", "namespace"], noNullPrototype: true },
  );
  fc.assert(
    fc.property(purls, (purl) => {
      const text = formatPurl(purl);
      assert.equal(text, oracle(purl));
      assert.deepEqual(parsePurl(text), purl);
      const theirs = PackageURL.fromString(text);
      assert.deepEqual([theirs.name, theirs.version ?? undefined], [purl.name, purl.version]);
    }),
  );
});

test("anything else is an error, not a crash", () => {
  for (const bad of ["", "pkg:", "pkg:npm", "pkg:npm/", "npm/x", "pkg:npm/%zz", "pkg:npm/@1"]) {
    assert.throws(() => parsePurl(bad), { code: "input" }, bad);
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parsePurl(`pkg:${text}`);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "input");
      }
    }),
  );
});
