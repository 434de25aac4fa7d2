import { BitforbitError } from "../errors.ts";
import type { Cursor } from "./cursor.ts";
import { quoted } from "./listing.ts";

/**
 * Python's marshal (CPython, Python/marshal.c; versions 2 to 5): an object is
 * a type byte, whose highest bit says that it can be referred to later (each
 * such object takes the next number), and what the type says, little-endian.
 *
 * Whether an object carries that bit and whether a string is marked as
 * interned follows from reference counts at the time of writing, not from the
 * source: builds differ in it though the code is the same.
 */
export interface Node {
  /** The type byte without its mark, as a character. */
  type: string;
  /** Carries the mark that it may be referred to. */
  marked: boolean;
  at: number;
  end: number;
  children: Node[];
  /** Of a reference: what it leads to. */
  target?: Node;
  /** Of a code object: its numbers, and its children by name. */
  code?: { numbers: Map<string, { at: number; value: number }>; objects: Map<string, Node> };
}

const MAX_NODES = 2_000_000;
/** CPython's own limit is 2000 levels. */
const MAX_DEPTH = 1000;
const MARK = 0x80;

/** Names of a code object's members in the order of the file; "#" marks the numbers. */
const CODE_27 =
  "#co_argcount #co_nlocals #co_stacksize #co_flags co_code co_consts co_names co_varnames co_freevars co_cellvars co_filename co_name #co_firstlineno co_lnotab";
const CODE_30 = CODE_27.replace("#co_nlocals", "#co_kwonlyargcount #co_nlocals");
const CODE_38 = CODE_30.replace("#co_kwonlyargcount", "#co_posonlyargcount #co_kwonlyargcount");
const CODE_311 =
  "#co_argcount #co_posonlyargcount #co_kwonlyargcount #co_stacksize #co_flags co_code co_consts co_names co_localsplusnames co_localspluskinds co_filename co_name co_qualname #co_firstlineno co_linetable co_exceptiontable";

/** `version`: 207, 306, … 314. */
function codeLayout(version: number): readonly string[] {
  const names = version < 300 ? CODE_27 : version < 308 ? CODE_30 : version < 311 ? CODE_38 : CODE_311;
  return names.split(" ");
}

/** Reads one object, and leaves the cursor behind it. Throws `input`, or `limit` for too many or too deep. */
export function readMarshal(cursor: Cursor, version: number): Node {
  const references: Node[] = [];
  /** Python 2 numbers its interned strings apart. */
  const interned: Node[] = [];
  let count = 0;

  const read = (depth: number): Node => {
    if (depth > MAX_DEPTH) throw new BitforbitError("limit", `${cursor.what}: nested more than ${MAX_DEPTH} deep`);
    if (++count > MAX_NODES) throw new BitforbitError("limit", `${cursor.what}: more than ${MAX_NODES} objects`);
    const at = cursor.at;
    const byte = cursor.u8();
    const node: Node = {
      type: String.fromCharCode(byte & ~MARK),
      marked: (byte & MARK) !== 0,
      at,
      end: at,
      children: [],
    };
    if (node.marked) references.push(node);
    const known = node.type === "R" ? interned : references;
    if (node.type === "t" && version < 300) interned.push(node);
    if (node.type === "c") codeOf(node, depth);
    else if (node.type === "r" || node.type === "R") {
      const index = cursor.u32();
      const target = known[index];
      if (target === undefined) cursor.fail(`a reference to object ${index} of ${known.length}`, at);
      node.target = target;
    } else {
      const items = rest(cursor, node.type);
      for (let index = 0; index < items; index++) node.children.push(read(depth + 1));
      if (node.type === "{") pairs(node, depth);
    }
    node.end = cursor.at;
    return node;
  };

  const pairs = (node: Node, depth: number): void => {
    for (;;) {
      const key = read(depth + 1);
      node.children.push(key);
      if (key.type === "0") return;
      node.children.push(read(depth + 1));
    }
  };

  const codeOf = (node: Node, depth: number): void => {
    node.code = { numbers: new Map(), objects: new Map() };
    for (const name of codeLayout(version)) {
      if (name.startsWith("#")) {
        node.code.numbers.set(name.slice(1), { at: cursor.at, value: cursor.i32() });
      } else {
        const child = read(depth + 1);
        node.children.push(child);
        node.code.objects.set(name, child);
      }
    }
  };
  return read(0);
}

/** Goes behind an object's own bytes; gives how many objects follow as its items. */
function rest(cursor: Cursor, type: string): number {
  switch (type) {
    case "0":
    case "N":
    case "F":
    case "T":
    case "S":
    case ".":
    case "{":
      return 0;
    case "i":
      cursor.skip(4);
      return 0;
    case "I":
    case "g":
      cursor.skip(8);
      return 0;
    case "y":
      cursor.skip(16);
      return 0;
    case "f":
      cursor.skip(cursor.u8());
      return 0;
    case "x":
      cursor.skip(cursor.u8());
      cursor.skip(cursor.u8());
      return 0;
    case "l":
      cursor.skip(Math.abs(cursor.i32()) * 2);
      return 0;
    case "s":
    case "t":
    case "u":
    case "a":
    case "A":
      cursor.skip(cursor.u32());
      return 0;
    case "z":
    case "Z":
      cursor.skip(cursor.u8());
      return 0;
    case ")":
      return cursor.u8();
    case ":":
      return 3;
    case "(":
    case "[":
    case "<":
    case ">": {
      const items = cursor.u32();
      if (items > cursor.left) cursor.fail(`${items} items`);
      return items;
    }
  }
  return cursor.fail(`an object of the type ${JSON.stringify(type)}`, cursor.at - 1);
}

export const TYPE_NAMES: Readonly<Record<string, string>> = {
  a: "ascii",
  A: "ascii, interned",
  z: "short ascii",
  Z: "short ascii, interned",
  u: "unicode",
  t: "unicode, interned",
  s: "bytes",
  "(": "tuple",
  ")": "small tuple",
  c: "code",
  r: "a reference to an earlier one",
  R: "a reference to an earlier one",
  i: "int",
  l: "long int",
  g: "float",
  y: "complex",
  "<": "set",
  ">": "frozenset",
  "[": "list",
  "{": "dict",
  N: "singleton",
  T: "singleton",
  F: "singleton",
  ".": "singleton",
};

/** The object itself, whatever refers to it. */
export function resolved(node: Node): Node {
  let found = node;
  // A reference leads to an object that came before, never to a reference.
  for (let steps = 0; found.target !== undefined && steps < 8; steps++) found = found.target;
  return found;
}

/** The bytes of a string or bytes object. */
export function stringBytes(cursor: Cursor, node: Node): Uint8Array {
  const head = headLength(node.type);
  return cursor.source.read(node.at + head, node.end - node.at - head);
}

/** Bytes before the characters: type and length. */
export function headLength(type: string): number {
  return "zZ)".includes(type) ? 2 : 5;
}

export function textOf(cursor: Cursor, node: Node): string {
  const found = resolved(node);
  if (!"sutaAzZ".includes(found.type)) return `<${TYPE_NAMES[found.type] ?? found.type}>`;
  return Buffer.from(stringBytes(cursor, found)).toString(found.type === "u" || found.type === "t" ? "utf8" : "latin1");
}

/** How Python would write it, at most `most` characters: references may multiply without end. */
export function literal(cursor: Cursor, node: Node, version: number, most = 160): string {
  const budget = { left: most };
  const text = written(cursor, node, version, budget, 0);
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function written(cursor: Cursor, reference: Node, version: number, budget: { left: number }, depth: number): string {
  if (budget.left <= 0 || depth > 20) return "…";
  const node = resolved(reference);
  const text = plain(cursor, node, version, budget.left);
  if (text !== undefined) {
    budget.left -= text.length;
    return text;
  }
  budget.left -= 2;
  const items: string[] = [];
  for (const child of node.children) {
    if (budget.left <= 0) {
      items.push("…");
      break;
    }
    if (child.type !== "0") items.push(written(cursor, child, version, budget, depth + 1));
  }
  // A frozenset's order is that of hashes, which are seeded by chance.
  if (node.type === ">") return `frozenset({${items.sort().join(", ")}})`;
  if (node.type === "<") return `{${items.sort().join(", ")}}`;
  if (node.type === "[") return `[${items.join(", ")}]`;
  if (node.type === ":") return `slice(${items.join(", ")})`;
  if (node.type === "{") return `{${items.join(", ")}}`;
  return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
}

function plain(cursor: Cursor, node: Node, version: number, most: number): string | undefined {
  const at = node.at + 1;
  const read = (length: number): DataView => {
    const bytes = cursor.source.read(at, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  };
  switch (node.type) {
    case "0":
      return "NULL";
    case "N":
      return "None";
    case "F":
      return "False";
    case "T":
      return "True";
    case "S":
      return "StopIteration";
    case ".":
      return "Ellipsis";
    case "i":
      return String(read(4).getInt32(0, true));
    case "I":
      return String(read(8).getBigInt64(0, true));
    case "g":
      return float(read(8).getFloat64(0, true));
    case "y":
      return `(${float(read(16).getFloat64(0, true))}+${float(read(16).getFloat64(8, true))}j)`;
    case "f":
      return Buffer.from(cursor.source.read(at + 1, node.end - at - 1)).toString("latin1");
    case "x":
      return `complex ${Buffer.from(cursor.source.read(at + 1, node.end - at - 1)).toString("latin1")}`;
    case "l":
      return long(read(node.end - at));
    case "c":
      return `<code ${codeName(cursor, node)}>`;
    case "s":
      return version < 300 ? quoted(textOf(cursor, node), most) : `b${quoted(textOf(cursor, node), most)}`;
    case "t":
    case "u":
    case "a":
    case "A":
    case "z":
    case "Z":
      return quoted(textOf(cursor, node), most);
  }
  return undefined;
}

function float(value: number): string {
  return Object.is(value, -0)
    ? "-0.0"
    : Number.isInteger(value) && Math.abs(value) < 1e16
      ? `${value}.0`
      : String(value);
}

/** Digits of 15 bits, least first; the sign is that of their count. Told in full up to a few hundred bits. */
function long(view: DataView): string {
  const count = view.getInt32(0, true);
  const digits = Math.abs(count);
  if (digits > 64) return `${count < 0 ? "-" : ""}<int of ${digits * 15} bits>`;
  let value = 0n;
  for (let index = digits - 1; index >= 0; index--) {
    value = (value << 15n) | BigInt(view.getUint16(4 + index * 2, true));
  }
  return String(count < 0 ? -value : value);
}

/** The qualified name where the version has it, otherwise the name. */
export function codeName(cursor: Cursor, node: Node): string {
  const name = node.code?.objects.get("co_qualname") ?? node.code?.objects.get("co_name");
  return name === undefined ? "?" : textOf(cursor, name).slice(0, 300);
}
