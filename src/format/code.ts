import type { ByteSource } from "../bytesource.ts";
import type { Architecture, Disassemble, Instruction } from "./disassembly.ts";
import type { Part } from "./part.ts";
import type { SymbolMap } from "./symbol-map.ts";

/**
 * Machine code cut by function, for every program format. A function's text
 * names targets instead of telling their addresses, so that what only moved
 * reads the same on both sides: `call puts@plt`, `lea rdi, [rip + "hello"]`,
 * `je .+0x12` for a jump within the function.
 */
export interface CodeView {
  map: SymbolMap;
  architecture: Architecture | undefined;
  disassemble: Disassemble | undefined;
  /** What stands at an address that has no name: a string's text, a section's name. */
  describe(address: number): string | undefined;
  /** The name that a relocation of an object file puts between two addresses. */
  relocated?(from: number, to: number): string | undefined;
  /** Bytes that may still be disassembled; what is over is shown as bytes only. */
  budget: { bytes: number };
}

/** A function's code that is shown as text, at most. */
export const MAX_FUNCTION: number = 64 << 10;
export const TEXT_BUDGET: number = 16 << 20;
const MAX_PADDING = 256;

/** The functions in `length` bytes at `offset`, which are loaded at `address`; lazily, in order. */
export function* codeParts(
  source: ByteSource,
  offset: number,
  length: number,
  address: number,
  view: CodeView,
): Generator<Part> {
  const { map } = view;
  const code = { source, view };
  let done = 0;
  let lastName: string | undefined;
  for (let index = map.first(address); index < map.size; index++) {
    const start = map.address(index) - address;
    if (start >= length) return;
    if (!map.isCode(index)) continue;
    const next = nextCode(map, index + 1) - address;
    const stated = map.sizeOf(index);
    const end = Math.min(length, next, stated === 0 ? Infinity : start + stated);
    if (start < done || end <= start) continue;
    if (start > done && start - done <= MAX_PADDING) yield paddingPart(offset + done, start - done);
    const name = map.name(index);
    if (name !== undefined) lastName = name;
    // Without names of their own, neighbours of a known function are told by it.
    const key =
      name === undefined ? (lastName === undefined ? "function" : `function after ${lastName}`) : `function ${name}`;
    yield functionPart(key, code, offset + start, end - start, address + start);
    done = end;
  }
}

function nextCode(map: SymbolMap, from: number): number {
  let index = from;
  while (index < map.size && !map.isCode(index)) index++;
  return map.address(index);
}

function paddingPart(offset: number, length: number): Part {
  return { key: "padding", kind: "padding", offset, length };
}

/** A function's bytes. Its listing is made of what it carries along: a closure each would fill the memory. */
interface FunctionPart extends Part {
  code: { source: ByteSource; view: CodeView };
  at: number;
  address: number;
  text?: string;
}

function functionPart(key: string, code: FunctionPart["code"], offset: number, length: number, address: number): Part {
  const part: Part = { key, kind: "bytes", offset, length };
  if (code.view.disassemble === undefined) return part;
  const shown: FunctionPart = { ...part, code, at: offset, address, show: showFunction, compare: compareFunctions };
  return shown;
}

function showFunction(this: Part): string {
  const part = this as FunctionPart;
  return (part.text ??= functionText(part.code.source, part.at, part.length, part.address, part.code.view));
}

function compareFunctions(this: Part, other: Part): string | undefined {
  if (this.length !== other.length || this.show === undefined || other.show === undefined) return undefined;
  const text = this.show();
  return text !== "" && text === other.show() ? "the same instructions: only addresses differ" : undefined;
}

/** One instruction a line. Empty when it is too long, or the budget is spent. */
function functionText(source: ByteSource, offset: number, length: number, address: number, view: CodeView): string {
  if (view.disassemble === undefined || length > MAX_FUNCTION || length > view.budget.bytes) return "";
  view.budget.bytes -= length;
  // A copy: the disassembler's memory is not ours.
  const code = source.read(offset, length).slice();
  const pages = new Map<string, number>();
  return view
    .disassemble(code, address)
    .map((instruction) => instructionText(instruction, address, length, view, pages))
    .join("\n");
}

function instructionText(
  instruction: Instruction,
  start: number,
  length: number,
  view: CodeView,
  pages: Map<string, number>,
): string {
  const { mnemonic, address, size } = instruction;
  const relocated = view.relocated?.(address, address + size);
  const line = (operands: string): string => `${mnemonic.padEnd(7)} ${operands}`.trimEnd();
  if (relocated !== undefined) return line(withoutNumber(instruction.operands, relocated));
  const target = (to: number): string => targetText(to, address, start, length, view);
  if (view.architecture === "arm64") return line(arm64Operands(instruction, pages, target));
  return line(x86Operands(instruction, target));
}

/** What the linker fills in is nothing yet: its name stands in its place. */
function withoutNumber(operands: string, name: string): string {
  if (/^#?(?:0x)?[0-9a-f]+$/i.test(operands)) return name;
  if (/\[rip[^\]]*\]/.test(operands)) return operands.replace(/\[rip[^\]]*\]/, `[rip + ${name}]`);
  return `${operands}  ; ${name}`;
}

function targetText(to: number, here: number, start: number, length: number, view: CodeView): string {
  if (to >= start && to < start + length) {
    const distance = to - here;
    return distance < 0 ? `.-0x${(-distance).toString(16)}` : `.+0x${distance.toString(16)}`;
  }
  const found = view.map.at(to);
  if (found !== undefined) return found.offset === 0 ? found.name : `${found.name}+0x${found.offset.toString(16)}`;
  return view.describe(to) ?? `0x${to.toString(16)}`;
}

const BRANCH = /^(?:j[a-z]+|call|bnd (?:jmp|call)|loop[a-z]*|xbegin|notrack jmp)$/;

function x86Operands(instruction: Instruction, target: (to: number) => string): string {
  const { operands, mnemonic, address, size } = instruction;
  if (BRANCH.test(mnemonic) && /^(?:0x)?[0-9a-f]+$/.test(operands)) return target(Number(operands));
  return operands.replace(/\[rip(?: ([+-]) (?:(0x[0-9a-f]+)|([0-9]+)))?\]/, (_, sign, hex, decimal) => {
    const distance = Number(hex ?? decimal ?? 0);
    return `[rip + ${target(address + size + (sign === "-" ? -distance : distance))}]`;
  });
}

/** An address is made of two: `adrp` gives the page, the next use of that register the rest. */
function arm64Operands(instruction: Instruction, pages: Map<string, number>, target: (to: number) => string): string {
  const { operands, mnemonic } = instruction;
  const page = mnemonic === "adrp" ? /^(x[0-9]+), #?(0x[0-9a-f]+|[0-9]+)$/.exec(operands) : null;
  if (page !== null) {
    pages.set(page[1] ?? "", Number(page[2]));
    return `${page[1]}, page`;
  }
  const last = /^(.*?)#(0x[0-9a-f]+|[0-9]+)$/.exec(operands);
  if (/^(?:b|bl|b\.[a-z]+|cbn?z|tbn?z|adr)$/.test(mnemonic) && last !== null) {
    return `${last[1]}${target(Number(last[2]))}`;
  }
  const add = mnemonic === "add" ? /^(x[0-9]+), (x[0-9]+), #(0x[0-9a-f]+|[0-9]+)$/.exec(operands) : null;
  const base = add === null ? undefined : pages.get(add[2] ?? "");
  if (add !== null && base !== undefined) return `${add[1]}, ${add[2]}, ${target(base + Number(add[3]))}`;
  const memory = /^(.*)\[(x[0-9]+)(?:, #(0x[0-9a-f]+|[0-9]+))?\]$/.exec(operands);
  const from = memory === null ? undefined : pages.get(memory[2] ?? "");
  if (memory !== null && from !== undefined) return `${memory[1]}[${target(from + Number(memory[3] ?? 0))}]`;
  return operands;
}
