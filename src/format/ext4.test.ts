import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { ext4Parts } from "./ext4.ts";

const image = (name: string): Uint8Array =>
  new Uint8Array(gunzipSync(readFileSync(new URL(`../../test/golden/ext4/${name}.gz`, import.meta.url))));

const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path && part.shown !== undefined)?.shown;

const SPARSE = (end: string): string => `begin${"\0".repeat(39_995)}${end}`;

for (const name of ["tree/a", "tree/b", "ext2/a", "ext2/b", "inline/a", "inline/b"]) {
  test(`${name}: inodes, folders and contents by path`, async () => {
    const bytes = image(name);
    const changed = name.endsWith("b");
    const parts = await expanded(bytes, ext4Parts);
    assert.equal(shownIn(parts, "inode bin/run › mode"), changed ? "0700" : "0755");
    assert.equal(shownIn(parts, "inode bin/run › mtime"), changed ? "1700000060" : "1700000000");
    assert.equal(shownIn(parts, "inode etc/link › link"), changed ? "../bin/walk" : "../bin/run");
    const attributes = name.startsWith("ext2") ? "xattrs of etc/conf" : "inode etc/conf";
    assert.equal(shownIn(parts, `${attributes} › xattr user.note`), changed ? "two" : "one");
    const again = parts.find(({ path }) => path.endsWith(" › greeting"));
    assert.equal(again?.shown, "greeting, hard link to etc/again");
    assert.match(shownIn(parts, "superblock › compatible features") ?? "", /^ext_attr resize_inode dir_index$/);
    for (const part of await ext4Parts(memorySource(bytes), "image")) {
      if (part.key !== "lib/sparse" || part.decode === undefined) continue;
      const chunks: Uint8Array[] = [];
      await part.decode.run((chunk) => void chunks.push(chunk), {
        maxBytes: 1 << 20,
        maxRatio: 250,
        freeBytes: 1 << 20,
      });
      assert.equal(Buffer.concat(chunks).toString("latin1"), SPARSE(changed ? "END" : "end"));
      return;
    }
    assert.fail("lib/sparse is not there");
  });
}

test("contents are where they are said to be", async () => {
  const bytes = image("tree/a");
  const parts = await expanded(bytes, ext4Parts);
  const content = (path: string): string => {
    const part = parts.find((one) => one.path === path && one.kind === "content");
    return Buffer.from(bytes.subarray(part?.offset, (part?.offset ?? 0) + (part?.length ?? 0))).toString("latin1");
  };
  assert.equal(content("bin/run"), "#!/bin/sh\necho run\n");
  assert.equal(content("etc/long"), `/${"x".repeat(100)}`);
  assert.equal(content("lib/others"), Array.from({ length: 901 }, (_, at) => `${at + 1000}\n`).join(""));
});

test("what is not ext4 is told", async () => {
  const bytes = image("tree/a");
  bytes[1080] = 0;
  await assert.rejects(expanded(bytes, ext4Parts), /ext4, offset 1080: no magic number/);
});

for (const name of ["tree/a", "ext2/a", "inline/a"]) {
  test(`${name}: survives damage`, async () => {
    await survives(image(name), ext4Parts, 150);
    // Most of an image is empty: the superblock, descriptors and inodes deserve more of it.
    await survives(image(name).subarray(0, 42 << 10), ext4Parts, 300);
  });
}
