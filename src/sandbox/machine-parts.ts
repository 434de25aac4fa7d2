/** What a virtual machine is made of, found or made once a process. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { defaultCache, type HostAbilities } from "./host.ts";
import { type Emulator, emulator } from "./machine-emulator.ts";
import { machineInit } from "./machine-init.ts";
import { type MachineKernel, machineKernel } from "./machine-kernel.ts";

export interface MachineParts {
  emulator: Emulator;
  kernel: MachineKernel;
  /** Of the kernel, in the order in which they are loaded. */
  modules: readonly Uint8Array[];
  programs: { init: Uint8Array; enter: Uint8Array };
  /** Where this machine keeps what it makes once. */
  cache: string;
}

export interface MissingPart {
  missing: string;
  remedy: string;
}

let found: Promise<MachineParts | MissingPart> | undefined;

export function machineParts(host: HostAbilities): Promise<MachineParts | MissingPart> {
  found ??= find(host);
  return found;
}

async function find(host: HostAbilities): Promise<MachineParts | MissingPart> {
  const cache = defaultCache(host.isolation);
  const qemu = await emulator(cache);
  if (qemu === undefined) {
    return { missing: "QEMU is not installed", remedy: "apt-get install --no-install-recommends qemu-system-x86" };
  }
  const [init, enter] = await Promise.all([
    machineInit(cache),
    host.enter === undefined ? undefined : readFile(host.enter),
  ]);
  if (init === undefined || enter === undefined || isDynamic(enter)) {
    return { missing: "its first program cannot be compiled", remedy: "apt-get install gcc libc6-dev" };
  }
  const kernel = await machineKernel(cache);
  if (kernel === undefined) {
    return {
      missing: "there is no kernel with 9p for it",
      remedy: "apt-get update, so that linux-image-amd64 can be fetched, or apt-get install it",
    };
  }
  const modules = await Promise.all(
    kernel.modules.map(async (name) => new Uint8Array(await readFile(join(kernel.folder, name)))),
  );
  return {
    emulator: qemu,
    kernel,
    modules,
    programs: { init, enter: new Uint8Array(enter) },
    cache,
  };
}

/** Whether an ELF program of 64 bits asks for a dynamic linker (PT_INTERP), which the machine's first root lacks. */
function isDynamic(program: Buffer): boolean {
  const [table, size, many] = [Number(program.readBigUInt64LE(32)), program.readUInt16LE(54), program.readUInt16LE(56)];
  return Array.from({ length: many }, (_, index) => program.readUInt32LE(table + index * size)).includes(3);
}
