import { type Dex, DexReader } from "./dex-file.ts";
import { type Opcode, OPCODES } from "./dex-opcodes.ts";
import { encodedArray } from "./dex-values.ts";
import { quoted } from "./listing.ts";

/**
 * The instructions of a method as lines (Android, "Dalvik bytecode"): operands
 * by what they lead to, jumps by labels numbered in the order of the code,
 * cases and array elements behind the instruction that uses them. Which of
 * several lengths a jump or a string's number is written in only follows from
 * distances and numbers, and is not told.
 */
interface Instruction {
  /** In code units, as all distances. */
  pc: number;
  size: number;
  text: string;
  /** Where it leads, in the place of "@" in the text or behind it. */
  target?: Target;
  /** Of a switch or of filling an array: where its table stands. */
  table?: number;
  payload?: Payload;
}

interface Target {
  kind: string;
  pc: number;
  /** Of a case. */
  value?: number;
}

interface Payload {
  cases: { value: number; distance: number }[];
  elements: string[];
}

/** A method's code item: what its header says, and where its pieces stand. */
export interface CodeItem {
  at: number;
  registers: number;
  ins: number;
  outs: number;
  tries: number;
  debugAt: number;
  /** Code units. */
  units: number;
  end: number;
}

const HEADER = 16;
/** Of one handler. */
const MAX_CATCHES = 2048;

export function codeItem(dex: Dex, at: number): CodeItem {
  const { file } = dex;
  const [registers, ins, outs, tries] = [file.u16(at), file.u16(at + 2), file.u16(at + 4), file.u16(at + 6)];
  const units = file.u32(at + 12);
  file.check(at + HEADER, units * 2);
  const item = { at, registers, ins, outs, tries, debugAt: file.u32(at + 8), units, end: at + HEADER + units * 2 };
  if (tries === 0) return item;
  // Tries are aligned to four bytes.
  const reader = new DexReader(file, handlersAt(item));
  for (let count = reader.uleb(); count > 0; count--) handlerOf(dex, reader);
  return { ...item, end: reader.at };
}

function triesAt({ at, units }: CodeItem): number {
  return at + HEADER + units * 2 + (units % 2) * 2;
}

function handlersAt(item: CodeItem): number {
  return triesAt(item) + item.tries * 8;
}

interface Handler {
  catches: { type: string; pc: number }[];
}

function handlerOf(dex: Dex, reader: DexReader): Handler {
  const catches: Handler["catches"] = [];
  const size = reader.sleb();
  if (Math.abs(size) > MAX_CATCHES) dex.file.fail(reader.at, `a handler of ${Math.abs(size)} types`);
  for (let index = 0; index < Math.abs(size); index++) {
    catches.push({ type: dex.type(reader.uleb()), pc: reader.uleb() });
  }
  if (size <= 0) catches.push({ type: "any", pc: reader.uleb() });
  return { catches };
}

interface Try {
  from: number;
  to: number;
  handler: Handler | undefined;
}

function triesOf(dex: Dex, item: CodeItem): Try[] {
  if (item.tries === 0) return [];
  const base = handlersAt(item);
  const reader = new DexReader(dex.file, base);
  const handlers = new Map<number, Handler>();
  for (let count = reader.uleb(); count > 0; count--) handlers.set(reader.at - base, handlerOf(dex, reader));
  return Array.from({ length: item.tries }, (_, index) => {
    const at = triesAt(item) + index * 8;
    const from = dex.file.u32(at);
    return { from, to: from + dex.file.u16(at + 4), handler: handlers.get(dex.file.u16(at + 6)) };
  });
}

/** Labels of a method: a place may have several, of several kinds. */
class Labels {
  readonly #names = new Map<string, string>();
  readonly #at = new Map<number, string[]>();

  constructor(wanted: readonly Target[]) {
    const counts = new Map<string, number>();
    for (const { kind, pc, value } of wanted.toSorted((a, b) => a.pc - b.pc)) {
      const key = `${kind} ${pc}`;
      if (this.#names.has(key)) continue;
      // A case is known by its first value: another case before it changes nothing.
      const base = value === undefined ? kind : `${kind}_${value}`;
      const count = (counts.get(base) ?? 0) + 1;
      counts.set(base, count);
      const name = value !== undefined && count === 1 ? base : `${base}_${count}`;
      this.#names.set(key, name);
      this.#at.set(pc, [...(this.#at.get(pc) ?? []), name]);
    }
  }

  name(kind: string, pc: number): string {
    return this.#names.get(`${kind} ${pc}`) ?? "?";
  }

  at(pc: number): readonly string[] {
    return this.#at.get(pc) ?? [];
  }

  take(pc: number): readonly string[] {
    const found = this.at(pc);
    this.#at.delete(pc);
    return found;
  }

  /** Places that no instruction begins at. */
  left(): [number, readonly string[]][] {
    return [...this.#at];
  }
}

/** The listing of instructions, tries and handlers. Throws `input` for code that is cut off. */
export function* codeLines(dex: Dex, item: CodeItem): Iterable<string> {
  const instructions = instructionsOf(dex, item);
  const payloads = new Map(instructions.flatMap((each) => (each.payload ? [[each.pc, each.payload] as const] : [])));
  const used = new Set<number>();
  const targets: Target[] = [];
  for (const { pc, target, table } of instructions) {
    if (target !== undefined) targets.push(target);
    if (table === undefined || !payloads.has(table)) continue;
    used.add(table);
    for (const { value, distance } of payloads.get(table)?.cases ?? []) {
      targets.push({ kind: "case", pc: pc + distance, value });
    }
  }
  const tries = triesOf(dex, item);
  for (const { from, to } of tries) {
    targets.push({ kind: "try", pc: from }, { kind: "try_end", pc: to });
  }
  // Tries share handlers.
  for (const handler of new Set(tries.map((each) => each.handler))) {
    for (const { pc } of handler?.catches ?? []) targets.push({ kind: "catch", pc });
  }
  const labels = new Labels(targets);
  for (const [index, each] of instructions.entries()) {
    const found = labels.take(each.pc);
    // What only brings the table behind it to a multiple of four.
    if (found.length === 0 && each.text === "nop" && instructions[index + 1]?.payload !== undefined) continue;
    for (const label of found) yield `${label}:`;
    if (each.payload === undefined) {
      const to = each.target === undefined ? "" : labels.name(each.target.kind, each.target.pc);
      yield `  ${each.text}${to}`;
      if (each.table !== undefined) yield* payloadLines(payloads.get(each.table), each.pc, labels);
    } else if (!used.has(each.pc)) {
      yield `  ${each.text}`;
      yield* payloadLines(each.payload, undefined, labels);
    }
  }
  for (const [pc, names] of labels.left())
    yield `${names.join(" ")}: ${pc === item.units ? "the end" : "no instruction"}`;
  for (const { from, to, handler } of tries) {
    const caught = handler?.catches.map(({ type, pc }) => `${type} at ${labels.name("catch", pc)}`) ?? ["?"];
    yield `from ${labels.name("try", from)} to ${labels.name("try_end", to)} catch ${caught.join(", ")}`;
  }
}

function* payloadLines(payload: Payload | undefined, pc: number | undefined, labels: Labels): Iterable<string> {
  if (payload === undefined) return yield "    no table";
  for (const { value, distance } of payload.cases) {
    yield `    ${value}: ${pc === undefined ? `+${distance}` : labels.name("case", pc + distance)}`;
  }
  for (let at = 0; at < payload.elements.length; at += 8) yield `    ${payload.elements.slice(at, at + 8).join(" ")}`;
}

function instructionsOf(dex: Dex, item: CodeItem): Instruction[] {
  const code = new Units(dex, item);
  const instructions: Instruction[] = [];
  while (code.pc < item.units) instructions.push(instruction(dex, code));
  return instructions;
}

/** Code units one after another, within the method's. */
class Units {
  readonly #dex: Dex;
  readonly #base: number;
  readonly #end: number;
  pc = 0;

  constructor(dex: Dex, item: CodeItem) {
    this.#dex = dex;
    this.#base = item.at + HEADER;
    this.#end = item.units;
    dex.file.spend(item.units);
  }

  next(): number {
    if (this.pc >= this.#end) this.fail("an instruction that is cut off");
    return this.#dex.file.view.getUint16(this.#base + this.pc++ * 2, true);
  }

  signed(): number {
    return (this.next() << 16) >> 16;
  }

  u32(): number {
    const low = this.next();
    return low + this.next() * 0x10000;
  }

  i32(): number {
    return this.u32() | 0;
  }

  get left(): number {
    return this.#end - this.pc;
  }

  fail(found: string): never {
    return this.#dex.file.fail(this.#base + this.pc * 2, found);
  }
}

function instruction(dex: Dex, code: Units): Instruction {
  const pc = code.pc;
  const unit = code.next();
  const opcode = OPCODES[unit & 0xff] ?? { name: "?", format: "10x" };
  const high = unit >> 8;
  const payload = (unit & 0xff) === 0 && high >= 1 && high <= 3 ? payloadOf(code, high) : undefined;
  if (payload !== undefined) return { pc, size: code.pc - pc, text: "table", payload };
  return { pc, size: 0, ...operands(dex, code, opcode, high, pc) };
}

type Operands = Pick<Instruction, "text" | "target" | "table">;

function operands(dex: Dex, code: Units, opcode: Opcode, high: number, pc: number): Operands {
  const { name, format } = opcode;
  const [a, b] = [high & 15, high >> 4];
  const plain = (...parts: (string | number)[]): Operands => ({ text: [name, parts.join(", ")].join(" ").trimEnd() });
  const jump = (distance: number, ...parts: string[]): Operands => {
    const kind = name.startsWith("if") ? "if" : "goto";
    return { text: `${plain(...parts).text}${parts.length > 0 ? "," : ""} `, target: { kind, pc: pc + distance } };
  };
  switch (format) {
    case "12x":
      return plain(`v${a}`, `v${b}`);
    case "11n":
      return plain(`v${a}`, (high << 24) >> 28);
    case "11x":
      return plain(`v${high}`);
    case "10t":
      return jump((high << 24) >> 24);
    case "20t":
      return jump(code.signed());
    case "30t":
      return jump(code.i32());
    case "22x":
      return plain(`v${high}`, `v${code.next()}`);
    case "32x":
      return plain(`v${code.next()}`, `v${code.next()}`);
    case "21t":
      return jump(code.signed(), `v${high}`);
    case "22t":
      return jump(code.signed(), `v${a}`, `v${b}`);
    case "21s":
      return plain(`v${high}`, code.signed());
    case "21h":
      return plain(`v${high}`, name === "const/high16" ? code.signed() * 0x10000 : `${BigInt(code.signed()) << 48n}`);
    case "21c":
      return plain(`v${high}`, indexed(dex, opcode, code.next()));
    case "31c":
      return plain(`v${high}`, indexed(dex, opcode, code.u32()));
    case "22c":
      return plain(`v${a}`, `v${b}`, indexed(dex, opcode, code.next()));
    case "22q":
      return plain(`v${a}`, `v${b}`, `offset ${code.next()}`);
    case "23x":
    case "22b": {
      const unit = code.next();
      const last = format === "23x" ? `v${unit >> 8}` : (unit << 16) >> 24;
      return plain(`v${high}`, `v${unit & 0xff}`, last);
    }
    case "22s":
      return plain(`v${a}`, `v${b}`, code.signed());
    case "31i":
      return plain(`v${high}`, code.i32());
    case "31t":
      return { ...plain(`v${high}`), table: pc + code.i32() };
    case "51l":
      return plain(`v${high}`, String(BigInt.asIntN(64, BigInt(code.u32()) | (BigInt(code.u32()) << 32n))));
    case "35c":
    case "35q":
    case "45cc":
      return call(dex, code, opcode, high);
    case "3rc":
    case "3rq":
    case "4rcc":
      return range(dex, code, opcode, high);
  }
  // Of an instruction without operands, what stands in their place is zero.
  return high === 0 ? plain() : plain(`(${high})`);
}

function call(dex: Dex, code: Units, opcode: Opcode, high: number): Operands {
  const index = code.next();
  const registers = code.next();
  const numbers = [registers & 15, (registers >> 4) & 15, (registers >> 8) & 15, registers >> 12, high & 15];
  const named = numbers.slice(0, high >> 4).map((number) => `v${number}`);
  return called(dex, code, opcode, `{${named.join(", ")}}`, index);
}

function range(dex: Dex, code: Units, opcode: Opcode, count: number): Operands {
  const index = code.next();
  const first = code.next();
  const registers = count === 0 ? "{}" : `{v${first} .. v${first + count - 1}}`;
  return called(dex, code, opcode, registers, index);
}

function called(dex: Dex, code: Units, opcode: Opcode, registers: string, index: number): Operands {
  const prototype = opcode.format.startsWith("4") ? `, ${dex.prototype(code.next())}` : "";
  const target = opcode.index === undefined ? `entry ${index}` : indexed(dex, opcode, index);
  return { text: `${opcode.name} ${registers}, ${target}${prototype}` };
}

function indexed(dex: Dex, { index: kind }: Opcode, index: number): string {
  if (kind === "string") return quoted(dex.string(index));
  if (kind === "type") return dex.type(index);
  if (kind === "field") return dex.field(index);
  if (kind === "method") return dex.method(index);
  if (kind === "prototype") return dex.prototype(index);
  return kind === "method handle" ? dex.methodHandle(index) : callSite(dex, index);
}

/** A call site by its values: the linker, the name, the type, and what else it is given. */
export function callSite(dex: Dex, index: number): string {
  return dex.cached("c", index, () => {
    const at = dex.callSiteAt(index);
    if (at === undefined) return `<no call site ${index}>`;
    const [linker = "", ...rest] = encodedArray(dex, new DexReader(dex.file, at));
    // What it is given counts: the linker's own prototype is always the same.
    const values = [linker.replace(/^method handle |\(.*/gs, ""), ...rest].join(", ");
    return `call site (${values.length > 600 ? `${values.slice(0, 600)}…` : values})`;
  });
}

function payloadOf(code: Units, kind: number): Payload {
  const width = kind === 3 ? code.next() : 0;
  const count = kind === 3 ? code.u32() : code.next();
  const units = kind === 1 ? 2 + count * 2 : kind === 2 ? count * 4 : Math.ceil((count * width) / 2);
  if (units > code.left) code.fail(`a table of ${count} rows`);
  if (kind === 3) return { cases: [], elements: elementsOf(code, width, count) };
  const first = kind === 1 ? code.i32() : 0;
  const values = Array.from({ length: count }, (_, index) => (kind === 1 ? first + index : code.i32()));
  return { cases: values.map((value) => ({ value, distance: code.i32() })), elements: [] };
}

/** Elements of an array by their width; as signed numbers. */
function elementsOf(code: Units, width: number, count: number): string[] {
  if (width !== 1 && width !== 2 && width !== 4 && width !== 8) {
    if (width === 0 || count === 0) return [`${count} of ${width} bytes`];
    for (let left = Math.ceil((count * width) / 2); left > 0; left--) code.next();
    return [`${count} of ${width} bytes`];
  }
  const elements: string[] = [];
  for (let index = 0; index < count; index++) {
    if (width === 8) elements.push(String(BigInt.asIntN(64, BigInt(code.u32()) | (BigInt(code.u32()) << 32n))));
    else if (width === 4) elements.push(String(code.i32()));
    else if (width === 2) elements.push(String(code.signed()));
    else {
      const unit = code.next();
      elements.push(String((unit << 24) >> 24));
      if (++index < count) elements.push(String((unit << 16) >> 24));
    }
  }
  return elements;
}
