import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { zipBytes, type ZipMember } from "./zip-write.ts";
import { fromDosTime, readZip, readZipMember, toDosTime } from "./zip.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-zip-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const has = (program: string, flag: string): boolean => spawnSync(program, [flag]).error === undefined;

async function contents(bytes: Uint8Array): Promise<Record<string, string>> {
  const source = memorySource(bytes, "test");
  const found: Record<string, string> = {};
  for (const entry of readZip(source).entries) {
    const parts: Uint8Array[] = [];
    await readZipMember(source, entry, (chunk) => void parts.push(chunk));
    found[entry.name] = Buffer.concat(parts).toString("latin1");
  }
  return found;
}

const failing = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof BitforbitError, String(error));
  assert.match(error.message, pattern);
  return true;
};

const memberArbitrary: fc.Arbitrary<ZipMember> = fc.record({
  name: fc.stringMatching(/^[a-zé]{1,20}$/u),
  content: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.nat(9000).map((length) => new Uint8Array(length)),
  ),
  mtime: fc.integer({ min: 315_532_800, max: 4_000_000_000 }),
  mode: fc.constantFrom(0o100644, 0o100755, 0o120777),
  stored: fc.boolean(),
  comment: fc.stringMatching(/^[a-zü]{0,5}$/u),
});

test("reads back what is written", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(memberArbitrary, { selector: ({ name }) => name, maxLength: 5 }),
      async (members) => {
        const bytes = zipBytes(members, { comment: "whole" });
        const zip = readZip(memorySource(bytes));
        assert.equal(zip.comment, "whole");
        assert.deepEqual(zip.gaps, []);
        for (const [at, entry] of zip.entries.entries()) {
          const member = members[at] ?? assert.fail();
          assert.equal(entry.name, member.name);
          assert.equal(entry.comment, member.comment);
          assert.equal(entry.dosTime, (member.mtime ?? 0) - ((member.mtime ?? 0) % 2));
          assert.equal(entry.externalAttributes >>> 16, member.mode);
        }
        const expected = members.map(({ name, content }) => [name, Buffer.from(content).toString("latin1")]);
        assert.deepEqual(await contents(bytes), Object.fromEntries(expected));
      },
    ),
    { numRuns: 100 },
  );
});

const sample = (): Uint8Array =>
  zipBytes([
    { name: "dir/", content: new Uint8Array(0), mtime: 1e9 },
    { name: "dir/é.txt", content: Buffer.from("hello ".repeat(50)), mtime: 1e9 },
  ]);

test("unzip finds what is written sound, and the same in any time zone", { skip: !has("unzip", "-v") }, () => {
  const path = join(folder, "ours.zip");
  const first = sample();
  const zone = process.env["TZ"];
  process.env["TZ"] = "Asia/Kolkata";
  assert.deepEqual(sample(), first);
  if (zone === undefined) delete process.env["TZ"];
  else process.env["TZ"] = zone;
  writeFileSync(path, first);
  assert.match(execFileSync("unzip", ["-t", path]).toString(), /No errors detected/);
  assert.match(execFileSync("unzip", ["-Z", path]).toString(), /-rw-r--r--.*01-Sep-09 01:46/);
});

test(
  "reads what others write: data descriptors, zip64, bytes before and after",
  { skip: !has("python3", "-V") },
  async () => {
    const script = [
      "import zipfile,sys,io",
      "class Pipe(io.RawIOBase):",
      "  def writable(self): return True",
      "  def write(self,b): return sys.stdout.buffer.write(b)",
      "z=zipfile.ZipFile(Pipe(),'w',8)",
      "z.writestr('a','x'*5000)",
      "with z.open('b','w',force_zip64=True) as f: f.write(b'large')",
      "z.comment=b'end'",
      "z.close()",
    ].join("\n");
    const bytes = execFileSync("python3", ["-c", script]);
    const zip = readZip(memorySource(bytes));
    assert.deepEqual(await contents(bytes), { a: "x".repeat(5000), b: "large" });
    assert.equal(zip.comment, "end");
    assert.deepEqual(
      zip.entries.map(({ descriptor }) => descriptor?.length),
      [16, 24],
    );
    const surrounded = Buffer.concat([Buffer.from("#!/bin/sh\n"), bytes, Buffer.from("tail")]);
    const outer = readZip(memorySource(surrounded));
    assert.deepEqual(await contents(surrounded), { a: "x".repeat(5000), b: "large" });
    assert.deepEqual(outer.gaps, [{ field: "gap", offset: 0, length: 10 }]);
    assert.equal(outer.endSpans.at(-1)?.field, "trailing");
  },
);

test("more than 65,535 members take zip64, and are read", { skip: !has("python3", "-V") }, () => {
  const script =
    "import zipfile,sys,io\nb=io.BytesIO()\nz=zipfile.ZipFile(b,'w',0)\nfor i in range(65600): z.writestr(str(i),'')\nz.close()\nsys.stdout.buffer.write(b.getvalue())";
  const bytes = execFileSync("python3", ["-c", script], { maxBuffer: 1 << 27 });
  assert.equal(readZip(memorySource(bytes)).entries.length, 65_600);
  assert.throws(() => readZip(memorySource(bytes), { maxMembers: 1000, maxDirectory: 1 << 30 }), failing(/maxMembers/));
});

test("members that share bytes are refused: that is how a small zip states a petabyte", () => {
  const one = Buffer.from(zipBytes([{ name: "a", content: Buffer.from("quoted"), stored: true }]));
  const directory = one.length - 22 - 47;
  const central = one.subarray(directory, directory + 47);
  const twice = Buffer.concat([one.subarray(0, directory), central, central, one.subarray(directory + 47)]);
  twice.writeUInt16LE(2, twice.length - 22 + 8);
  twice.writeUInt16LE(2, twice.length - 22 + 10);
  twice.writeUInt32LE(94, twice.length - 22 + 12);
  assert.throws(() => readZip(memorySource(twice)), failing(/"a" overlaps another member/));
});

test("a stated size or CRC that is wrong, encryption and unknown methods are errors", async () => {
  const bytes = Buffer.from(zipBytes([{ name: "a", content: Buffer.from("content") }]));
  const directory = bytes.length - 22 - 47;
  for (const [at, value, pattern] of [
    [16, 1, /CRC-32/],
    [24, 3, /larger than it states/],
    [8, 1, /is encrypted/],
    [10, 93, /method 93/],
  ] as const) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(value, directory + at);
    await assert.rejects(contents(changed), failing(pattern));
  }
});

test("DOS times are UTC both ways, and stay within what a zip can hold", () => {
  fc.assert(
    fc.property(fc.integer({ min: 315_532_800, max: 4_354_819_198 }), (seconds) => {
      const { date, time } = toDosTime(seconds);
      assert.equal(fromDosTime(date, time), seconds - (seconds % 2));
    }),
  );
  assert.equal(fromDosTime(...dos(0)), 315_532_800);
  assert.equal(fromDosTime(...dos(1e12)), 4_354_819_198);
});

function dos(seconds: number): [number, number] {
  const { date, time } = toDosTime(seconds);
  return [date, time];
}

test("whatever bytes change, reading ends, and with nothing but a BitforbitError", async () => {
  const bytes = zipBytes([
    { name: "a", content: Buffer.from("text ".repeat(30)) },
    { name: "b", content: Buffer.from("b"), stored: true, comment: "c" },
  ]);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      fc.nat(bytes.length),
      async (changes, cut) => {
        const changed = bytes.slice(0, cut % 4 === 0 ? cut : bytes.length);
        for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
        await contents(changed).catch((error: unknown) => assert.ok(error instanceof BitforbitError, String(error)));
      },
    ),
    { numRuns: 800 },
  );
});
