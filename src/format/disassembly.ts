import { createRequire } from "node:module";
import { hex } from "../bytes.ts";

/**
 * Machine code as text, by Capstone compiled to WebAssembly: an optional
 * package, loaded when the first program of a known machine is met. Without it
 * a function that differs is shown as bytes.
 */
export interface Instruction {
  address: number;
  size: number;
  mnemonic: string;
  operands: string;
}

/** Instructions of `code`, the first of which stands at `address`; bytes that are none become `.byte`. */
export type Disassemble = (code: Uint8Array, address: number) => Instruction[];

export type Architecture = "x86-64" | "x86" | "arm64" | "arm" | "riscv64" | "ppc64" | "ppc64le" | "s390x";

/** What of Capstone's own declarations is used here; it ships none. */
interface Capstone {
  Capstone: new (architecture: number, mode: number) => CapstoneHandle;
  [constant: string]: unknown;
}

interface CapstoneHandle {
  option(name: number, value: number): void;
  disasm(code: Uint8Array, address: number, most?: number): CapstoneInstruction[];
}

interface CapstoneInstruction {
  address: number | bigint;
  size: number;
  mnemonic: string;
  op_str: string;
}

/** Bytes shown of what is no code. */
const MOST_RAW = 64;
const PACKAGE = "@alexaltea/capstone-js";
const SETTINGS: Readonly<Record<Architecture, readonly [string, readonly string[]]>> = {
  "x86-64": ["ARCH_X86", ["MODE_64"]],
  x86: ["ARCH_X86", ["MODE_32"]],
  arm64: ["ARCH_ARM64", ["MODE_LITTLE_ENDIAN"]],
  arm: ["ARCH_ARM", ["MODE_LITTLE_ENDIAN"]],
  riscv64: ["ARCH_RISCV", ["MODE_RISCV64", "MODE_RISCVC"]],
  ppc64: ["ARCH_PPC", ["MODE_64", "MODE_BIG_ENDIAN"]],
  ppc64le: ["ARCH_PPC", ["MODE_64", "MODE_LITTLE_ENDIAN"]],
  s390x: ["ARCH_SYSZ", ["MODE_BIG_ENDIAN"]],
};

let loading: Promise<Capstone | undefined> | undefined;
const ready = new Map<Architecture, Disassemble>();

/** Gives undefined where the package is not installed. */
export async function disassembler(architecture: Architecture): Promise<Disassemble | undefined> {
  const known = ready.get(architecture);
  if (known !== undefined) return known;
  const capstone = await (loading ??= load());
  if (capstone === undefined) return undefined;
  const [kind, modes] = SETTINGS[architecture];
  const constant = (name: string): number => Number(capstone[name]);
  // A mode's number may be the sign bit: big-endian.
  const mode = modes.reduce((sum, name) => sum | constant(name), 0);
  const handle = new capstone.Capstone(constant(kind), mode);
  handle.option(constant("OPT_SKIPDATA"), 1);
  const disassemble: Disassemble = (code, address) => {
    if (code.length === 0) return [];
    try {
      return handle.disasm(code, address).map(plain);
    } catch {
      // Capstone throws, a string at that, where it finds no instruction at all.
      return [{ address, size: code.length, mnemonic: ".byte", operands: hex(code.subarray(0, MOST_RAW)) }];
    }
  };
  ready.set(architecture, disassemble);
  return disassemble;
}

function plain(instruction: CapstoneInstruction): Instruction {
  return {
    address: Number(instruction.address),
    size: instruction.size,
    mnemonic: instruction.mnemonic,
    operands: instruction.op_str,
  };
}

async function load(): Promise<Capstone | undefined> {
  try {
    // Not import(): for that Node reads 330 kB of CommonJS for the names that it may export.
    const make = createRequire(import.meta.url)(PACKAGE) as () => Promise<Capstone>;
    return await make();
  } catch {
    // Not installed, or no WebAssembly: the bytes are shown instead.
    return undefined;
  }
}
