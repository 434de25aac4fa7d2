import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { concat, utf8 } from "../bytes.ts";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { oatParts, odexParts, vdexParts } from "./android-runtime.ts";

const vdex = new Uint8Array(readFileSync("test/golden/dex/vdex/a"));
const odex = new Uint8Array(readFileSync("test/golden/dex/odex/a"));

async function shown(bytes: Uint8Array, parse: typeof oatParts): Promise<Record<string, string | undefined>> {
  return Object.fromEntries((await expanded(bytes, parse)).map((part) => [part.path, part.shown ?? part.kind]));
}

test("DEX files within a vdex stand on their own", async () => {
  const found = await shown(vdex, vdexParts);
  assert.equal(found["version"], "027");
  assert.equal(found["classes.dex"], "content");
  assert.equal(found["classes2.dex"], "content");
  const older = await shown(utf8("vdex021\x00002\x00"), vdexParts);
  assert.equal(older["version of DEX section"], "002");
});

test("an optimised DEX says what it was made for", async () => {
  const found = await shown(odex, odexParts);
  assert.equal(found["dependencies › changed"], "2024-01-02 03:04:06");
  assert.equal(found["dependencies › machine's build"], "27");
  assert.match(found["dependencies › dependency /system/framework/core.jar"] ?? "", /^[0-9a-f]{40}$/);
});

test("of an oat the version is told", async () => {
  const bytes = concat([utf8("oat\n183\0"), new Uint8Array(64)]);
  assert.equal((await shown(bytes, oatParts))["version"], "183");
  assert.throws(() => oatParts(memorySource(utf8("oat\nabc\0....")), "x"), BitforbitError);
});

test("hostile vdex and optimised DEX", async () => {
  await survives(vdex, vdexParts, 200);
  await survives(odex, odexParts, 200);
});
