import type { ByteSource } from "../bytesource.ts";
import { Words } from "./record.ts";

/**
 * The function table of Go's runtime (go/src/debug/gosym/pclntab.go,
 * runtime/symtab.go), which stripped programs have also:
 *
 *     magic(4) 0 0 instruction-quantum pointer-size   functions files [text-start] offsets of: names, units, files, pc-values, functions
 *     at the last: functions × (entry, offset of the function's record)   records: entry, name offset …
 *
 * magic: ffff_fffb Go 1.2, fffa 1.16, fff0 1.18, fff1 1.20 and later. From
 * 1.18 on entries count from the beginning of the text, and are of 4 bytes.
 */
export interface GoFunction {
  address: number;
  size: number;
  name: string;
}

export interface GoTable {
  words: Words;
  version: "1.2" | "1.16" | "1.18" | "1.20";
  pointer: number;
  functions: number;
  /** As the header gives it, 0 from Go 1.26 on. */
  textStart: number;
  /** Where, from the table's beginning, each piece begins. */
  pieces: { key: string; at: number }[];
}

const VERSIONS: Readonly<Record<number, GoTable["version"]>> = {
  0xfffffffb: "1.2",
  0xfffffffa: "1.16",
  0xfffffff0: "1.18",
  0xfffffff1: "1.20",
};
const MAX_TABLE = 256 << 20;
const MAX_FUNCTIONS = 4_000_000;

/** Undefined for what is no such table. */
export function goTable(source: ByteSource, offset: number, length: number): GoTable | undefined {
  if (length < 32 || length > MAX_TABLE || offset + length > source.size) return undefined;
  const bytes = source.read(offset, length);
  const little = (bytes[0] ?? 0) >= 0xf0 && bytes[3] === 0xff;
  const words = new Words(bytes, little, `${source.name}: Go's function table`);
  const version = VERSIONS[words.u32(0)];
  const pointer = words.u8(7);
  if (version === undefined || (pointer !== 4 && pointer !== 8)) return undefined;
  const number = (index: number): number => (pointer === 8 ? words.u64(8 + index * 8) : words.u32(8 + index * 4));
  if (length < 8 + pointer * 8) return undefined;
  const functions = number(0);
  const withStart = version === "1.18" || version === "1.20";
  const first = withStart ? 3 : 2;
  const keys = version === "1.2" ? [] : ["function names", "units", "file names", "pc values", "functions"];
  const pieces = keys.map((key, index) => ({ key, at: number(first + index) }));
  if (version === "1.2") pieces.push({ key: "functions", at: 8 + pointer });
  const ordered = pieces.every(({ at }, index) => at <= length && at >= (pieces[index - 1]?.at ?? 0));
  if (!ordered || functions > MAX_FUNCTIONS) return undefined;
  return { words, version, pointer, functions, textStart: withStart ? number(2) : 0, pieces };
}

/** Every function by name; `textStart`: where the text begins, for tables that do not tell. */
export function* goFunctions(
  source: ByteSource,
  offset: number,
  length: number,
  textStart: number,
): Generator<GoFunction> {
  const table = goTable(source, offset, length);
  if (table === undefined) return;
  const { words, version, pointer } = table;
  const short = version === "1.18" || version === "1.20";
  const size = short ? 4 : pointer;
  const start = short ? table.textStart || textStart : 0;
  const number = (at: number): number => (size === 8 ? words.u64(at) : words.u32(at));
  const list = table.pieces.find(({ key }) => key === "functions")?.at ?? 0;
  const names = table.pieces.find(({ key }) => key === "function names")?.at ?? 0;
  const records = version === "1.2" ? 0 : list;
  if (list + (table.functions * 2 + 1) * size > words.size) return;
  for (let index = 0; index < table.functions; index++) {
    const at = list + index * 2 * size;
    const record = records + number(at + size);
    if (record + size + 4 > words.size) return;
    const name = words.text(names + words.u32(record + size), 1024);
    yield { address: start + number(at), size: number(at + 2 * size) - number(at), name };
  }
}
