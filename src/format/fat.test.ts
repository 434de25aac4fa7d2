import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { fatParts } from "./fat.ts";
import type { Parse } from "./part.ts";
import { diskParts } from "./partition-table.ts";

function image(name: string): Uint8Array {
  const once = gunzipSync(readFileSync(new URL(`../../test/golden/${name}.gz`, import.meta.url)));
  return new Uint8Array(once[0] === 0x1f ? gunzipSync(once) : once);
}

const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path && part.shown !== undefined)?.shown;

for (const name of ["fat/fat12/a", "fat/fat12/b", "fat/fat32/a", "fat/fat32/b"]) {
  test(`${name}: entries and contents by path`, async () => {
    const bytes = image(name);
    const changed = name.endsWith("b");
    const parts = await expanded(bytes, fatParts);
    assert.equal(shownIn(parts, "boot sector › volume serial"), changed ? "5678-ABCD" : "1234-ABCD");
    assert.equal(shownIn(parts, "directory bin › run › mtime"), changed ? "1700000060" : "1700000000");
    assert.equal(shownIn(parts, "directory lib › a long name with blanks.txt › short name"), "ALONGN~1TXT");
    const content = parts.find(({ path, kind }) => path === "lib/others" && kind === "content");
    const text = Buffer.from(bytes.subarray(content?.offset, (content?.offset ?? 0) + (content?.length ?? 0)));
    assert.equal(text.toString("latin1"), Array.from({ length: 901 }, (_, at) => `${at + 1000}\n`).join(""));
    const deleted = parts.some(({ path, kind }) => path.startsWith("directory etc › deleted") && kind === "padding");
    assert.ok(deleted);
  });
}

test("a GUID partition table, its partitions and its copy", async () => {
  const parts = await expanded(image("gpt/disk/b"), diskParts);
  assert.equal(shownIn(parts, "GPT header › disk GUID"), "22222222-2222-4222-8222-222222222222");
  assert.equal(shownIn(parts, "entry of partition 1 › type"), "EFI system");
  assert.equal(shownIn(parts, "entry of partition 2 › name"), "root_b");
  const partition = parts.find(({ path }) => path === "partition 1");
  assert.deepEqual([partition?.offset, partition?.length], [40 * 512, 256 * 512]);
  assert.equal(parts.at(-1)?.path, "copy of the GPT header");
});

/** A table as fdisk writes it: a primary partition, and two logical ones in an extended one. */
function dos(): Uint8Array {
  const disk = new Uint8Array(64 * 512);
  const view = new DataView(disk.buffer);
  const entry = (sector: number, index: number, type: number, first: number, count: number): void => {
    const at = sector * 512 + 446 + index * 16;
    view.setUint8(at + 4, type);
    view.setUint32(at + 8, first, true);
    view.setUint32(at + 12, count, true);
    view.setUint16(sector * 512 + 510, 0xaa55, true);
  };
  view.setUint32(440, 0x12345678, true);
  entry(0, 0, 0x83, 2, 8);
  entry(0, 1, 0x05, 16, 48);
  entry(16, 0, 0x83, 1, 7);
  entry(16, 1, 0x05, 8, 8);
  entry(24, 0, 0x82, 1, 7);
  return disk;
}

test("logical partitions are found in their chain", async () => {
  const parts = await expanded(dos(), diskParts);
  assert.equal(shownIn(parts, "MBR › disk signature"), "0x12345678");
  const places = parts
    .filter(({ path }) => path.startsWith("partition"))
    .map(({ path, offset }) => [path, offset / 512]);
  assert.deepEqual(places, [
    ["partition 1", 2],
    ["partition 5", 17],
    ["partition 6", 25],
  ]);
  assert.equal(shownIn(parts, "table of partition 6 › partition 1 › type"), "Linux swap");
});

test("what is neither is told", async () => {
  await assert.rejects(
    async () => await expanded(new Uint8Array(1024), diskParts),
    /partition table, offset 510: no 55 aa/,
  );
  await assert.rejects(
    async () => await expanded(new Uint8Array(1024), fatParts),
    /FAT, offset 11: sectors of 0 bytes/,
  );
});

const DAMAGED: readonly (readonly [string, Uint8Array, Parse])[] = [
  ["FAT12", image("fat/fat12/a").subarray(0, 40 << 10), fatParts],
  ["FAT32", image("fat/fat32/b").subarray(0, 560 << 10), fatParts],
  ["GPT", image("gpt/disk/a").subarray(0, 24 << 10), diskParts],
  ["MBR", dos(), diskParts],
];
for (const [name, bytes, parse] of DAMAGED) {
  test(`${name}: survives damage`, async () => await survives(bytes, parse, 200));
}
