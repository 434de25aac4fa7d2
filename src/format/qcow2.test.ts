import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { ext4Parts } from "./ext4.ts";
import { qcow2Parts } from "./qcow2.ts";

const image = (name: string): Uint8Array =>
  new Uint8Array(gunzipSync(readFileSync(new URL(`../../test/golden/qcow2/${name}.gz`, import.meta.url))));

async function disk(bytes: Uint8Array): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (const { decode } of qcow2Parts(memorySource(bytes), "image")) {
    await decode?.run((chunk) => void chunks.push(chunk), { maxBytes: 1 << 20, maxRatio: 250, freeBytes: 1 << 20 });
  }
  return new Uint8Array(Buffer.concat(chunks));
}

test("the disk in an image is a file system", async () => {
  for (const [name, value] of [
    ["disk/a", "a"],
    ["disk/b", "b"],
  ] as const) {
    const bytes = await disk(image(name));
    assert.equal(bytes.length, 512 << 10);
    const conf = (await expanded(bytes, ext4Parts)).find(({ path }) => path === "conf");
    const { offset = 0, length = 0 } = conf ?? {};
    assert.equal(Buffer.from(bytes.subarray(offset, offset + length)).toString(), `key = ${value}\n`);
  }
});

test("compressed clusters, of zlib and of zstd, and plain ones hold the same disk", async () => {
  const plain = await disk(image("disk/a"));
  assert.deepEqual(await disk(image("zstd/a")), plain);
  assert.deepEqual(await disk(image("zstd/b")), plain);
});

test("the header says size, features and backing file", async () => {
  const parts = await expanded(image("backing/a"), qcow2Parts);
  const shown = new Map(parts.map(({ path, shown: value }) => [path, value]));
  assert.equal(shown.get("header › version"), "3");
  assert.equal(shown.get("header › size"), String(1 << 20));
  assert.equal(shown.get("header › cluster size"), "4096");
  assert.equal(shown.get("backing file"), "base_a.raw");
  assert.equal(shown.get("backing format › name"), "raw");
});

test("what is not read is told", async () => {
  const bytes = image("disk/b");
  bytes[79] = 0x10;
  await assert.rejects(expanded(bytes, qcow2Parts), /qcow2, offset 72: extended L2 entries/);
  bytes[7] = 4;
  await assert.rejects(expanded(bytes, qcow2Parts), /qcow2, offset 0: no magic number/);
});

test("qcow2 survives damage", async () => {
  for (const name of ["disk/b", "zstd/a", "zstd/b", "backing/b"]) await survives(image(name), qcow2Parts, 150);
  await survives(image("disk/a").subarray(0, 24 << 10), qcow2Parts, 150);
});
