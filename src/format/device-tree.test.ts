import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { deviceTreeParts } from "./device-tree.ts";
import { uimageParts } from "./uimage.ts";

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../test/golden/${name}`, import.meta.url)));

const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path)?.shown;

test("nodes and properties by path", async () => {
  const parts = await expanded(golden("device-tree/dtb/a"), deviceTreeParts);
  assert.equal(shownIn(parts, "/ › model"), '"Board one"');
  assert.equal(shownIn(parts, "/ › compatible"), '"maker,board", "maker,soc"');
  assert.equal(shownIn(parts, "/soc/serial@1000 › reg"), "<0x1000 0x100>");
  assert.equal(shownIn(parts, "/soc/serial@1000 › mac"), "00112233445566");
  assert.equal(shownIn(parts, "/memory@0 › device_type"), '"memory"');
  assert.equal(parts.find(({ path }) => path === "reserved memory")?.shown, "0x1000, 8192 bytes");
});

test("a FIT image's time and contents", async () => {
  const bytes = golden("device-tree/fit/b");
  const parts = await expanded(bytes, deviceTreeParts);
  assert.equal(shownIn(parts, "/ › timestamp"), "1700000100");
  const data = parts.find(({ path, kind }) => path === "/images/kernel › data" && kind === "content");
  const text = Buffer.from(bytes.subarray(data?.offset, (data?.offset ?? 0) + (data?.length ?? 0))).toString("latin1");
  assert.match(text, /^1\n2\n[^]*\nhundred\n[^]*\n200\n$/);
  assert.equal(parts.find(({ path }) => path === "/images/kernel/hash-1 › value")?.kind, "derived");
});

test("a legacy image's header", async () => {
  const parts = await expanded(golden("uimage/kernel/a"), uimageParts);
  const shown = (key: string): string | undefined => parts.find(({ path }) => path === `header › ${key}`)?.shown;
  assert.deepEqual(["mtime", "load address", "system", "machine", "type", "compression", "name"].map(shown), [
    "1700000000",
    "0x00008000",
    "Linux",
    "ARM",
    "kernel",
    "none",
    "Linux-one",
  ]);
});

test("several pieces of a legacy image", async () => {
  const bytes = golden("uimage/kernel/a").slice(0, 64 + 12 + 8 + 5);
  const view = new DataView(bytes.buffer);
  view.setUint32(12, bytes.length - 64);
  bytes[30] = 4;
  [6, 5, 0].forEach((size, at) => view.setUint32(64 + at * 4, size));
  const parts = await expanded(bytes, uimageParts);
  const pieces = parts.filter(({ path }) => path.startsWith("piece")).map(({ offset, length }) => [offset, length]);
  assert.deepEqual(pieces, [
    [76, 6],
    [84, 5],
  ]);
});

test("what is neither is told", async () => {
  const nothing = new Uint8Array(100);
  await assert.rejects(async () => await expanded(nothing, deviceTreeParts), /device tree, offset 0: no magic number/);
  await assert.rejects(async () => await expanded(nothing, uimageParts), /U-Boot image, offset 0: no magic number/);
});

test("damage is survived", async () => {
  await survives(golden("device-tree/dtb/b"), deviceTreeParts, 500);
  await survives(golden("device-tree/fit/a"), deviceTreeParts, 300);
  await survives(golden("uimage/kernel/b"), uimageParts, 200);
});
