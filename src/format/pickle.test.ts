import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { decodeAll, listed } from "../../test/listed.ts";
import { survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { pickleParts } from "./pickle.ts";
import { looksLikePickle } from "./runtime-magic.ts";

const golden = (side: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/pickle/${side}`));

test("opcodes with their values, and what is remembered by what it is", async () => {
  for (const name of ["protocol-2/a.pkl", "protocol-5/a.pkl"]) {
    const lines = await listed(pickleParts(memorySource(golden(name)), "a.pkl"), "opcodes");
    assert.match(lines, /^int -1180591620717411303424$/m, name);
    assert.match(lines, /^float 0\.5$/m, name);
    assert.match(lines, /^str "name"$/m, name);
    assert.match(lines, /^get str "name"$/m, name);
    assert.match(lines, /^int 70000$/m, name);
    assert.match(lines, /\nstop\n$/, name);
    assert.ok(!lines.includes("remembered"), name);
  }
  const newer = await listed(pickleParts(memorySource(golden("protocol-5/a.pkl")), "a.pkl"), "opcodes");
  assert.match(newer, /^bytes 0{64}… \(100 bytes, sha256 [0-9a-f]{64}\)$/m);
  assert.match(newer, /^str "collections"\nstr "OrderedDict"\nglobal of the stack$/m);
});

test("hostile pickles", async () => {
  assert.ok(looksLikePickle(golden("protocol-5/a.pkl"), "x"));
  assert.ok(looksLikePickle(golden("protocol-2/a.pkl"), "x.pkl"));
  await survives(golden("protocol-5/a.pkl"), pickleParts, 300);
  await survives(golden("protocol-2/a.pkl"), pickleParts, 200);
  const endless = Uint8Array.of(0x80, 2, 0x49, 0x31, 0x2e);
  await assert.rejects(decodeAll(pickleParts(memorySource(endless), "x")), BitforbitError);
});
