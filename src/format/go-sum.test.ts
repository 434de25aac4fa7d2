import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { goSumMaterials, goSumStale } from "./go-sum.ts";

const FIXTURES = `${import.meta.dirname}/../sbom/fixtures`;
const H1 = `h1:${Buffer.alloc(32, 1).toString("base64")}`;

test("a real go.sum: modules whose files are read, not those of the graph only", () => {
  const found = goSumMaterials(readFileSync(`${FIXTURES}/go.sum`), "go.sum");
  assert.deepEqual(
    found.map((item) => item.purl),
    [
      "pkg:golang/github.com/BurntSushi/toml@v1.3.2",
      "pkg:golang/github.com/spf13/pflag@v1.0.5",
      "pkg:golang/golang.org/x/text@v0.14.0",
    ],
  );
  assert.equal(found[0]?.checksums.goH1, "h1:o7IhLm0Msx3BaB+n3Ag7L8EVlByGnpq14C4YWiu/gL8=");
  assert.deepEqual(goSumMaterials(`example.org/a v1.0.0/go.mod ${H1}\n`, "go.sum"), []);
});

test("what go.mod requires and go.sum does not know", () => {
  const sum = `example.org/a v1.0.0/go.mod ${H1}\nexample.org/fork v1.1.0 ${H1}\n`;
  const mod = `module example.org/m // a comment
go 1.21
require example.org/a v1.0.0
require (
	example.org/b v1.2.3 // indirect
	"example.org/local" v1.0.0
	example.org/other v1.0.0
)
replace example.org/local => ../local
replace (
	example.org/other v1.0.0 => example.org/fork v1.1.0
)
`;
  assert.deepEqual(goSumStale(mod, sum, "go.sum"), [
    "example.org/b: go.mod requires v1.2.3, go.sum has no hash of example.org/b v1.2.3",
  ]);
  assert.deepEqual(goSumStale(readFileSync(`${FIXTURES}/go.mod`), readFileSync(`${FIXTURES}/go.sum`), "go.sum"), []);
});

for (const [what, text, message] of [
  ["a line of two words", "example.org/a v1.0.0", /go\.sum:1: not "module version hash"/],
  ["a path that leads out", `a.b/c v1.0.0 ${H1}\n\na.b/../c v1.0.0 ${H1}`, /go\.sum:3/],
  ["a short hash", "\nexample.org/a v1.0.0 h1:AAAA", /go\.sum:2: "h1:AAAA" is not a module hash/],
  ["two hashes", `a.b/c v1.0.0 ${H1}\na.b/c v1.0.0 h1:${Buffer.alloc(32, 2).toString("base64")}`, /has two goH1/],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => goSumMaterials(text, "go.sum"), { name: "BitforbitError", message });
  });
}
