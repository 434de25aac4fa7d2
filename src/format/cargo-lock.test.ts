import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { cargoLockMaterials } from "./cargo-lock.ts";

const INDEX = "registry+https://github.com/rust-lang/crates.io-index";
const SUM = "ab".repeat(32);

test("a real Cargo.lock: every crate with a checksum, the project itself left out", () => {
  const text = readFileSync(`${import.meta.dirname}/../sbom/fixtures/Cargo.lock`, "utf8");
  const found = cargoLockMaterials(text, "Cargo.lock");
  assert.equal(found.length, text.match(/^source = /gm)?.length);
  assert.deepEqual(
    found.map((item) => item.checksums.sha256),
    [...text.matchAll(/^checksum = "(.*)"$/gm)].map((match) => match[1]),
  );
  const json = found.find((item) => item.name === "serde_json");
  assert.ok(json?.dependsOn?.includes(found.find((item) => item.name === "itoa")?.purl ?? "?"));
});

test("version 1: checksums stand in [metadata], relations name the source", () => {
  const [a, b] = cargoLockMaterials(
    `[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "${INDEX}"\ndependencies = ["b 2.0.0 (${INDEX})"]\n` +
      `[[package]]\nname = "b"\nversion = "2.0.0"\nsource = "${INDEX}"\n` +
      `[metadata]\n"checksum a 1.0.0 (${INDEX})" = "${SUM}"\n"checksum b 2.0.0 (${INDEX})" = "<none>"\n`,
    "Cargo.lock",
  );
  assert.deepEqual(a?.checksums, { sha256: SUM });
  assert.deepEqual(a?.dependsOn, ["pkg:cargo/b@2.0.0"]);
  assert.deepEqual(b?.checksums, {});
});

test("git and other registries are told apart from the public index", () => {
  const crates = [
    "git+https://example.org/g?branch=main#0a1b2c",
    "registry+https://example.org/index",
    "sparse+https://example.org/i/",
  ];
  const found = cargoLockMaterials(
    `version = 4\n${crates.map((source, i) => `[[package]]\nname = "c${i}"\nversion = "1.0.0"\nsource = "${source}"\n`).join("")}` +
      `[[package]]\nname = "path"\nversion = "1.0.0"\ndependencies = ["c0", "c1 1.0.0"]\n`,
    "Cargo.lock",
  );
  assert.deepEqual(
    found.map((item) => decodeURIComponent(item.purl ?? "")),
    [
      "pkg:cargo/c0@1.0.0?vcs_url=git+https://example.org/g@0a1b2c",
      "pkg:cargo/c1@1.0.0?repository_url=https://example.org/index",
      "pkg:cargo/c2@1.0.0?repository_url=https://example.org/i/",
    ],
  );
});

const crate = (name: string, version: string, wants = ""): string =>
  `[[package]]\nname = "${name}"\nversion = "${version}"\nsource = "${INDEX}"\ndependencies = [${wants}]\n`;

test("two versions of one crate are told apart", () => {
  const found = cargoLockMaterials(
    crate("a", "1.0.0") + crate("a", "2.0.0") + crate("b", "1.0.0", '"a 2.0.0"'),
    "Cargo.lock",
  );
  assert.deepEqual(found.at(-1)?.dependsOn, ["pkg:cargo/a@2.0.0"]);
});

for (const [what, text, message] of [
  ["an unknown version", "version = 5", /Cargo\.lock: version 5 is not read/],
  ["broken TOML", "version = ", /Cargo\.lock:1:/],
  ["no name", '[[package]]\nversion = "1"', /package 1: name or version is missing/],
  [
    "a bad checksum",
    `[[package]]\nname = "a"\nversion = "1"\nchecksum = "xyz"`,
    /package 1 \(a\): xyz is not a SHA-256/,
  ],
  [
    "a relation to nothing",
    `[[package]]\nname = "a"\nversion = "1"\nsource = "x"\ndependencies = ["b"]`,
    /a depends on "b", which is not there/,
  ],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => cargoLockMaterials(text, "Cargo.lock"), { name: "BitforbitError", message });
  });
}
