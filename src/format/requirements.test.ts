import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { pythonName, requirementsMaterials } from "./requirements.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);
const read = (text: string): [string, string | undefined][] =>
  requirementsMaterials(text, "r.txt").map((item) => [item.purl ?? "", item.checksums.sha256]);

test("a file as pip-compile writes it", () => {
  assert.deepEqual(
    requirementsMaterials(readFileSync(`${import.meta.dirname}/../sbom/fixtures/requirements.txt`), "r.txt"),
    [
      { kind: "dependency", name: "click", version: "8.1.7", purl: "pkg:pypi/click@8.1.7", checksums: {} },
      {
        kind: "dependency",
        name: "flit-core",
        version: "3.9.0",
        purl: "pkg:pypi/flit-core@3.9.0",
        checksums: { sha256: "7aada352fb0c7f5538c4fafeddf314d3a6a92ee8e2b1de70482329e42de70301" },
      },
    ],
  );
});

test("names, extras, markers, comments and continuations", () => {
  const text =
    `--index-url https://example.org/simple # ours\r\n# comment \\\r\nRuamel.Yaml__x[a,b] == 1.0 ; python_version < "3.9" and extra == 'x' \\\r\n` +
    `   --hash=sha256:${A.toUpperCase()}  # via y\r\nb===1!2.0+local --hash sha256:${B}\nc @ https://example.org/c.zip#egg=c --hash=sha256:${A}\n`;
  assert.deepEqual(read(text), [
    ["pkg:pypi/b@1%212.0%2Blocal", B],
    ["pkg:pypi/c?download_url=https:%2F%2Fexample.org%2Fc.zip", A],
    ["pkg:pypi/ruamel-yaml-x@1.0", A],
  ]);
  assert.equal(pythonName("A.-_b"), "a-b");
});

test("the same requirement under two markers, with one hash each, has two hashes: no checksum", () => {
  assert.deepEqual(read(`a==1; x == "1" --hash=sha256:${A}\na==1; x == "2" --hash=sha256:${B}\n`), [
    ["pkg:pypi/a@1", undefined],
  ]);
});

for (const [what, text, message] of [
  ["an included file", "\n-r other.txt", /r\.txt:2: -r includes another file/],
  ["constraints", "--constraint=c.txt", /r\.txt:1: --constraint includes another file/],
  ["an editable install", "-e .", /r\.txt:1: an editable install/],
  ["no hash", "a==1", /r\.txt:1: "a==1" has no --hash/],
  ["not pinned", `a>=1 --hash=sha256:${A}`, /r\.txt:1: "a>=1" is not pinned with ==/],
  ["a wildcard", `a==1.* --hash=sha256:${A}`, /is not pinned with ==/],
  ["a weak hash", `a==1 --hash=md5:${"a".repeat(32)}`, /is not a hash/],
  ["a path", `./a.whl --hash=sha256:${A}`, /is not a requirement/],
  ["an end in the middle", "a==1 \\", /r\.txt:1: the last line ends in a backslash/],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => requirementsMaterials(text, "r.txt"), { name: "BitforbitError", code: "input", message });
  });
}
