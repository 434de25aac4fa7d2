import { strict as assert } from "node:assert";
import test from "node:test";
import { knownByPlace, notVaried } from "./not-varied.ts";
import { variations } from "./worlds.ts";

test("what is not varied has no variation, and says why, how it is known and what to do", () => {
  const varied = new Set(variations.map(({ name }) => name));
  for (const { name, why, known, remedy } of notVaried) {
    assert.equal(varied.has(name), false, name);
    for (const text of [why, known, remedy]) assert.ok(text.length > 20, name);
  }
});

test("signatures and archivers' own fields are known by their place", () => {
  const table: [string[], string | undefined, ReturnType<typeof knownByPlace>][] = [
    [["out/app.jar", "META-INF/KEY.RSA"], undefined, "signature"],
    [["out/x.tar.gz.sig"], undefined, "signature"],
    [["out/x.asc", "signature packet"], "signature", "signature"],
    [["out/app.apk", "certificate", "serial"], "value", "signature"],
    [["out/x.gz"], "os", "archive-metadata"],
    [["out/x.zip", "member"], "version", "archive-metadata"],
    [["out/x.zip", "member"], "mtime", undefined],
    [["out/x.tar", "member"], "uid", undefined],
    [["signature"], undefined, undefined],
    [["out/x.zip", "os"], undefined, undefined],
  ];
  for (const [path, field, expected] of table) assert.equal(knownByPlace(path, field), expected, path.join(" "));
});

test("who made it, and modes without the kind of file, are known by what stands there", () => {
  const table: [string | undefined, string, string, ReturnType<typeof knownByPlace>][] = [
    [undefined, "Generator: flit 3.9.0\n", "Generator: flit 3.6.0\n", "toolchain"],
    [undefined, "GCC: (Debian 12.2.0-14) 12.2.0", "GCC: (Debian 12.2.0-14+deb12u1) 12.2.0", "toolchain"],
    [undefined, "Generator: flit 3.9.0\n", "Created-By: 17\n", undefined],
    [undefined, "made by Generator: x", "made by Generator: y", undefined],
    ["mode", "100644", "644", "archive-metadata"],
    ["mode", "100644", "664", undefined],
  ];
  for (const [field, a, b, expected] of table) {
    assert.equal(knownByPlace(["out/x.whl", "WHEEL"], field, { a, b }), expected, `${a} ${b}`);
  }
});
