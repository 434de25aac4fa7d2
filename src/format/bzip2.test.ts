import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { looksLikeBzip2 } from "./archive-magic.ts";
import { bunzip2, bzip2Parts } from "./bzip2.ts";

const golden = (path: string): Uint8Array => readFileSync(`test/golden/bzip2/${path}`);

async function unpacked(bytes: Uint8Array): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const size = await bunzip2(memorySource(bytes), (chunk) => chunks.push(chunk));
  const content = Buffer.concat(chunks);
  assert.equal(size, content.length);
  return content;
}

const lines = Array.from({ length: 12_000 }, (_, at) => `${at % 97} the quick brown fox ${at % 13}\n`);

test("several blocks, a level of each kind, and streams behind each other give the content", async () => {
  assert.equal((await unpacked(golden("level/a"))).toString(), lines.join(""));
  assert.equal((await unpacked(golden("level/b"))).toString(), lines.join(""));
  lines[5999] = lines[5999]?.replace("fox", "cat") ?? "";
  assert.equal((await unpacked(golden("streams/b"))).toString(), lines.join(""));
});

test("an empty stream, and bytes that follow the last one", async () => {
  const empty = Buffer.from("425a683917724538509000000000", "hex");
  assert.equal((await unpacked(empty)).length, 0);
  assert.equal((await unpacked(Buffer.concat([empty, golden("level/b"), Buffer.from("tail")]))).length > 300_000, true);
  assert.ok(looksLikeBzip2(empty));
  const parts = await expanded(Buffer.concat([empty, Buffer.from("tail")]), bzip2Parts);
  assert.deepEqual(
    parts.map(({ path, offset, length }) => [path, offset, length]),
    [
      ["magic", 0, 3],
      ["level", 3, 1],
      ["bunzip2", 4, 0],
      ["checksum", 4, 10],
    ],
  );
});

test("each stream has its header and end; one content runs through all", async () => {
  const parts = await expanded(golden("streams/b"), bzip2Parts);
  assert.deepEqual(
    parts.map(({ path, kind, shown }) => [path, kind, shown]),
    [
      ["magic", "derived", undefined],
      ["level", "field", "9"],
      ["bunzip2", "content", undefined],
      ["checksum", "derived", undefined],
      ["magic", "derived", undefined],
      ["level", "field", "9"],
      ["bunzip2", "stored", undefined],
      ["checksum", "derived", undefined],
    ],
  );
  assert.equal(parts.at(-1)?.offset, golden("streams/b").length - (parts.at(-1)?.length ?? 0));
});

test("another number of blocks is said", async () => {
  const [a, b] = [memorySource(golden("level/a")), memorySource(golden("level/b"))];
  const part = [...bzip2Parts(a)].find((one) => one.kind === "content");
  assert.ok(part);
  assert.equal(part.compare?.(part, a, b), "1 block on one side, 4 on the other");
  assert.equal(part.compare?.(part, a, a), undefined);
});

test("damage is told with its place", async () => {
  const bytes = Uint8Array.from(golden("level/a"));
  await assert.rejects(unpacked(bytes.subarray(0, 2000)), { code: "input", message: /bzip2, offset 2000: cut off/ });
  bytes[1500] = (bytes[1500] ?? 0) ^ 4;
  await assert.rejects(unpacked(bytes), { code: "input", message: /bzip2, offset \d+: / });
  assert.throws(() => [...bzip2Parts(memorySource(Buffer.from("BZh0")))], { code: "input" });
  const limits = { maxBytes: 100_000, maxRatio: 250, freeBytes: 0 };
  await assert.rejects(
    bunzip2(memorySource(golden("level/b")), () => undefined, limits),
    { code: "limit" },
  );
});

test("hostile input gives parts or an error", async () => {
  await survives(golden("streams/b"), bzip2Parts, 150);
});
