import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { extract } from "tar-stream";
import { type ByteSource, memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { tarSpans } from "./tar-spans.ts";
import { tarBytes, type TarMember } from "./tar-write.ts";
import { TAR_LIMITS, type TarEntry, tarEntries } from "./tar.ts";
import { BLOCK, tarChecksum } from "./tar-header.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-tar-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const hasTar = spawnSync("tar", ["--version"]).error === undefined;

const entriesOf = (bytes: Uint8Array): TarEntry[] => [...tarEntries(memorySource(bytes, "test"))];

function failure(work: () => unknown): BitforbitError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof BitforbitError, String(error));
    return error;
  }
  return assert.fail("nothing was thrown");
}

/** Writes into a header and mends its checksum. */
function patched(archive: Uint8Array, at: number, text: string): Uint8Array {
  const bytes = archive.slice();
  bytes.set(Buffer.from(text, "latin1"), at);
  mend(bytes, 0);
  return bytes;
}

function mend(bytes: Uint8Array, header: number): void {
  const block = bytes.subarray(header, header + BLOCK);
  block.set(Buffer.from(`${tarChecksum(block).toString(8).padStart(6, "0")}\0 `), 148);
}

const one = tarBytes([{ name: "file", content: Buffer.from("content") }]);

const memberArbitrary: fc.Arbitrary<TarMember & { content: Uint8Array }> = fc.record({
  name: fc
    .array(fc.stringMatching(/^[a-zé0-9._ -]{1,60}$/u), { minLength: 1, maxLength: 6 })
    .map((names) => names.join("/").replace(/^\.+$/, "x")),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.oneof(fc.nat(70_000), fc.constant(4_000_000_000)),
  gid: fc.nat(3_000_000),
  uname: fc.stringMatching(/^[a-zü]{0,40}$/u),
  gname: fc.stringMatching(/^[a-z]{0,31}$/),
  mtime: fc.oneof(fc.nat(2_000_000_000), fc.constantFrom(-1, -86_400, 0.5, 1_700_000_000.25, 9e10)),
  content: fc.uint8Array({ maxLength: 1500 }),
});

test("reads back what is written, whatever ustar can or cannot hold", () => {
  fc.assert(
    fc.property(fc.array(memberArbitrary, { maxLength: 6 }), (members) => {
      const bytes = tarBytes(members);
      const entries = entriesOf(bytes);
      assert.equal(entries.length, members.length);
      for (const [at, entry] of entries.entries()) {
        const { content, ...expected } = members[at] ?? assert.fail();
        assert.deepEqual(
          { ...expected },
          {
            name: entry.name,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            uname: entry.uname,
            gname: entry.gname,
            mtime: entry.mtime,
          },
        );
        assert.deepEqual(bytes.slice(entry.dataOffset, entry.dataOffset + entry.size), content);
      }
    }),
    { numRuns: 150 },
  );
});

test("tar-stream reads what is written, and finds the same in it", async () => {
  const members: TarMember[] = [
    { name: "a/", type: "5", mtime: 12 },
    { name: `a/${"n".repeat(180)}/${"m".repeat(90)}`, size: 3, mtime: 1.5, uid: 1000, uname: "Ünal" },
    { name: "l", type: "2", linkName: "a/é" },
  ];
  const bytes = tarBytes(members.map((member) => ({ ...member, content: Buffer.alloc(member.size ?? 0, "x") })));
  const found: unknown[] = [];
  const reader = extract();
  reader.end(Buffer.from(bytes));
  for await (const entry of reader) {
    const { name, type, uid, uname, linkname, size, mtime } = entry.header;
    found.push({ name, type, uid, uname, link: linkname ?? "", size, mtime: Math.floor(mtime.getTime() / 1000) });
    entry.resume();
  }
  const types: Record<string, string> = { "0": "file", "2": "symlink", "5": "directory" };
  const ours = entriesOf(bytes).map((entry) => ({
    name: entry.name.replace(/\/$/, ""),
    type: types[entry.type],
    uid: entry.uid,
    uname: entry.uname,
    link: entry.linkName,
    size: entry.size,
    mtime: Math.floor(entry.mtime),
  }));
  assert.deepEqual(
    found.map((header) => ({ ...(header as object), name: (header as { name: string }).name.replace(/\/$/, "") })),
    ours,
  );
});

test("GNU tar lists what is written, times and owners included", { skip: !hasTar }, () => {
  const path = join(folder, "ours.tar");
  const name = `${"dir/".repeat(60)}file`;
  writeFileSync(
    path,
    tarBytes([{ name, mode: 0o640, uid: 3_000_000, gid: 5, mtime: 86_400, content: Buffer.from("hi") }]),
  );
  const listed = execFileSync("tar", ["--numeric-owner", "-tvf", path], {
    env: { ...process.env, TZ: "UTC", LC_ALL: "C" },
  });
  assert.equal(listed.toString().replace(/ +/g, " "), `-rw-r----- 3000000/5 2 1970-01-02 00:00 ${name}\n`);
});

for (const format of ["v7", "oldgnu", "gnu", "ustar", "pax"]) {
  test(`reads what GNU tar writes: ${format}`, { skip: !hasTar }, () => {
    const path = join(folder, `${format}.tar`);
    const long = format === "v7" || format === "ustar" ? "short" : "long".repeat(40);
    writeFileSync(join(folder, long), "12345");
    const owner = ["--owner=alice:1001", "--group=staff:50", "--mtime=@1600000000", "--mode=0640"];
    execFileSync("tar", ["-cf", path, `--format=${format}`, ...owner, "-C", folder, long]);
    const [entry, ...rest] = entriesOf(execFileSync("cat", [path]));
    assert.equal(rest.length, 0);
    assert.equal(entry?.name, long);
    assert.deepEqual([entry?.uid, entry?.gid, entry?.mtime, entry?.mode, entry?.size], [1001, 50, 1.6e9, 0o640, 5]);
    assert.equal(entry?.uname, format === "v7" ? "" : "alice");
  });
}

test("flags a sparse file of GNU tar, and goes on behind it", { skip: !hasTar }, () => {
  execFileSync("truncate", ["-s", "3M", join(folder, "holes")]);
  writeFileSync(join(folder, "after"), "x");
  for (const format of ["gnu", "pax"]) {
    const path = join(folder, "sparse.tar");
    execFileSync("tar", ["-cSf", path, `--format=${format}`, "-C", folder, "holes", "after"]);
    const entries = entriesOf(execFileSync("cat", [path]));
    assert.deepEqual(
      entries.map(({ sparse }) => sparse),
      [true, false],
      format,
    );
    assert.equal(entries[1]?.name, "after");
  }
});

test("spans tile the headers without a gap", () => {
  fc.assert(
    fc.property(fc.array(memberArbitrary, { minLength: 1, maxLength: 4 }), (members) => {
      const source = memorySource(tarBytes(members));
      for (const entry of tarEntries(source)) {
        let at = entry.start;
        for (const span of tarSpans(source, entry)) {
          assert.equal(span.offset, at, span.field);
          at += span.length;
        }
        assert.equal(at, entry.dataOffset);
      }
    }),
    { numRuns: 50 },
  );
});

test("hostile headers are errors that name the offset", () => {
  assert.match(failure(() => entriesOf(patched(one, 124, "\xff".repeat(12)))).message, /offset 0: a size of -1 bytes/);
  assert.match(
    failure(() => entriesOf(patched(one, 124, "77777777777\0"))).message,
    /8589934591 bytes, but the archive/,
  );
  assert.match(failure(() => entriesOf(patched(one, 124, `\x80${"\x7f".repeat(11)}`))).message, /size is no number/);
  assert.match(failure(() => entriesOf(patched(one, 108, "zzzzzzz\0"))).message, /uid is no number: "zzzzzzz/);
  assert.match(failure(() => entriesOf(one.subarray(0, 515))).message, /offset 0: a member of 7 bytes.* ends at 515/);
  assert.match(failure(() => entriesOf(one.subarray(0, 1100))).message, /offset 1024: cut off in a header/);
  const flipped = one.slice();
  flipped[3] = 0x41;
  assert.match(failure(() => entriesOf(flipped)).message, /test: tar, offset 0: the header's checksum does not hold/);
  assert.match(failure(() => entriesOf(patched(one, 156, "2"))).message, /a link, device or FIFO with data/);
  assert.match(failure(() => entriesOf(patched(one, 156, "x"))).message, /a PAX record that is none/);
});

test("extension headers without end, too large or without a member are refused", () => {
  const extension = patched(one, 156, "L").subarray(0, 2 * BLOCK);
  const endless = Buffer.concat(Array.from({ length: 20 }, () => extension));
  assert.equal(failure(() => entriesOf(endless)).code, "limit");
  assert.match(failure(() => entriesOf(extension)).message, /ends after an extension header/);
  const large: ByteSource = { ...memorySource(patched(patched(one, 156, "x"), 124, "00010000000\0")), size: 1 << 30 };
  assert.equal(failure(() => [...tarEntries(large)]).code, "limit");
});

test("an archive without end is read in little memory, and refused by the name of the limit", () => {
  const header = tarBytes([{ name: "m" }]).subarray(0, BLOCK);
  const endless: ByteSource = { name: "endless", size: 2 ** 40, read: () => header };
  const before = process.memoryUsage().rss;
  let count = 0;
  const error = failure(() => {
    for (const entry of tarEntries(endless, { ...TAR_LIMITS, maxMembers: 200_000 })) count += entry.size + 1;
  });
  assert.equal(count, 200_000);
  assert.match(error.message, /endless: more than 200000 members \(maxMembers\)/);
  assert.ok(process.memoryUsage().rss - before < 100 << 20);
});

test("whatever bytes change, reading ends, and with nothing but a BitforbitError", () => {
  const bytes = tarBytes([
    { name: "é".repeat(80), content: Buffer.from("x") },
    { name: "b", mtime: 0.5, content: Buffer.alloc(600) },
  ]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.nat(bytes.length),
      (changes, mended, length) => {
        const mutated = bytes.slice();
        for (const [at, value] of changes) mutated[at] = value;
        if (mended) for (const { headerOffset } of entriesOf(bytes)) mend(mutated, headerOffset);
        const source = memorySource(mutated.subarray(0, mended ? mutated.length : length));
        try {
          for (const entry of tarEntries(source)) tarSpans(source, entry);
        } catch (error) {
          assert.ok(error instanceof BitforbitError, String(error));
        }
      },
    ),
    { numRuns: 1000 },
  );
});
