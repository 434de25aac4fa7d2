import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { listed } from "../../test/listed.ts";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { gcovParts } from "./gcov.ts";

const golden = (path: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/gcov/${path}`));

test("notes by function, with the stamp", async () => {
  const bytes = golden("notes/a.gcno");
  const shown = await expanded(bytes, gcovParts);
  assert.equal(shown.find((part) => part.path === "version")?.shown, "B22*");
  assert.match(shown.find((part) => part.path === "stamp")?.shown ?? "", /^0x[0-9a-f]{8}$/);
  const twice = await listed(gcovParts(memorySource(bytes), "a.gcno"), "function twice", "records");
  assert.match(twice, /^"twice" of "p\.c": 2 12 2 41\n4 blocks\nfrom 0 to 2 \(4\)\n/);
  assert.match(twice, /^block 2: "p\.c" 2$/m);
});

test("counts by function", async () => {
  const parts = gcovParts(memorySource(golden("counts/a.gcda")), "a.gcda");
  assert.equal(await listed(parts, "summary", "records"), "runs 1, largest count 5\n");
  const main = parts.find((part) => part.key.startsWith("function "));
  assert.equal(await listed(parts, main?.key ?? "", "records"), "arcs: 1 5 5 1\n");
});

test("hostile notes and counts", async () => {
  await survives(golden("notes/a.gcno"), gcovParts, 300);
  await survives(golden("counts/a.gcda"), gcovParts, 200);
});
