import { type Dex, DexReader } from "./dex-file.ts";

/**
 * A method's debug information (Android, "Dalvik executable format",
 * debug_info_item): the first line, the parameters' names, then a program of
 * opcodes that steps through addresses and lines and opens and closes locals.
 * Told in steps, so that what is moved changes one line at most.
 */
const END = 0x00;
const ADVANCE_PC = 0x01;
const ADVANCE_LINE = 0x02;
const START_LOCAL = 0x03;
const START_LOCAL_EXTENDED = 0x04;
const END_LOCAL = 0x05;
const RESTART_LOCAL = 0x06;
const SET_PROLOGUE_END = 0x07;
const SET_EPILOGUE_BEGIN = 0x08;
const SET_FILE = 0x09;
/** Of the opcodes from here on each is a step of both, and a place in the source. */
const FIRST_SPECIAL = 0x0a;
const LINE_BASE = -4;
const LINE_RANGE = 15;

/** Where the item ends. Throws `input` when it does not. */
export function debugEnd(dex: Dex, at: number): number {
  const reader = new DexReader(dex.file, at);
  const operands = {
    [ADVANCE_PC]: 1,
    [ADVANCE_LINE]: 1,
    [START_LOCAL]: 3,
    [START_LOCAL_EXTENDED]: 4,
    [END_LOCAL]: 1,
    [RESTART_LOCAL]: 1,
    [SET_FILE]: 1,
  } as Readonly<Record<number, number>>;
  reader.uleb();
  for (let count = reader.uleb(); count > 0; count--) reader.uleb();
  for (let opcode = reader.u8(); opcode !== END; opcode = reader.u8()) {
    for (let count = operands[opcode] ?? 0; count > 0; count--) reader.uleb();
  }
  return reader.at;
}

export function* debugLines(dex: Dex, at: number): Iterable<string> {
  const reader = new DexReader(dex.file, at);
  const named = (index: number): string => (index < 0 ? "unnamed" : dex.name(index));
  yield `line ${reader.uleb()}`;
  const parameters = reader.uleb();
  for (let index = 1; index <= parameters; index++) yield `parameter ${index} ${named(reader.uleb1())}`;
  let address = 0;
  let line = 0;
  const after = (): string => {
    const units = address;
    address = 0;
    return units === 0 ? "" : `after ${units} units: `;
  };
  const type = (index: number): string => (index < 0 ? "untyped" : dex.type(index));
  for (let opcode = reader.u8(); opcode !== END; opcode = reader.u8()) {
    if (opcode === ADVANCE_PC) address += reader.uleb();
    else if (opcode === ADVANCE_LINE) line += reader.sleb();
    else if (opcode === START_LOCAL || opcode === START_LOCAL_EXTENDED) {
      const local = `v${reader.uleb()} is ${named(reader.uleb1())} ${type(reader.uleb1())}`;
      yield `${after()}${local}${opcode === START_LOCAL ? "" : ` ${named(reader.uleb1())}`}`;
    } else if (opcode === END_LOCAL) yield `${after()}v${reader.uleb()} ends`;
    else if (opcode === RESTART_LOCAL) yield `${after()}v${reader.uleb()} again`;
    else if (opcode === SET_PROLOGUE_END) yield `${after()}prologue ends`;
    else if (opcode === SET_EPILOGUE_BEGIN) yield `${after()}epilogue begins`;
    else if (opcode === SET_FILE) yield `${after()}file ${named(reader.uleb1())}`;
    else {
      const step = opcode - FIRST_SPECIAL;
      line += LINE_BASE + (step % LINE_RANGE);
      address += Math.floor(step / LINE_RANGE);
      yield `${after()}line ${line < 0 ? "" : "+"}${line}`;
      line = 0;
    }
  }
}
