import { BitforbitError } from "../errors.ts";
import { DwarfReader } from "./dwarf-words.ts";
import { typeIn } from "./wasm.ts";

/** Instructions of WebAssembly (Core Specification 2.0, section 5.4) as text, one a line, blocks indented. */
const MAX_LINES = 20_000;

const CONTROL: Readonly<Record<number, string>> = {
  0x00: "unreachable",
  0x01: "nop",
  0x02: "block",
  0x03: "loop",
  0x04: "if",
  0x05: "else",
  0x06: "try",
  0x07: "catch",
  0x08: "throw",
  0x09: "rethrow",
  0x0b: "end",
  0x0c: "br",
  0x0d: "br_if",
  0x0e: "br_table",
  0x0f: "return",
  0x10: "call",
  0x11: "call_indirect",
  0x12: "return_call",
  0x13: "return_call_indirect",
  0x18: "delegate",
  0x19: "catch_all",
  0x1a: "drop",
  0x1b: "select",
  0x1c: "select",
  0x20: "local.get",
  0x21: "local.set",
  0x22: "local.tee",
  0x23: "global.get",
  0x24: "global.set",
  0x25: "table.get",
  0x26: "table.set",
  0x3f: "memory.size",
  0x40: "memory.grow",
  0x41: "i32.const",
  0x42: "i64.const",
  0x43: "f32.const",
  0x44: "f64.const",
  0xd0: "ref.null",
  0xd1: "ref.is_null",
  0xd2: "ref.func",
};

const words = (text: string): string[] => text.split(" ");
const compared = "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const integer = "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const float = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign";
const of = (type: string, names: string): string[] => words(names).map((name) => `${type}.${name}`);

/** From 0x28 on: loads and stores; from 0x45 on: what takes no operand. */
const MEMORY = words(
  "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s i64.load8_u i64.load16_s " +
    "i64.load16_u i64.load32_s i64.load32_u i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32",
);
const NUMERIC = [
  ...of("i32", compared),
  ...of("i64", compared),
  ...of("f32", "eq ne lt gt le ge"),
  ...of("f64", "eq ne lt gt le ge"),
  ...of("i32", integer),
  ...of("i64", integer),
  ...of("f32", float),
  ...of("f64", float),
  ...words(
    "i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s " +
      "i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u " +
      "f32.demote_f64 f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32 i32.reinterpret_f32 " +
      "i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64 i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s",
  ),
];
const BULK = words(
  "i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u i64.trunc_sat_f32_s i64.trunc_sat_f32_u " +
    "i64.trunc_sat_f64_s i64.trunc_sat_f64_u memory.init data.drop memory.copy memory.fill table.init elem.drop table.copy " +
    "table.grow table.size table.fill",
);
/** How many numbers follow each of these, from memory.init on. */
const BULK_NUMBERS = [2, 1, 2, 1, 2, 1, 2, 1, 1, 1];

export interface Names {
  function(index: number): string;
  global(index: number): string;
}

/** The body of a function: its locals, then its instructions. Throws `input` for an opcode that is none. */
export function bodyText(reader: DwarfReader, names: Names): string {
  const lines: string[] = [];
  for (let groups = reader.uleb(); groups > 0 && reader.at < reader.end; groups--) {
    lines.push(`local ${reader.uleb()} × ${typeIn(reader)}`);
  }
  let depth = 0;
  while (reader.at < reader.end && lines.length < MAX_LINES) {
    const opcode = reader.u8();
    if ([0x05, 0x07, 0x0b, 0x18, 0x19].includes(opcode)) depth = Math.max(0, depth - 1);
    lines.push(`${"  ".repeat(Math.min(depth, 40))}${instruction(reader, opcode, names)}`);
    if ([0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x19].includes(opcode)) depth++;
  }
  return lines.join("\n");
}

function instruction(reader: DwarfReader, opcode: number, names: Names): string {
  const memory = MEMORY[opcode - 0x28];
  if (opcode >= 0x28 && memory !== undefined) return `${memory}${memoryOperand(reader)}`;
  const numeric = NUMERIC[opcode - 0x45];
  if (opcode >= 0x45 && numeric !== undefined) return numeric;
  if (opcode === 0xfc) return bulk(reader);
  if (opcode === 0xfd) return vector(reader);
  if (opcode === 0xfe) return atomic(reader);
  const name = CONTROL[opcode];
  if (name === undefined) throw new BitforbitError("input", `a WebAssembly instruction 0x${opcode.toString(16)}`);
  return `${name} ${controlOperand(reader, opcode, names)}`.trimEnd();
}

function memoryOperand(reader: DwarfReader): string {
  const align = reader.uleb();
  if ((align & 0x40) !== 0) reader.uleb();
  const offset = reader.uleb();
  return offset === 0 ? "" : ` offset=${offset}`;
}

function controlOperand(reader: DwarfReader, opcode: number, names: Names): string {
  switch (opcode) {
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x06:
      return blockType(reader);
    case 0x10:
    case 0x12:
    case 0xd2:
      return names.function(reader.uleb());
    case 0x11:
    case 0x13:
      return `type ${reader.uleb()} table ${reader.uleb()}`;
    case 0x23:
    case 0x24:
      return names.global(reader.uleb());
    case 0x0e: {
      const targets = Array.from({ length: Math.min(reader.uleb(), reader.end - reader.at) }, () => reader.uleb());
      return `${targets.join(" ")} ${reader.uleb()}`.trim();
    }
    case 0x1c:
      return Array.from({ length: Math.min(reader.uleb(), reader.end - reader.at) }, () => typeIn(reader)).join(" ");
    case 0x41:
    case 0x42:
      return String(reader.sleb());
    case 0x43:
      return String(number(reader, 4));
    case 0x44:
      return String(number(reader, 8));
    case 0xd0:
      return typeIn(reader);
    default:
      return [0x07, 0x08, 0x09, 0x0c, 0x0d, 0x18, 0x20, 0x21, 0x22, 0x25, 0x26].includes(opcode)
        ? String(reader.uleb())
        : memoryIndex(reader, opcode);
  }
}

/** memory.size and memory.grow name the memory, nearly always 0. */
function memoryIndex(reader: DwarfReader, opcode: number): string {
  if (opcode !== 0x3f && opcode !== 0x40) return "";
  const index = reader.u8();
  return index === 0 ? "" : String(index);
}

function blockType(reader: DwarfReader): string {
  const at = reader.at;
  const type = reader.sleb();
  if (type >= 0) return `type ${type}`;
  if (type === -64) return "";
  return typeIn(new DwarfReader(reader.words, at, reader.end));
}

function number(reader: DwarfReader, size: 4 | 8): number {
  const at = reader.step(size);
  const { bytes } = reader.words;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, size);
  return size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
}

function bulk(reader: DwarfReader): string {
  const code = reader.uleb();
  const numbers = Array.from({ length: BULK_NUMBERS[code - 8] ?? 0 }, () => reader.uleb());
  return [BULK[code] ?? `0xfc ${code}`, ...numbers].join(" ");
}

function vector(reader: DwarfReader): string {
  const code = reader.uleb();
  const name = `v128 ${code}`;
  if (code <= 11 || code === 92 || code === 93) return `${name}${memoryOperand(reader)}`;
  if (code === 12 || code === 13) {
    const at = reader.step(16);
    return `${name} ${Buffer.from(reader.words.bytes.subarray(at, at + 16)).toString("hex")}`;
  }
  if (code >= 21 && code <= 34) return `${name} lane ${reader.u8()}`;
  if (code >= 84 && code <= 91) return `${name}${memoryOperand(reader)} lane ${reader.u8()}`;
  return name;
}

function atomic(reader: DwarfReader): string {
  const code = reader.uleb();
  if (code === 3) return `atomic.fence ${reader.u8()}`;
  return `atomic ${code}${memoryOperand(reader)}`;
}
