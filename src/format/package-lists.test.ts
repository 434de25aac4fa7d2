import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import {
  looksLikeChecksumList,
  looksLikeDeb822,
  looksLikeDebianPackage,
  looksLikeJarManifest,
  looksLikeWheelRecord,
} from "./archive-magic.ts";
import { checksumListParts, wheelRecordParts } from "./checksum-list.ts";
import { deb822Parts } from "./deb822-parts.ts";
import { jarManifestParts } from "./jar-manifest.ts";

const golden = (path: string): Uint8Array => readFileSync(`test/golden/${path}`);
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const seen = (parts: readonly Shown[]): unknown[] => parts.map(({ path, kind, shown }) => [path, kind, shown]);
const claimed = (parts: readonly Shown[]): number =>
  parts.filter((part) => part.kind !== "group").reduce((sum, part) => sum + part.length, 0);

test("stanzas are known by their package, lists are folded, checksums are derived", async () => {
  const text = "# note\nPackage: x\nDepends: a (>= 1),\n b | c\nDescription: short\n long\n\n\nPackage: y\nSize: 3\n";
  const parts = await expanded(bytes(text), deb822Parts);
  assert.deepEqual(seen(parts), [
    ["x", "group", undefined],
    ["x › comment", "field", "note"],
    ["x › Package", "field", "x"],
    ["x › Depends", "group", "a (>= 1), b | c"],
    ["x › Depends › field name", "field", "Depends"],
    ["x › Depends › between", "derived", undefined],
    ["x › Depends › a", "field", "a (>= 1)"],
    ["x › Depends › between", "derived", undefined],
    ["x › Depends › b", "field", "b | c"],
    ["x › Depends › between", "derived", undefined],
    ["x › Description", "content", "short long"],
    ["x › blank lines", "field", "2"],
    ["y", "group", undefined],
    ["y › Package", "field", "y"],
    ["y › Size", "derived", undefined],
  ]);
  assert.equal(claimed(parts), text.length);
});

test("an armour's parts, and files by their names in the lists of checksums", async () => {
  const parts = await expanded(golden("deb822/clearsigned/a.dsc"), deb822Parts);
  assert.equal(parts[0]?.path, "armour");
  assert.equal(parts.at(-1)?.path, "signature");
  assert.equal(
    parts.find(({ path }) => path === "source planted › Checksums-Sha256 › planted_1.0.tar.xz")?.kind,
    "derived",
  );
  assert.ok(looksLikeDeb822(golden("deb822/clearsigned/a.dsc"), "x"));
  assert.ok(looksLikeDeb822(golden("deb822/changes/a.changes"), "a.changes"));
  assert.ok(!looksLikeDeb822(bytes("all: build\n"), "Makefile"));
  assert.ok(looksLikeDebianPackage(golden("deb/planted/a")));
});

const all = (text: string): unknown[] => [...deb822Parts(memorySource(bytes(text), "in"))];

test("control data that is none is refused with its place", () => {
  assert.throws(() => all("A: b\nnothing\n"), {
    code: "input",
    message: 'in: control data, offset 5: "nothing", where a field is expected',
  });
  assert.throws(() => all(" b\n"), { code: "input", message: /goes on without a field/ });
  assert.throws(() => all("-----BEGIN PGP SIGNED MESSAGE-----\nHash: x\n"), { code: "input", message: /does not end/ });
});

test("lists of checksums, of both forms", async () => {
  const sum = "0123456789abcdef".repeat(2);
  const text = `${sum}  a b\n${sum} *dir/c\r\n# note\nMD5 (d) = ${sum}\n`;
  assert.ok(looksLikeChecksumList(bytes(text)));
  assert.deepEqual(seen(await expanded(bytes(text), checksumListParts)), [
    ["a b", "group", `${sum}  a b`],
    ["a b › digest", "derived", undefined],
    ["a b › path", "field", "a b"],
    ["dir/c", "group", `${sum} *dir/c`],
    ["dir/c › digest", "derived", undefined],
    ["dir/c › path", "field", "dir/c"],
    ["comment", "field", "# note"],
    ["d", "group", `MD5 (d) = ${sum}`],
    ["d › path", "field", "d"],
    ["d › digest", "derived", undefined],
  ]);
  assert.throws(() => [...checksumListParts(memorySource(bytes(`${sum}  a\nzz\n`)))], { code: "input" });
});

test("a wheel's RECORD, with a path in quotes and itself without a digest", async () => {
  const text = 'a.py,sha256=x_-,12\n"b,c.txt",sha256=y,3\nd.dist-info/RECORD,,\n';
  assert.ok(looksLikeWheelRecord(bytes(text), "d.dist-info/RECORD"));
  const parts = await expanded(bytes(text), wheelRecordParts);
  assert.deepEqual(
    parts.map(({ path, offset, length }) => [path, offset, length]),
    [
      ["a.py", 0, 19],
      ["a.py › path", 0, 4],
      ["a.py › digest", 5, 10],
      ["a.py › size", 16, 2],
      ["b,c.txt", 19, 21],
      ["b,c.txt › path", 19, 9],
      ["b,c.txt › digest", 29, 8],
      ["b,c.txt › size", 38, 1],
      ["d.dist-info/RECORD", 40, 21],
      ["d.dist-info/RECORD › path", 40, 18],
    ],
  );
});

test("a manifest's lines are joined, its clauses found, its digests derived", async () => {
  const text =
    'Manifest-Version: 1.0\r\nExport-Package: a.b;uses:="c,d",e;version="1.\r\n 0",f\r\n\r\nName: a/very-lo\r\n ng\r\nSHA-256-Digest: x=\r\n\r\n';
  assert.ok(looksLikeJarManifest(bytes(text), "META-INF/MANIFEST.MF"));
  const parts = await expanded(bytes(text), jarManifestParts);
  assert.deepEqual(seen(parts), [
    ["", "group", undefined],
    ["Manifest-Version", "field", "1.0"],
    ["Export-Package", "group", 'a.b;uses:="c,d",e;version="1.0",f'],
    ["Export-Package › header", "field", "Export-Package"],
    ["Export-Package › a.b", "field", 'a.b;uses:="c,d"'],
    ["Export-Package › between", "derived", undefined],
    ["Export-Package › e", "field", 'e;version="1.0"'],
    ["Export-Package › between", "derived", undefined],
    ["Export-Package › f", "field", "f"],
    ["Export-Package › between", "derived", undefined],
    ["blank lines", "field", ""],
    ["a/very-long", "group", undefined],
    ["a/very-long › Name", "field", "a/very-long"],
    ["a/very-long › SHA-256-Digest", "derived", undefined],
    ["blank lines", "field", ""],
  ]);
  assert.equal(claimed(parts), text.length);
  const message = 'in: manifest, offset 0: "nothing", where a header is expected';
  assert.throws(() => [...jarManifestParts(memorySource(bytes("nothing\n"), "in"))], { code: "input", message });
});

test("hostile input gives parts or an error", async () => {
  await survives(golden("deb822/clearsigned/a.dsc"), deb822Parts);
  await survives(golden("deb822/packages/a.sources"), deb822Parts);
  await survives(golden("checksums/sums/a"), checksumListParts);
  await survives(bytes('a.py,sha256=x_-,12\n"b,c.txt",sha256=y,3\n'), wheelRecordParts, 100);
  await survives(
    bytes('Manifest-Version: 1.0\r\nExport-Package: a.b;uses:="c,d",e;ver\r\n sion="1.0",f\r\n'),
    jarManifestParts,
  );
});
