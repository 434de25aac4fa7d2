import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { AR_MAGIC, arMembers } from "./ar.ts";
import { readDeb } from "./deb.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-deb-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined;

const failing = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof BitforbitError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, pattern);
  return true;
};

function ar(members: readonly (readonly [name: string, content: string | Uint8Array])[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(AR_MAGIC)];
  for (const [name, content] of members) {
    const bytes = Buffer.from(content);
    const header = `${name.padEnd(16)}${"12".padEnd(12)}${"1".padEnd(6)}${"2".padEnd(6)}${"100644".padEnd(8)}`;
    parts.push(Buffer.from(`${header}${String(bytes.length).padEnd(10)}\`\n`), bytes);
    if (bytes.length % 2 === 1) parts.push(Buffer.from("\n"));
  }
  return new Uint8Array(Buffer.concat(parts));
}

test("reads what ar wrote, in order, with every field", { skip: has("ar") ? false : "ar is not installed" }, () => {
  writeFileSync(join(folder, "one"), "odd");
  writeFileSync(join(folder, "second-name"), "even");
  execFileSync("ar", ["rcD", join(folder, "a.a"), join(folder, "one"), join(folder, "second-name")]);
  const source = memorySource(new Uint8Array(readFileSync(join(folder, "a.a"))), "a.a");
  const [one, ...more] = [...arMembers(source)].filter(({ name }) => !name.startsWith("/"));
  assert.equal(one?.name, "one");
  assert.equal(Buffer.from(source.read(one.dataOffset, one.size)).toString(), "odd");
  assert.deepEqual([one.mtime, one.uid, one.gid, one.mode], [0, 0, 0, 0o644]);
  assert.equal(more.length, 1);
});

test("what is written as ar is read again", () => {
  const names = fc.stringMatching(/^[a-z][a-z0-9._-]{0,14}$/);
  const members = fc.array(fc.tuple(names, fc.uint8Array({ maxLength: 99 })), { maxLength: 8 });
  fc.assert(
    fc.property(members, (given) => {
      const source = memorySource(ar(given));
      const found = [...arMembers(source)].map((one) => [one.name, source.read(one.dataOffset, one.size).slice()]);
      assert.deepEqual(found, given);
    }),
  );
});

test("bytes that come from anywhere end in members or an error", () => {
  const bytes = fc.uint8Array({ maxLength: 400 });
  fc.assert(
    fc.property(bytes, fc.nat(200), fc.boolean(), (tail, cut, whole) => {
      const content = Buffer.concat([ar([["debian-binary", "2.0\n"]]), tail]);
      const source = memorySource(new Uint8Array(whole ? content : content.subarray(0, cut)));
      for (const read of [() => [...arMembers(source)], () => readDeb(source)]) {
        try {
          read();
        } catch (error) {
          assert.ok(error instanceof BitforbitError, String(error));
        }
      }
    }),
  );
});

const membersOf = (bytes: Uint8Array): unknown => [...arMembers(memorySource(bytes, "x.deb"))];

test("says where an archive is broken", () => {
  const good = ar([["debian-binary", "2.0\n"]]);
  assert.throws(() => membersOf(new Uint8Array(3)), failing("input", /x\.deb: ar, offset 0: no ar archive/));
  assert.throws(() => membersOf(good.subarray(0, 40)), failing("input", /offset 8: cut off in a header/));
  assert.throws(
    () => membersOf(good.subarray(0, 70)),
    failing("input", /a member of 4 bytes, but the archive ends at 70/),
  );
  const text = Buffer.from(good).toString("latin1");
  assert.throws(() => membersOf(Buffer.from(text.replace("`\n", "xx"), "latin1")), failing("input", /offset 66/));
  assert.throws(
    () => membersOf(Buffer.from(text.replace("4         `", "4x        `"), "latin1")),
    failing("input", /size is no number/),
  );
  const many = ar(Array.from({ length: 70 }, () => ["_", ""] as const));
  assert.throws(
    () => [...arMembers(memorySource(many), { maxMembers: 64 })],
    failing("limit", /over|more than 64 members/),
  );
});

const debOf = (...members: [string, string][]): ReturnType<typeof readDeb> =>
  readDeb(memorySource(ar(members), "x.deb"));

test("finds the parts of a deb, and refuses what is none", () => {
  const deb = debOf(
    ["debian-binary", "2.0\n"],
    ["control.tar.gz", "c"],
    ["_extra", "e"],
    ["data.tar.zst/", "d"],
    ["late", "l"],
  );
  assert.equal(deb.control.compression, "gzip");
  assert.equal(deb.data.compression, "zstd");
  assert.equal(Buffer.from(deb.data.source.read(0, 1)).toString(), "d");
  assert.equal(
    debOf(["debian-binary", "2.1\n"], ["control.tar", ""], ["data.tar.xz", ""]).control.compression,
    undefined,
  );
  assert.throws(() => debOf(["control.tar", ""]), failing("input", /debian-binary/));
  assert.throws(() => debOf(["debian-binary", "3.0\n"], ["control.tar", ""]), failing("input", /version 2/));
  assert.throws(
    () => debOf(["debian-binary", "2.0\n"], ["data.tar", ""]),
    failing("input", /where control.tar should/),
  );
  assert.throws(
    () => debOf(["debian-binary", "2.0\n"], ["control.tar", ""]),
    failing("input", /ends before its data.tar/),
  );
  assert.throws(
    () => debOf(["debian-binary", "2.0\n"], ["control.tar", ""], ["evil", ""]),
    failing("input", /"evil" stands where/),
  );
  assert.throws(
    () => debOf(["debian-binary", "2.0\n"], ["control.tar", ""], ["data.tar.bz2", ""]),
    failing("input", /not read/),
  );
});

test("agrees with dpkg-deb in each compression", { skip: has("dpkg-deb") ? false : "dpkg is not installed" }, () => {
  const tree = join(folder, "tree");
  mkdirSync(join(tree, "DEBIAN"), { recursive: true });
  writeFileSync(join(tree, "file"), "content");
  const control = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: x\n";
  writeFileSync(join(tree, "DEBIAN", "control"), control);
  for (const [option, compression] of [
    ["xz", "xz"],
    ["gzip", "gzip"],
    ["none", undefined],
  ] as const) {
    const path = join(folder, `${option}.deb`);
    execFileSync("dpkg-deb", [`-Z${option}`, "--build", tree, path], { stdio: "ignore" });
    assert.equal(readDeb(memorySource(new Uint8Array(readFileSync(path)), path)).data.compression, compression);
  }
});
