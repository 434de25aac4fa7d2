import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { looksLikeLz4 } from "./archive-magic.ts";
import { lz4Parts, unlz4 } from "./lz4.ts";

const golden = (path: string): Uint8Array => readFileSync(`test/golden/lz4/${path}`);

async function unpacked(bytes: Uint8Array): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const size = await unlz4(memorySource(bytes), (chunk) => chunks.push(chunk));
  const content = Buffer.concat(chunks);
  assert.equal(size, content.length);
  return content;
}

const lines = Array.from({ length: 3000 }, (_, at) => `${at % 97} the quick brown fox ${at % 13}\n`);
const changed = lines.map((line, at) => (at === 16 ? line.replace("fox", "cow") : line));

test("blocks that depend on each other, that do not, and the legacy frame give the content", async () => {
  assert.equal((await unpacked(golden("frames/a"))).toString(), lines.join(""));
  assert.equal((await unpacked(golden("frames/b"))).toString(), changed.join(""));
  assert.equal((await unpacked(golden("legacy/a"))).toString(), lines.join(""));
  assert.equal((await unpacked(golden("legacy/b"))).toString(), changed.join(""));
});

test("frames behind each other, of both kinds", async () => {
  const both = Buffer.concat([golden("legacy/a"), golden("frames/b"), golden("legacy/b")]);
  assert.equal((await unpacked(both)).toString(), [lines, changed, changed].flat().join(""));
});

test("the header's choices are fields, what follows from the content is derived", async () => {
  assert.ok(looksLikeLz4(golden("frames/b")));
  const parts = await expanded(golden("frames/b"), lz4Parts);
  assert.deepEqual(
    parts.map(({ path, kind, length, shown }) => [path, kind, length, shown]),
    [
      ["frame", "field", 4, "frame"],
      ["flags", "field", 1, "version 1, blocks independent, block checksums, content size, content checksum"],
      ["block size", "field", 1, "65536"],
      ["content size", "derived", 8, undefined],
      ["header checksum", "derived", 1, undefined],
      ["unlz4", "content", parts[5]?.length, undefined],
      ["end", "derived", 4, undefined],
      ["checksum", "derived", 4, undefined],
      ["frame", "field", 4, "skipped"],
      ["size", "derived", 4, undefined],
      ["skipped frame", "content", 3, undefined],
    ],
  );
});

test("damage is told with its place", async () => {
  await assert.rejects(unpacked(golden("frames/a").subarray(0, 1000)), {
    code: "input",
    message: /lz4, offset \d+: cut off/,
  });
  const bytes = Uint8Array.from(golden("legacy/a"));
  bytes.set([0x0f, 0xff, 0xff], 8);
  await assert.rejects(unpacked(bytes), { code: "input", message: /lz4, offset 8: / });
  const limits = { maxBytes: 10_000, maxRatio: 250, freeBytes: 0 };
  await assert.rejects(
    unlz4(memorySource(golden("legacy/b")), () => undefined, limits),
    { code: "limit" },
  );
});

test("hostile input gives parts or an error", async () => {
  await survives(golden("frames/b"), lz4Parts);
  await survives(golden("legacy/a"), lz4Parts);
});
