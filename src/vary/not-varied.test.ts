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
