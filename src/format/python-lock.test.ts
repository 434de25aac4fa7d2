import { strict as assert } from "node:assert";
import test from "node:test";
import { pythonLockMaterials } from "./python-lock.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);
const seen = (text: string): unknown[] =>
  pythonLockMaterials(text, "lock").map((item) => [item.purl, item.checksums, item.dependsOn ?? [], item.runtime]);

test("uv.lock", () => {
  const text = `version = 1
[[package]]
name = "demo"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "one" }]
[[package]]
name = "one"
version = "1.0"
source = { registry = "https://example.org/simple" }
dependencies = [{ name = "Two", version = "2.0" }, { name = "g", marker = "x" }]
wheels = [{ hash = "sha256:${A}" }]
[[package]]
name = "two"
version = "1.0"
sdist = { hash = "sha256:${A}" }
wheels = [{ hash = "sha256:${B}" }]
[[package]]
name = "two"
version = "2.0"
[[package]]
name = "g"
version = "1"
source = { git = "https://example.org/g?rev=main#0a1b" }
`;
  const git = "pkg:pypi/g@1?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Fg%400a1b";
  assert.deepEqual(seen(text), [
    [git, {}, [], undefined],
    ["pkg:pypi/one@1.0", { sha256: A }, [git, "pkg:pypi/two@2.0"], undefined],
    ["pkg:pypi/two@1.0", {}, [], undefined],
    ["pkg:pypi/two@2.0", {}, [], undefined],
  ]);
});

test("poetry.lock", () => {
  const text = `[[package]]
name = "one"
version = "1.0"
groups = ["main"]
files = [{ file = "one.whl", hash = "sha256:${A}" }]
[package.dependencies]
Two = ">=1"
[[package]]
name = "two"
version = "2.0"
groups = ["dev"]
files = []
`;
  assert.deepEqual(seen(text), [
    ["pkg:pypi/one@1.0", { sha256: A }, ["pkg:pypi/two@2.0"], undefined],
    ["pkg:pypi/two@2.0", {}, [], false],
  ]);
});

test("pylock.toml", () => {
  const text = `lock-version = "1.0"
[[packages]]
name = "one"
version = "1.0"
dependencies = [{ name = "two" }]
wheels = [{ name = "one.whl", hashes = { md5 = "00", sha256 = "${A}" } }]
[[packages]]
name = "two"
archive = { url = "https://example.org/two.zip", hashes = { sha512 = "${A}${A}" } }
[[packages]]
name = "here"
directory = { path = "here" }
`;
  assert.deepEqual(seen(text), [
    ["pkg:pypi/one@1.0", { sha256: A }, ["pkg:pypi/two"], undefined],
    ["pkg:pypi/two", { sha512: A + A }, [], undefined],
  ]);
});

for (const [what, text, message] of [
  ["no name", `[[package]]\nversion = "1"`, /lock: package 1: "nothing" is not a name/],
  ["a weak hash only", `[[package]]\nname = "a"\nfiles = [{ hash = "md5:00" }]`, /package 1: "md5:00" is not a hash/],
  ["dependencies as text", `[[package]]\nname = "a"\ndependencies = "b"`, /dependencies is not a list/],
  ["a list of numbers", "package = [1]", /package 1 is not a table/],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => pythonLockMaterials(text, "lock"), { name: "BitforbitError", code: "input", message });
  });
}
