import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { decodeAll, partAt } from "../../test/listed.ts";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { elementsPart } from "./elements.ts";
import { ggufParts } from "./gguf.ts";
import { npyParts } from "./npy.ts";
import { onnxParts } from "./onnx.ts";
import type { Part } from "./part.ts";
import { safetensorsParts } from "./safetensors.ts";

const golden = (name: string, side: string): Uint8Array =>
  new Uint8Array(readFileSync(`test/golden/${name}/tensors/${side}.${name}`));

type Cut = (source: ReturnType<typeof memorySource>, name: string) => Iterable<Part>;

/** What is said of the part of that name on both sides. */
function said(name: string, parse: Cut, key: string): string | undefined {
  const [a, b] = [memorySource(golden(name, "a")), memorySource(golden(name, "b"))];
  return partAt(parse(a, "a"), key).compare?.(partAt(parse(b, "b"), key), a, b);
}

test("NumPy's header, and how much the elements differ", async () => {
  const parts = await expanded(golden("npy", "a"), npyParts);
  const at = (path: string): string | undefined => parts.find((part) => part.path === path)?.shown;
  assert.equal(at("descr"), "'<f4'");
  assert.equal(at("shape"), "(20, 30)");
  assert.equal(at("fortran_order"), "False");
  assert.equal(parts.at(-1)?.length, 2400);
  assert.equal(
    said("npy", npyParts, "elements"),
    "float32: 3 of 600 elements differ, largest difference 0.25 at [3, 4], mean difference 0.1255, " +
      "1 with NaN or infinity on one side",
  );
});

test("tensors by name", () => {
  assert.equal(
    said("safetensors", safetensorsParts, "tensor index"),
    "int64: 1 of 24 elements differ, largest difference 28 at [1, 2, 3], mean difference 28",
  );
  assert.match(said("safetensors", safetensorsParts, "tensor embed") ?? "", /^bfloat16: 1 of 64 .* at \[1, 1\]/);
  assert.match(said("safetensors", safetensorsParts, "tensor layer.0.bias") ?? "", /^float16: 1 of 128 .* at \[2, 3\]/);
  assert.equal(said("gguf", ggufParts, "tensor blk.0.attn"), "1 of 8 blocks of Q8_0 differ (34 bytes each)");
});

test("GGUF's pairs and tensors are told by name", async () => {
  const parts = await expanded(golden("gguf", "a"), ggufParts);
  const at = (path: string): string | undefined => parts.find((part) => part.path === path)?.shown;
  assert.equal(at("general.architecture › value"), '"llama"');
  assert.equal(at("llama.context_length › value"), "512");
  assert.equal(at("tensor output.weight described › shape"), "[8, 8]");
  assert.equal(at("tensor blk.0.attn described › type"), "Q8_0");
  await decodeAll(ggufParts(memorySource(golden("gguf", "a")), "a"));
});

/** What is said of four numbers of two bytes each. */
function pair(type: string, a: number[], b: number[], rest: object): string | undefined {
  const elements = { type, size: 2, shape: [2, 2], ...rest };
  const [left, right] = [memorySource(Uint8Array.from(a)), memorySource(Uint8Array.from(b))];
  const other = elementsPart("x", 0, b.length, elements);
  return elementsPart("x", 0, a.length, elements).compare?.(other, left, right);
}

test("numbers of two bytes, in Fortran order, big-endian", () => {
  const zero = [0, 0, 0, 0, 0, 0, 0, 0];
  // 1.0, the smallest subnormal and minus infinity as IEEE 754 halves.
  assert.match(pair("float16", zero, [0, 0x3c, 0, 0, 0, 0, 0, 0], {}) ?? "", /largest difference 1 at \[0, 0\]/);
  assert.match(pair("float16", zero, [0, 0, 1, 0, 0, 0, 0, 0], {}) ?? "", /largest difference 5\.96e-8 at \[0, 1\]/);
  assert.match(
    pair("float16", zero, [0, 0, 0, 0xfc, 0, 0, 0, 0], {}) ?? "",
    /^float16: 1 of 4 elements differ, 1 with NaN/,
  );
  assert.match(pair("bfloat16", zero, [0, 0, 0x80, 0x3f, 0, 0, 0, 0], {}) ?? "", /largest difference 1 at \[0, 1\]/);
  assert.match(pair("int16", zero, [0, 0, 1, 0, 0, 0, 0, 0], { fortran: true, big: true }) ?? "", /256 at \[1, 0\]/);
});

test("ONNX by the names of its graph", async () => {
  const bytes = new Uint8Array(readFileSync("test/golden/onnx/graph/a.onnx"));
  const parts = await expanded(bytes, onnxParts);
  const at = (path: string): string | undefined => parts.find((part) => part.path === path)?.shown;
  assert.equal(at("producer_version"), '"1.0"');
  assert.equal(at("graph net › node act › op_type"), '"Relu"');
  assert.equal(at("graph net › node dense › attribute alpha › f"), "1");
  assert.equal(at("graph net › initializer w › data_type"), "float32");
  assert.equal(at("graph net › input x › type › tensor_type › shape › dim › dim_param"), '"batch"');
  assert.ok(parts.some((part) => part.path === "graph net › initializer w › raw_data" && part.length === 128));
  await survives(bytes, onnxParts, 200);
  // Messages within each other, deeper than any model: a graph in an attribute of a node of a graph.
  let deep = Uint8Array.from([]);
  for (let level = 0; level < 60; level++) {
    for (const tag of [0x32, 0x2a, 0x0a]) deep = Uint8Array.from([tag, ...lengthOf(deep.length), ...deep]);
  }
  const model = Uint8Array.from([8, 9, 0x3a, ...lengthOf(deep.length), ...deep]);
  await assert.rejects(expanded(model, onnxParts), /nested more than 40 deep/);
});

/** As a varint. */
function lengthOf(length: number): number[] {
  return length < 128 ? [length] : [(length & 127) | 128, ...lengthOf(length >> 7)];
}

test("hostile models", async () => {
  await survives(golden("npy", "a"), npyParts, 200);
  await survives(golden("safetensors", "a"), safetensorsParts, 200);
  await survives(golden("gguf", "a"), ggufParts, 200);
  const huge = Uint8Array.from([
    ...Buffer.from("GGUF"),
    3,
    0,
    0,
    0,
    255,
    255,
    255,
    255,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  assert.throws(() => ggufParts(memorySource(huge), "x"), /4294967295 entries/);
});
