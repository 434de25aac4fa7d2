import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { PackageURL } from "packageurl-js";
import { purl, purlWithoutVersion } from "./purl.ts";

test("purls of the ecosystems, as the specification writes them", () => {
  assert.equal(purl("npm", "@types", "node", "24.0.0"), "pkg:npm/%40types/node@24.0.0");
  assert.equal(purl("NPM", undefined, "left-pad", "1.3.0"), "pkg:npm/left-pad@1.3.0");
  assert.equal(purl("golang", "golang.org/x", "text", "v0.14.0"), "pkg:golang/golang.org/x/text@v0.14.0");
  assert.equal(
    purl("golang", "github.com/docker", "docker", "v24.0.7+incompatible"),
    "pkg:golang/github.com/docker/docker@v24.0.7%2Bincompatible",
  );
  assert.equal(
    purl("maven", "org.example", "a", "1.0", { type: "pom", classifier: undefined }),
    "pkg:maven/org.example/a@1.0?type=pom",
  );
  assert.equal(
    purl("cargo", undefined, "a", "1.0.0", { vcs_url: "git+https://example.org/a.git@0a1b" }),
    "pkg:cargo/a@1.0.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Fa.git%400a1b",
  );
  assert.equal(purl("generic", "", "a b"), "pkg:generic/a%20b");
});

test("packageurl-js reads back what went in, and writes the same", () => {
  const part = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" }).filter((text) => text.trim() === text);
  const plain = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,12}$/);
  fc.assert(
    fc.property(plain, part, fc.option(part, { nil: undefined }), part, (namespace, name, version, value) => {
      fc.pre(!name.includes("/") && version?.startsWith("v") !== true);
      const text = purl("generic", namespace, name, version, { download_url: value });
      const read = PackageURL.fromString(text);
      assert.equal(read.namespace, namespace);
      assert.equal(read.name, name);
      assert.equal(read.version ?? undefined, version);
      assert.equal(read.qualifiers?.["download_url"], value);
    }),
  );
  for (const text of [
    purl("npm", "@scope", "name", "1.0.0-rc.1"),
    purl("maven", "org.a", "b", "1", { classifier: "x" }),
    purl("golang", "example.org/a", "b", "v1.2.3"),
  ])
    assert.equal(PackageURL.fromString(text).toString(), text);
});

test("without its version, a purl keeps all else", () => {
  assert.equal(purlWithoutVersion("pkg:npm/%40a/b@1.0.0?vcs_url=git%2Bx%40y"), "pkg:npm/%40a/b?vcs_url=git%2Bx%40y");
  assert.equal(purlWithoutVersion("pkg:npm/b"), "pkg:npm/b");
});
