import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import test from "node:test";
import { gunzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { unzstd } from "./zstd.ts";
import { gunzip, gzipHeader, type Gunzipped } from "./gzip.ts";
import { gzipBytes } from "./gzip-write.ts";
import { INFLATION_LIMITS } from "./inflation.ts";
import { unxz } from "./xz.ts";

const into = (): void => {};
const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined;
const TIGHT = { maxBytes: 1 << 20, maxRatio: 100, freeBytes: 1 << 16 };

async function gunzipped(bytes: Uint8Array, limits = INFLATION_LIMITS): Promise<Gunzipped & { content: Buffer }> {
  const parts: Uint8Array[] = [];
  const read = await gunzip(memorySource(bytes, "test"), (chunk) => void parts.push(chunk), limits);
  return { ...read, content: Buffer.concat(parts) };
}

const failing = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof BitforbitError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, pattern);
  return true;
};

test("gzip: what is written is read back, here and by zlib", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 5000 }),
      fc.constantFrom(1, 6, 9) as fc.Arbitrary<1 | 6 | 9>,
      fc.nat(0xffff_ffff),
      async (content, level, mtime) => {
        const bytes = gzipBytes(content, { level, mtime, name: "naïve" });
        assert.deepEqual(new Uint8Array(gunzipSync(bytes)), content);
        const read = await gunzipped(bytes);
        assert.deepEqual(new Uint8Array(read.content), content);
        assert.equal(read.end, bytes.length);
        assert.deepEqual([read.members[0]?.mtime, read.members[0]?.name, read.members[0]?.os], [mtime, "naïve", 3]);
      },
    ),
    { numRuns: 60 },
  );
});

test("gzip: what is written never changes", () => {
  const content = Buffer.from("to be, or not to be, that is the question: ".repeat(9));
  const made = Buffer.from(gzipBytes(content));
  assert.equal(
    made.toString("hex"),
    "1f8b08000000000002032bc957484ad551c82f52c8cb2f512881f04a32124b14328b8174aa4261696a7149667e9e154c7254299595020067ce8a9283010000",
  );
  // GNU gzip packs with deflate of its own and comes to the same here.
  if (has("gzip")) assert.deepEqual(made, execFileSync("gzip", ["-9nc"], { input: content }));
});

test("gzip: members one after the other, and what follows them", { skip: !has("gzip") }, async () => {
  const first = execFileSync("gzip", ["-c", "-1"], { input: "first " });
  const second = execFileSync("gzip", ["-c", "-9"], { input: Buffer.alloc(200_000, "second") });
  const junk = Buffer.from("this is no gzip member at all");
  const read = await gunzipped(Buffer.concat([first, second, junk]));
  assert.equal(read.members.length, 2);
  assert.equal(read.size, 6 + 200_000);
  assert.equal(read.end, first.length + second.length);
  assert.equal(read.members[1]?.extraFlags, 2);
});

test("gzip: every part of a header, and its place", () => {
  const header = Buffer.concat([
    Buffer.from("1f8b081e785634120203", "hex"),
    Buffer.from([3, 0, 1, 2, 3]),
    Buffer.from("name\0comment\0"),
    Buffer.from([0xaa, 0xbb]),
    Buffer.alloc(20),
  ]);
  const read = gzipHeader(memorySource(header), 0);
  assert.deepEqual(
    [read.mtime, read.extra, read.name, read.comment, read.headerCrc],
    [0x12345678, new Uint8Array([1, 2, 3]), "name", "comment", 0xbbaa],
  );
  let at = 0;
  for (const span of read.spans) {
    assert.equal(span.offset, at);
    at += span.length;
  }
  assert.equal(at, read.dataOffset);
});

test("gzip: bombs stop at the ratio and at the absolute limit", async () => {
  const bomb = gzipBytes(new Uint8Array(4 << 20));
  await assert.rejects(
    gunzipped(bomb, TIGHT),
    failing("limit", /test: \d+ bytes decompress to over \d+, more than 100/),
  );
  await assert.rejects(gunzipped(bomb, { ...TIGHT, maxRatio: 1e9 }), failing("limit", /more than 1048576 bytes/));
});

test("gzip: a flipped or missing byte is always noticed, by a BitforbitError", async () => {
  const bytes = gzipBytes(Buffer.from("some content worth keeping ".repeat(20)));
  for (let at = 10; at < bytes.length; at++) {
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 0x10;
    await assert.rejects(gunzipped(flipped), failing("input", /./), `byte ${at}`);
    await assert.rejects(gunzipped(bytes.subarray(0, at)), failing("input", /./), `${at} bytes`);
  }
});

test("xz: streams one after the other, padding, every check; bombs, cuts and flips", { skip: !has("xz") }, async () => {
  const content = Buffer.alloc(300_000, "some content, ");
  const packed = ["crc32", "crc64", "none"].map((check) =>
    execFileSync("xz", ["-c", `--check=${check}`], { input: content }),
  );
  const whole = Buffer.concat([...packed, Buffer.alloc(8)]);
  const parts: Uint8Array[] = [];
  assert.equal(await unxz(memorySource(whole), (chunk) => void parts.push(chunk)), 900_000);
  assert.ok(Buffer.concat(parts).equals(Buffer.concat([content, content, content])));
  const single = packed[0] ?? assert.fail();
  await assert.rejects(unxz(memorySource(single), into, TIGHT), failing("limit", /decompress to over/));
  for (const length of [0, 5, 30, single.length - 4]) {
    await assert.rejects(unxz(memorySource(single.subarray(0, length)), into), failing("input", /./));
  }
  for (let at = 0; at < single.length; at += 3) {
    const flipped = Buffer.from(single);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    // A byte may mean nothing to the decoder; then the content must be what it was.
    const got: Uint8Array[] = [];
    const outcome = await unxz(memorySource(flipped), (chunk) => void got.push(chunk)).catch((error: unknown) => error);
    if (outcome instanceof Error) failing("input", /./)(outcome);
    else assert.ok(Buffer.concat(got).equals(content), `byte ${at}`);
  }
});

test("zstd: content, bombs and cuts", async () => {
  const packed = zstdCompressSync(Buffer.alloc(3 << 20, "content "));
  let size = 0;
  await unzstd(memorySource(packed), (chunk) => (size += chunk.length));
  assert.equal(size, 3 << 20);
  await assert.rejects(
    unzstd(memorySource(packed), () => {}, TIGHT),
    failing("limit", /./),
  );
  await assert.rejects(
    unzstd(memorySource(packed.subarray(0, 40)), () => {}),
    failing("input", /./),
  );
});
