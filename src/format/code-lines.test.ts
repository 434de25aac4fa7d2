import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { codeParts } from "./code-lines.ts";

const LONG = `/*${"x".repeat(400)}*/`;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function lines(text: string, name = "x.js"): Promise<string[]> {
  const chunks: Uint8Array[] = [];
  for (const { decode } of codeParts(memorySource(bytes(LONG + text)), name)) {
    await decode?.run((chunk) => chunks.push(chunk), { maxBytes: 1 << 20, maxRatio: 100, freeBytes: 1 << 20 });
  }
  return Buffer.concat(chunks).toString().slice(LONG.length).split("\n");
}

test("a statement a line; strings, templates, expressions and comments stay whole", async () => {
  assert.deepEqual(
    await lines("var a='x;{';function f(b){return/[/;]{/.test(b)?`t;${g({a:1})};u`:b/2/3;}(()=>{h()})();/*;*/i//;\n;j"),
    [
      "var a='x;{';",
      "function f(b){",
      "return/[/;]{/.test(b)?`t;${g({",
      "a:1})};u`:b/2/3;",
      "}",
      "(()=>{",
      "h()})();",
      "/*;*/i//;",
      ";",
      "j",
    ],
  );
  assert.deepEqual(await lines('a{b:url("x;y");c:d}@media x{e{f:g}}', "x.css"), [
    "a{",
    'b:url("x;y");',
    "c:d}",
    "@media x{",
    "e{",
    "f:g}",
    "}",
  ]);
});

test("what is laid out in lines is refused", () => {
  assert.throws(() => codeParts(memorySource(bytes("a;\nb;\n")), "x.js"), /line by line/);
});

test("nothing but line ends is added, whatever the code", async () => {
  const piece = fc.constantFrom(
    "a",
    ";",
    "{",
    "}",
    '"',
    "'",
    "`",
    "${",
    "/",
    "*",
    "//",
    "\\",
    "\n",
    "(",
    ")",
    "[",
    "]",
    ",",
    "return",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 60 }), fc.constantFrom("x.js", "x.css"), async (pieces, name) => {
      const found = await lines(pieces.join(""), name);
      assert.equal(found.join(""), pieces.join("").replaceAll("\n", ""));
    }),
    { numRuns: 500 },
  );
  await survives(bytes(`${LONG}a;b{c}`), codeParts, 100, "x.js");
});
