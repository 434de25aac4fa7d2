import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { decodeAll, listed } from "../../test/listed.ts";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { dexParts } from "./dex.ts";
import { OPCODES } from "./dex-opcodes.ts";
import type { Part } from "./part.ts";
import { looksLikeDex } from "./runtime-magic.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/dex/${name}`));
const partsOf = (name: string): Part[] => [...dexParts(memorySource(golden(name)), "classes.dex")] as Part[];
const SAMPLE = "Ldemo/Sample;";

test("classes are known by descriptor, members by name and prototype", async () => {
  const parts = partsOf("sample/a");
  const own = await listed(parts, "classes", SAMPLE);
  assert.equal(
    own,
    `access flags: public abstract
superclass: Ljava/lang/Object;
implements Ljava/lang/Runnable;
implements Ljava/lang/Comparable;
source file: "Sample.java"
annotations: own
members: own
static values: own
`,
  );
  const members = await listed(parts, "members", SAMPLE);
  assert.match(members, /^instance field count:I: private volatile$/m);
  assert.match(members, /^virtual method later\(\)V: protected abstract, no code$/m);
  assert.match(members, /^direct method <init>\(\)V: public constructor$/m);
  const values = await listed(parts, "values", SAMPLE);
  assert.match(values, /^BIG:J = 1099511627776l\nBUILT:Ljava\/lang\/String; = "2024-01-01"\nHALF:F = 0.5f$/m);
});

test("instructions name what they lead to", async () => {
  const parts = partsOf("sample/a");
  const run = await listed(parts, "code", `${SAMPLE}->run()V`, "instructions");
  assert.match(run, /^ {2}invoke-virtual \{v\d, v\d\}, Ljava\/io\/PrintStream;->println\(Ljava\/lang\/String;\)V$/m);
  assert.match(run, /^ {2}fill-array-data v\d\n {4}10 20 30 40 50 100000$/m);
  assert.match(run, /^from try_1 to try_end_1 catch .*Ljava\/lang\/NumberFormatException; at catch_\d/m);
  const choose = await listed(parts, "code", `${SAMPLE}->choose(I)Ljava/lang/String;`, "instructions");
  assert.match(choose, /^ {2}packed-switch v2\n {4}1: case_1\n {4}2: case_2\n {4}3: case_3$/m);
  assert.match(choose, /^ {4}-1000: case_-1000\n {4}100000: case_100000$/m);
  const debug = await listed(parts, "debug information", `${SAMPLE}->compareTo(${SAMPLE})I`);
  assert.equal(debug, "line 63\nparameter 1 other\nprologue ends\nline +0\n");
  const annotation = await listed(parts, "annotations", `@Ldemo/Sample$Mark; on ${SAMPLE}->run()V`);
  assert.match(annotation, /^visible at runtime\n@Ldemo\/Sample\$Mark;\n {2}numbers = \{3, 4, 5\}$/m);
});

test("call sites and method handles by what they lead to", async () => {
  const parts = partsOf("lambdas/a");
  const go = await listed(parts, "code", "Ldemo/L;->go(I)I", "instructions");
  assert.match(
    go,
    /^ {2}invoke-custom \{v5\}, call site \(invoke-static Ljava\/lang\/invoke\/LambdaMetafactory;->metafactory, "apply", /m,
  );
  assert.match(await listed(parts, "method handles"), /^invoke-static Ldemo\/L;->lambda\$go\$0\(/m);
});

test("all bytes but fillers are claimed, in all sections", async () => {
  for (const name of ["sample/a", "sample/b", "lambdas/a", "lambdas/b"]) {
    const bytes = golden(name);
    const claimed = new Uint8Array(bytes.length);
    for (const part of await expanded(bytes, dexParts)) {
      if (part.kind !== "group") claimed.fill(1, part.offset, part.offset + part.length);
    }
    const left = bytes.findIndex((byte, at) => byte !== 0 && claimed[at] === 0);
    assert.equal(left, -1, `${name}: nothing claims byte ${left}`);
    await decodeAll(partsOf(name));
  }
});

test("each opcode has its name", () => {
  assert.equal(OPCODES.length, 256);
  const named = { 0x0e: "return-void", 0x44: "aget", 0x6e: "invoke-virtual", 0x7b: "neg-int", 0xb0: "add-int/2addr" };
  const later = { 0xd0: "add-int/lit16", 0xe2: "ushr-int/lit8", 0xfa: "invoke-polymorphic", 0xff: "const-method-type" };
  for (const [opcode, name] of Object.entries({ ...named, ...later }))
    assert.equal(OPCODES[Number(opcode)]?.name, name);
});

test("hostile DEX files", async () => {
  const bytes = golden("sample/a");
  assert.ok(looksLikeDex(bytes));
  assert.throws(() => dexParts(memorySource(bytes.subarray(0, 100)), "x"), BitforbitError);
  await survives(bytes, dexParts, 300);
  await survives(golden("lambdas/a"), dexParts, 150);
});
