import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { listed } from "../../test/listed.ts";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { classParts } from "./class-file.ts";
import { looksLikeClass } from "./runtime-magic.ts";

const golden = (side: string): Uint8Array => readFileSync(`test/golden/java-class/sample/${side}`);

test("a class is cut into its pool by value, its fields and methods by name", async () => {
  const shown = await expanded(golden("a"), classParts);
  const at = (path: string): string | undefined => shown.find((part) => part.path === path)?.shown;
  assert.equal(at("version"), "69 (Java 25)");
  assert.equal(at("this class"), "demo/Sample");
  assert.equal(at("super class"), "java/lang/Object");
  assert.equal(at("access flags"), "public super");
  assert.equal(at("field BUILT:Ljava/lang/String; › ConstantValue › value"), '"2024-01-01"');
  assert.equal(at("field BIG:J › ConstantValue › value"), "1099511627776l");
  assert.equal(at("field F:F › ConstantValue › value"), "-0f");
  assert.equal(at("field count:I › access flags"), "private volatile transient");
  assert.equal(at("SourceFile › value"), "Sample.java");
  assert.ok(shown.some((part) => part.path === "implements java/lang/Runnable" && part.kind === "derived"));
  const string = shown.find((part) => part.path === 'constants › String "none"');
  assert.equal(string?.kind, "derived");
});

test("instructions name what they lead to", async () => {
  const parts = [...(await classParts(memorySource(golden("a")), "A.class"))];
  const code = await listed(parts, "method run()V", "Code", "bytecode");
  assert.match(code, /^ {2}invokevirtual java\/io\/PrintStream\.println:\(Ljava\/lang\/String;\)V$/m);
  assert.match(code, /^ {2}lookupswitch 1:L5 2:L6 1000:L7 default:L8$/m);
  assert.match(code, /makeConcatWithConstants\("too much \\u0001"\)$/m);
  assert.match(code, /^L2:\n {2}iinc 2 by 1\n {2}goto L1$/m);
  assert.match(code, /^ {2}ldc 70000$/m);
  const lines = await listed(parts, "method get()Ljava/lang/String;", "Code", "LineNumberTable", "table");
  assert.equal(lines, "line 26: 26 bytes\n");
  const marks = await listed(parts, "RuntimeVisibleAnnotations", "annotations");
  assert.match(marks, /^@Ldemo\/Mark;\n {2}value = "first"\n {2}numbers = \{\n/);
  const bootstrap = await listed(parts, "BootstrapMethods", "table");
  assert.match(bootstrap, /Class demo\/Sample|demo\/Sample\$Cat, demo\/Sample\$Dog/);
});

test("a shifted pool changes no listing", async () => {
  const [a, b] = ["a", "b"].map((side) => classParts(memorySource(golden(side)), "A.class"));
  assert.ok(a !== undefined && b !== undefined);
  const path = ["method get()Ljava/lang/String;", "Code", "bytecode"];
  assert.equal(await listed(a, ...path), await listed(b, ...path));
  const run = ["method run()V", "Code", "bytecode"];
  assert.notEqual(await listed(a, ...run), await listed(b, ...run));
});

test("hostile classes", async () => {
  assert.ok(looksLikeClass(golden("a")));
  assert.ok(!looksLikeClass(Uint8Array.of(0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2, 1, 0, 0, 7)), "a fat Mach-O");
  await survives(golden("a"), classParts, 300);
});
