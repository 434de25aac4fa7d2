import type { Cursor } from "./cursor.ts";
import { literal, type Node, resolved, stringBytes, textOf } from "./marshal.ts";
import { BINARY_OPERATORS, COMPARISONS, type Opcodes } from "./python-opcodes.ts";

/**
 * CPython's bytecode as lines: operands by what they lead to, jumps by labels
 * in the order of the code, inline caches and EXTENDED_ARG folded away. From
 * 3.6 on an instruction is two bytes; 2.7's are of one or three.
 */
interface Instruction {
  at: number;
  text: string;
  target: number | undefined;
}

interface Code {
  cursor: Cursor;
  node: Node;
  version: number;
  opcodes: Opcodes;
}

export function bytecodeLines(cursor: Cursor, node: Node, version: number, opcodes: Opcodes): string[] {
  const object = node.code?.objects.get("co_code");
  if (object === undefined) return [];
  const bytes = stringBytes(cursor, resolved(object));
  const code = { cursor, node, version, opcodes };
  const found = version < 300 ? instructions27(bytes, code) : instructions(bytes, code);
  const labels = new Map<number, string>();
  const targets = found.flatMap(({ target }) => (target === undefined ? [] : [target]));
  for (const at of [...new Set(targets)].sort((a, b) => a - b)) labels.set(at, `L${labels.size + 1}`);
  return found.flatMap(({ at, text, target }) => {
    const label = labels.get(at);
    const line = `  ${text}${target === undefined ? "" : ` to ${labels.get(target) ?? "?"}`}`;
    return label === undefined ? [line] : [`${label}:`, line];
  });
}

function instructions(bytes: Uint8Array, code: Code): Instruction[] {
  const found: Instruction[] = [];
  let extended = 0;
  let start = -1;
  for (let at = 0; at + 1 < bytes.length;) {
    const opcode = bytes[at] ?? 0;
    const name = code.opcodes.names[opcode] ?? `opcode ${opcode}`;
    const argument = ((extended << 8) | (bytes[at + 1] ?? 0)) >>> 0;
    if (start < 0) start = at;
    at += 2;
    if (name === "EXTENDED_ARG") {
      extended = argument;
      continue;
    }
    const caches = code.opcodes.caches[name] ?? 0;
    const target = jumpTarget(name, argument, at, caches, code.version);
    const takes = opcode >= code.opcodes.argumentFrom && target === undefined;
    found.push({ at: start, text: takes ? `${name} ${operand(name, argument, code)}` : name, target });
    at += caches * 2;
    extended = 0;
    start = -1;
  }
  return found;
}

function instructions27(bytes: Uint8Array, code: Code): Instruction[] {
  const found: Instruction[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const opcode = bytes[at++] ?? 0;
    const name = code.opcodes.names[opcode] ?? `opcode ${opcode}`;
    if (opcode < code.opcodes.argumentFrom) {
      found.push({ at: start, text: name, target: undefined });
      continue;
    }
    const argument = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    at += 2;
    const target = jumpTarget(name, argument, at, 0, code.version);
    found.push({ at: start, text: target === undefined ? `${name} ${operand(name, argument, code)}` : name, target });
  }
  return found;
}

const RELATIVE =
  /^(?:FOR_ITER|JUMP_FORWARD|JUMP_BACKWARD|JUMP_BACKWARD_NO_INTERRUPT|SEND|SETUP_\w+|CALL_FINALLY|POP_JUMP_(?:FORWARD|BACKWARD)_IF_\w+)$/;
const ABSOLUTE_ONCE = /^(?:JUMP_IF_\w+|POP_JUMP_IF_\w+)$/;

/** `next`: where the following instruction begins, its caches not counted. Jumps count words from 3.10 on. */
function jumpTarget(name: string, argument: number, next: number, caches: number, version: number): number | undefined {
  const distance = version >= 310 ? argument * 2 : argument;
  if (name === "JUMP_ABSOLUTE" || name === "CONTINUE_LOOP") return distance;
  if (name === "SETUP_ANNOTATIONS" || name === "JUMP_IF_NOT_EXC_MATCH") {
    return name === "SETUP_ANNOTATIONS" ? undefined : distance;
  }
  if (ABSOLUTE_ONCE.test(name)) return version < 311 ? distance : next + caches * 2 + distance;
  if (name === "END_ASYNC_FOR" && version >= 314) return next - distance;
  if (!RELATIVE.test(name)) return undefined;
  return name.includes("BACKWARD") ? next + caches * 2 - distance : next + caches * 2 + distance;
}

function operand(name: string, argument: number, code: Code): string {
  const { version } = code;
  if (/^(?:LOAD_CONST|RETURN_CONST|KW_NAMES)$/.test(name)) {
    const constant = item(code, "co_consts", argument);
    return constant === undefined ? String(argument) : literal(code.cursor, constant, version);
  }
  if (name === "LOAD_GLOBAL" && version >= 311) return flagged(code, argument, 1, "NULL");
  if (name === "LOAD_ATTR" && version >= 312) return flagged(code, argument, 1, "method");
  if (name === "LOAD_SUPER_ATTR")
    return `${nameOf(code, argument >> 2)}${["", " method", " two arguments", " method, two arguments"][argument & 3]}`;
  if (/_(?:NAME|GLOBAL|ATTR|METHOD|ANNOTATION)$|^IMPORT_FROM$|_OR_GLOBALS$/.test(name) && name !== "CALL_METHOD") {
    return nameOf(code, argument);
  }
  if (/^(?:LOAD|STORE)_FAST(?:_BORROW)?_(?:LOAD|STORE)_FAST(?:_BORROW)?$/.test(name)) {
    return `${local(code, argument >> 4)}, ${local(code, argument & 15)}`;
  }
  if (/_FAST(?:_CHECK|_AND_CLEAR|_BORROW)?$/.test(name)) return local(code, argument);
  if (/_(?:DEREF|CLASSDEREF|CLOSURE)$|^MAKE_CELL$/.test(name)) return cell(code, argument);
  if (name === "COMPARE_OP") return comparison(argument, version);
  if (name === "BINARY_OP") return BINARY_OPERATORS[argument] ?? String(argument);
  if (name === "IS_OP") return argument === 0 ? "is" : "is not";
  if (name === "CONTAINS_OP") return argument === 0 ? "in" : "not in";
  return String(argument);
}

function comparison(argument: number, version: number): string {
  const shift = version >= 313 ? 5 : version === 312 ? 4 : 0;
  const truth = version >= 313 && (argument & 16) !== 0 ? " as bool" : "";
  return `${COMPARISONS[argument >> shift] ?? argument}${truth}`;
}

function flagged(code: Code, argument: number, bits: number, what: string): string {
  return `${nameOf(code, argument >> bits)}${(argument & 1) === 0 ? "" : ` + ${what}`}`;
}

function item({ node }: Code, name: string, index: number): Node | undefined {
  const list = node.code?.objects.get(name);
  return list === undefined ? undefined : resolved(list).children[index];
}

function textAt(code: Code, list: string, index: number): string | undefined {
  const found = item(code, list, index);
  return found === undefined ? undefined : textOf(code.cursor, found).slice(0, 300);
}

function nameOf(code: Code, index: number): string {
  return textAt(code, "co_names", index) ?? String(index);
}

function local(code: Code, index: number): string {
  return textAt(code, code.version >= 311 ? "co_localsplusnames" : "co_varnames", index) ?? String(index);
}

/** Cells come first, then what is free; from 3.11 on they are numbered with the locals. */
function cell(code: Code, index: number): string {
  if (code.version >= 311) return local(code, index);
  const cells = code.node.code?.objects.get("co_cellvars");
  const count = cells === undefined ? 0 : resolved(cells).children.length;
  const found = index < count ? textAt(code, "co_cellvars", index) : textAt(code, "co_freevars", index - count);
  return found ?? String(index);
}
