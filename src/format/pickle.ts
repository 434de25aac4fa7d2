import type { ByteSource } from "../bytesource.ts";
import { showable, utf8 } from "../bytes.ts";
import { sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { listing, quoted } from "./listing.ts";
import { field, type Part } from "./part.ts";

/**
 * Python's pickles (CPython, Lib/pickletools.py): opcodes of a stack machine,
 * from protocol 2 on begun by 80 and the protocol, each ended by a full stop.
 * They are told as they stand and never carried out. What is remembered is told
 * by what it is, not by its number; frames only say how many bytes follow.
 */
const MAX_SIZE = 256 << 20;
const MAX_REMEMBERED = 1_000_000;
const SHOWN = 32;

type Kind =
  | "none"
  | "line"
  | "lines"
  | "text"
  | "bytes"
  | "long"
  | "number"
  | "signed"
  | "float"
  | "put"
  | "get"
  | "skip";

/** Name, what follows it, and of how many bytes the number or length is. */
type Row = readonly [name: string, kind: Kind, width?: 1 | 2 | 4 | 8];

const ROWS: Readonly<Record<string, Row>> = {
  "(": ["mark", "none"],
  ".": ["stop", "none"],
  "0": ["pop", "none"],
  "1": ["pop mark", "none"],
  "2": ["dup", "none"],
  F: ["float", "line"],
  I: ["int", "line"],
  J: ["int", "signed", 4],
  K: ["int", "number", 1],
  L: ["int", "line"],
  M: ["int", "number", 2],
  N: ["None", "none"],
  P: ["persistent", "line"],
  Q: ["persistent", "none"],
  R: ["reduce", "none"],
  S: ["string", "line"],
  T: ["string", "text", 4],
  U: ["string", "text", 1],
  V: ["str", "line"],
  X: ["str", "text", 4],
  a: ["append", "none"],
  b: ["build", "none"],
  c: ["global", "lines"],
  d: ["dict", "none"],
  "}": ["empty dict", "none"],
  e: ["appends", "none"],
  g: ["get", "get"],
  h: ["get", "get", 1],
  i: ["instance", "lines"],
  j: ["get", "get", 4],
  l: ["list", "none"],
  "]": ["empty list", "none"],
  o: ["object", "none"],
  p: ["put", "put"],
  q: ["put", "put", 1],
  r: ["put", "put", 4],
  s: ["set item", "none"],
  t: ["tuple", "none"],
  ")": ["empty tuple", "none"],
  u: ["set items", "none"],
  G: ["float", "float"],
  B: ["bytes", "bytes", 4],
  C: ["bytes", "bytes", 1],
  "\x80": ["protocol", "number", 1],
  "\x81": ["new object", "none"],
  "\x82": ["extension", "number", 1],
  "\x83": ["extension", "number", 2],
  "\x84": ["extension", "signed", 4],
  "\x85": ["tuple of 1", "none"],
  "\x86": ["tuple of 2", "none"],
  "\x87": ["tuple of 3", "none"],
  "\x88": ["True", "none"],
  "\x89": ["False", "none"],
  "\x8a": ["int", "long", 1],
  "\x8b": ["int", "long", 4],
  "\x8c": ["str", "text", 1],
  "\x8d": ["str", "text", 8],
  "\x8e": ["bytes", "bytes", 8],
  "\x8f": ["empty set", "none"],
  "\x90": ["add items", "none"],
  "\x91": ["frozenset", "none"],
  "\x92": ["new object with keywords", "none"],
  "\x93": ["global of the stack", "none"],
  "\x94": ["memoize", "put"],
  "\x95": ["frame", "skip", 8],
  "\x96": ["bytearray", "bytes", 8],
  "\x97": ["next buffer", "none"],
  "\x98": ["read-only buffer", "none"],
};

export function pickleParts(source: ByteSource, name: string): Part[] {
  const what = `${name}: pickle`;
  if (source.size > MAX_SIZE) throw new BitforbitError("limit", `${what}: ${source.size} bytes`);
  const cursor = new Cursor(source, what);
  if (cursor.u8() !== 0x80) cursor.fail("not a protocol's opcode", 0);
  const protocol = cursor.u8();
  if (protocol < 2 || protocol > 5) cursor.fail(`protocol ${protocol}`, 1);
  if (source.read(source.size - 1, 1)[0] !== 0x2e) cursor.fail("no full stop at the end", source.size - 1);
  return [
    field("protocol", 0, 2, () => String(protocol)),
    listing("opcodes", 2, source.size - 2, "opcodes", () =>
      opcodeLines(new Cursor(source, what, 2, source.size, true)),
    ),
  ];
}

function* opcodeLines(cursor: Cursor): Iterable<string> {
  const remembered = new Map<number, string>();
  let last = "nothing";
  let made = 0;
  while (cursor.left > 0) {
    const at = cursor.at;
    const row = ROWS[String.fromCharCode(cursor.u8())];
    if (row === undefined) return cursor.fail("no opcode of a pickle", at);
    const [name, kind, width] = row;
    if (kind === "skip") cursor.skip(8);
    else if (kind === "get") yield `get ${remembered.get(number(cursor, width)) ?? "what was not remembered"}`;
    else if (kind === "put") {
      const place = name === "memoize" ? remembered.size : number(cursor, width);
      if (remembered.size > MAX_REMEMBERED) cursor.fail("too much to be remembered", at);
      remembered.set(place, last);
    } else {
      const line = operand(cursor, name, kind, width);
      // Containers have no value of their own: they are counted.
      last = kind === "none" ? `${line} ${++made}` : line.slice(0, 80);
      yield line;
    }
  }
}

function number(cursor: Cursor, width: Row[2]): number {
  if (width === undefined) return Number(line(cursor));
  if (width === 1) return cursor.u8();
  if (width === 2) return cursor.u16();
  return width === 4 ? cursor.u32() : cursor.size64();
}

function operand(cursor: Cursor, name: string, kind: Kind, width: Row[2]): string {
  switch (kind) {
    case "line":
      return `${name} ${text(utf8(line(cursor)))}`;
    case "lines":
      return `${name} ${text(utf8(`${line(cursor)}.${line(cursor)}`))}`;
    case "number":
      return `${name} ${number(cursor, width)}`;
    case "signed":
      return `${name} ${cursor.i32()}`;
    case "float": {
      const value = cursor.view(8).getFloat64(0);
      return `${name} ${Object.is(value, -0) ? "-0" : value}`;
    }
    case "text":
      return `${name} ${text(cursor.bytes(number(cursor, width)))}`;
    case "bytes":
      return `${name} ${blob(cursor.bytes(number(cursor, width)))}`;
    case "long":
      return `${name} ${long(cursor.bytes(number(cursor, width)))}`;
    default:
      return name;
  }
}

function line(cursor: Cursor): string {
  const from = cursor.at;
  for (;;) {
    const bytes = cursor.bytes(Math.min(4096, Math.max(1, cursor.left)));
    const end = bytes.indexOf(0x0a);
    if (end < 0) continue;
    cursor.at += end + 1 - bytes.length;
    return showable(cursor.source.read(from, cursor.at - 1 - from));
  }
}

/** What is cut is told by its hash as well, so that no difference is lost. */
function text(bytes: Uint8Array): string {
  return bytes.length <= 4000
    ? quoted(showable(bytes), 4000)
    : `${quoted(showable(bytes.subarray(0, 400)))} ${hash(bytes)}`;
}

function blob(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, SHOWN)).toString("hex");
  return bytes.length <= SHOWN ? shown : `${shown}… (${bytes.length} bytes, ${hash(bytes)})`;
}

function hash(bytes: Uint8Array): string {
  return `sha256 ${sha256Hex(bytes)}`;
}

/** Two's complement, least significant byte first. */
function long(bytes: Uint8Array): string {
  if (bytes.length > 256) return blob(bytes);
  const value = BigInt(`0x0${Buffer.from(bytes).reverse().toString("hex")}`);
  return String(BigInt.asIntN(bytes.length * 8, value));
}
