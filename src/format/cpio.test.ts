import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { looksLikeCpio } from "./archive-magic.ts";
import { cpioParts } from "./cpio.ts";

const golden = (path: string): Uint8Array => readFileSync(`test/golden/cpio/${path}`);
const names = (parts: readonly Shown[]): string[] => parts.filter((one) => one.kind === "group").map((one) => one.path);
const shownOf = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path)?.shown;

const MEMBERS = [".", "etc", "etc/hard", "etc/odd", "etc/passwd", "init", "link", "TRAILER!!!"];

test("members of every form have their fields", async () => {
  for (const [path, form] of [
    ["initramfs/a", "newc"],
    ["initramfs/b", "crc"],
    ["odc/a", "odc"],
    ["binary/a", "binary, little endian"],
  ] as const) {
    assert.ok(looksLikeCpio(golden(path)));
    const parts = await expanded(golden(path), cpioParts);
    assert.deepEqual(names(parts).sort(), [...MEMBERS].sort());
    assert.equal(shownOf(parts, "init › format"), form);
    assert.equal(shownOf(parts, "init › mode"), "100755");
    assert.equal(shownOf(parts, "init › mtime"), "1000000000");
    assert.equal(shownOf(parts, "init › links"), "2");
    assert.equal(shownOf(parts, "link › link target"), "etc/passwd");
    const data = parts.find((part) => part.path === "etc/passwd › ");
    assert.ok(data);
    const content = Buffer.from(golden(path)).subarray(data.offset, data.offset + data.length);
    assert.equal(content.toString(), "root:x:0:0\n");
  }
});

test("every byte is claimed, down to what follows the archive", async () => {
  for (const path of ["initramfs/a", "odc/b", "binary/b"]) {
    const parts = await expanded(golden(path), cpioParts);
    const claimed = parts.filter((part) => part.kind !== "group").reduce((sum, part) => sum + part.length, 0);
    assert.equal(claimed, golden(path).length);
  }
  const follows = (await expanded(golden("initramfs/a"), cpioParts)).at(-1);
  assert.equal(follows?.path, "what follows");
  assert.equal(golden("initramfs/a")[follows?.offset ?? 0], 0x1f);
});

test("archives behind each other, and words of the other byte order", async () => {
  const both = Buffer.concat([golden("odc/a"), golden("binary/a")]);
  assert.deepEqual(names(await expanded(both, cpioParts)), [...MEMBERS, ...MEMBERS]);
  const swapped = Buffer.from(golden("binary/a"));
  for (const part of await expanded(golden("binary/a"), cpioParts)) {
    if (/ › (?!name$|link target$|$|padding)/.test(part.path)) {
      swapped.subarray(part.offset, part.offset + part.length).swap16();
    }
  }
  assert.ok(looksLikeCpio(swapped));
  const parts = await expanded(swapped, cpioParts);
  assert.equal(shownOf(parts, "init › format"), "binary, big endian");
  assert.equal(shownOf(parts, "init › mtime"), "1000000000");
});

test("damage is told with its place", () => {
  const damaged = Buffer.from(golden("odc/a"));
  damaged.write("x", 76 + 2);
  assert.throws(() => [...cpioParts(memorySource(damaged, "in"))], {
    code: "input",
    message: "in: cpio, offset 78: 783730373037, where a member should begin",
  });
  assert.throws(() => [...cpioParts(memorySource(golden("odc/a").subarray(0, 300)))], {
    code: "input",
    message: /ends at 300/,
  });
  assert.equal(looksLikeCpio(Uint8Array.of(0xc7, 0x71, ...new Uint8Array(40))), false);
});

test("hostile input gives parts or an error", async () => {
  for (const path of ["initramfs/a", "odc/a", "binary/a"]) await survives(golden(path), cpioParts, 150);
});
