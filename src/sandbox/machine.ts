/**
 * A build on a virtual machine of its own, which runs inside the sandbox of a build: QEMU sees what the build would see,
 * as the build's user, without network, within the same bounds, and hands it to its guest read-only. What the build may
 * write the guest has in memory, and gives back at the end. So whoever breaks out of the machine is in the sandbox.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { cpioArchive } from "../format/cpio-write.ts";
import type { Lack, MachineTold, World } from "../world.ts";
import type { HostAbilities } from "./host.ts";
import { PARTS_FOLDER, planOf } from "./machine-plan.ts";
import { type MachineParts, machineParts } from "./machine-parts.ts";
import { kvmNode, kvmWorks } from "./machine-kvm.ts";
import { LINKER } from "./machine-emulator.ts";
import { runSandboxed, type SandboxResult, type SandboxSpec } from "./sandbox.ts";
import { scratchFolder } from "./scratch.ts";
import { delay, signalOf } from "./supervise.ts";

export type MachineResult = SandboxResult & { told?: MachineTold };

/** What the emulator itself takes, besides the memory of its guest. */
const OWN_MEMORY = 1 << 30;
const LEAST_MEMORY = 512 * 2 ** 20;
/** A machine without KVM translates every instruction. */
const SLOWER = { kvm: 2, tcg: 30 };
/** Seconds to start in, besides the build's own. */
const START = { kvm: 60, tcg: 600 };

/**
 * Runs `spec` on the virtual machine that its world asks for. Where there can be none it runs in the sandbox, as without,
 * and the result says so as a lack.
 */
export async function runOnMachine(spec: SandboxSpec, host: HostAbilities): Promise<MachineResult> {
  const { machine: _, ...plain } = spec.world;
  const parts = await partsFor(spec, host);
  if ("lack" in parts) {
    const ran = await runSandboxed({ ...spec, world: plain }, host);
    return { ...ran, lacks: [...ran.lacks, parts.lack] };
  }
  await delay(spec.world.startDelay, spec.signal);
  const folder = await mkdtemp(join(await scratchFolder(host), "machine-"));
  try {
    await chmod(folder, 0o755);
    const kvm = await usableKvm(parts, spec, host, folder);
    const accelerator = kvm === undefined ? "tcg" : "kvm";
    const timeoutSeconds = spec.limits.timeoutSeconds * SLOWER[accelerator] + START[accelerator];
    return await runWith({ ...parts, kvm, timeoutSeconds }, spec, host, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function lack(what: string, remedy: string): { lack: Lack } {
  return { lack: { what: `no virtual machine: ${what}`, remedy, causes: ["machine"] } };
}

const inside = (name: string): string => `${PARTS_FOLDER}/${name}`;

async function partsFor(spec: SandboxSpec, host: HostAbilities): Promise<MachineParts | { lack: Lack }> {
  if (process.arch !== "x64") return lack(`none for ${process.arch} yet`, "check on x86-64 as well");
  if (spec.network !== "none") return lack("it would have no network", "check without the recording as well");
  const parts = await machineParts(host);
  return "missing" in parts ? lack(parts.missing, parts.remedy) : parts;
}

interface Start extends MachineParts {
  /** A node of /dev/kvm; undefined: the machine is emulated. */
  kvm: string | undefined;
  timeoutSeconds: number;
}

/** Seconds: a machine that works has started and ended in two. */
const TRIAL = 12;

let kvmTried: Promise<string | undefined> | undefined;

/** A node by which a machine has really started, in this very way; tried once. */
function usableKvm(
  parts: MachineParts,
  spec: SandboxSpec,
  host: HostAbilities,
  folder: string,
): Promise<string | undefined> {
  kvmTried ??= (async () => {
    const kvm = await kvmNode(host);
    if (kvm === undefined) return undefined;
    const trial = join(folder, "trial");
    const { onOutput: _, beforeStart: __, trace: ___, signal: ____, ...rest } = spec;
    const nothing = { ...rest, mounts: [], command: ["/bin/true"], directory: "/tmp", log: join(folder, "trial.log") };
    const starts = async (): Promise<boolean> => {
      await mkdir(trial, { mode: 0o755 });
      const start = { ...parts, kvm, timeoutSeconds: TRIAL };
      const ran = await runWith(start, nothing, host, trial).catch(() => undefined);
      return ran?.outcome === "exited" && ran.exitCode === 0;
    };
    return (await kvmWorks(parts.cache, starts)) ? kvm : undefined;
  })();
  return kvmTried;
}

async function runWith(parts: Start, spec: SandboxSpec, host: HostAbilities, folder: string): Promise<MachineResult> {
  const answer = join(folder, "answer");
  const boot = join(folder, "boot");
  await mkdir(answer, { mode: 0o700 });
  await mkdir(boot, { mode: 0o755 });
  const trees = spec.mounts.filter(({ writable }) => writable);
  await writeFile(join(boot, "initrd"), initialRoot(parts, spec, host, trees), { mode: 0o644 });
  const memory = memoryOf(spec);
  const { beforeStart, trace: _, ...rest } = spec;
  const ran = await runSandboxed(
    {
      ...rest,
      world: around(spec.world),
      command: command(parts, spec, host, memory, trees),
      directory: inside("boot"),
      mounts: [
        ...spec.mounts,
        { from: parts.emulator.folder, to: inside("emulator"), writable: false },
        { from: parts.kernel.folder, to: inside("kernel"), writable: false },
        { from: boot, to: inside("boot"), writable: false },
        { from: answer, to: inside("answer"), writable: true },
      ],
      environment: { QEMU_MODULE_DIR: inside("emulator/modules") },
      ...(parts.kvm === undefined ? {} : { devices: [{ from: parts.kvm, to: "/dev/kvm" }] }),
      ...(beforeStart === undefined ? {} : { beforeStart }),
      limits: {
        ...spec.limits,
        timeoutSeconds: parts.timeoutSeconds,
        memoryBytes: memory + OWN_MEMORY,
        processes: Math.max(spec.limits.processes, 512),
      },
    },
    host,
  );
  const lacks = [...ran.lacks, ...(spec.trace === undefined ? [] : [NOT_TRACED]), ...slowness(parts)];
  if (ran.outcome !== "exited" && ran.outcome !== "signalled") return { ...ran, lacks };
  const told = await answerIn(answer, spec.log);
  const signal = signalOf(told.exitCode);
  return {
    ...ran,
    outcome: signal === undefined ? "exited" : "signalled",
    ...(signal === undefined ? {} : { signal }),
    exitCode: told.exitCode,
    lacks,
    told: told.machine,
  };
}

const NOT_TRACED: Lack = { what: "a build on a virtual machine is not traced", remedy: "trace it without", causes: [] };

/** Emulated, a machine has the features of the emulator's choice; it is a lack of speed only, and said. */
function slowness({ kvm }: Start): Lack[] {
  if (kvm !== undefined) return [];
  return [
    {
      what: "the virtual machine is emulated, and slow: KVM cannot be used",
      remedy: "run where /dev/kvm can be opened and works",
      causes: [],
    },
  ];
}

/** As much as the world says and the recipe's limit lets it have. */
function memoryOf({ world, limits }: SandboxSpec): number {
  const wished = world.machine?.memoryBytes ?? LEAST_MEMORY;
  return Math.max(LEAST_MEMORY, Math.min(wished, limits.memoryBytes));
}

/** The world in which the emulator runs: what the guest varies by itself is left as it is there. */
function around(world: World): World {
  const { machine: _, kernel: __, memoryShown: ___, firstPid: ____, random: _____, schedule: ______, ...rest } = world;
  const held = world.clockHeld === undefined ? { clockOffset: 0 } : {};
  return { ...rest, ...held, startDelay: 0, environment: {}, aslr: true };
}

function initialRoot(
  { kernel, programs, modules }: MachineParts,
  spec: SandboxSpec,
  host: HostAbilities,
  trees: readonly { to: string }[],
): Uint8Array {
  const names = kernel.modules.map((name) => `modules/${name}`);
  return cpioArchive([
    { path: "modules", mode: 0o40755, content: new Uint8Array() },
    ...modules.map((content, index) => ({ path: names[index] ?? "", mode: 0o100644, content })),
    { path: "init", mode: 0o100755, content: programs.init },
    { path: "enter", mode: 0o100755, content: programs.enter },
    { path: "plan", mode: 0o100600, content: planOf(spec, host, names, trees) },
  ]);
}

/** A folder of the sandbox's, under this name. */
function shared(tag: string, path: string, readOnly: boolean): string[] {
  return [
    "-fsdev",
    `local,id=${tag},path=${path.replaceAll(",", ",,")},security_model=none,multidevs=remap${readOnly ? ",readonly=on" : ""}`,
    "-device",
    `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`,
  ];
}

/** No network device, no disk, no display: a processor, memory, a clock, a console, and folders. */
function command(
  parts: Start,
  { world }: SandboxSpec,
  host: HostAbilities,
  memory: number,
  trees: readonly { to: string }[],
): string[] {
  const since = (world.clockHeld ?? Math.floor(systemClock.now() / 1000)) + world.clockOffset;
  return [
    inside(`emulator/${LINKER}`),
    "--library-path",
    inside("emulator/lib"),
    inside("emulator/qemu"),
    "-no-user-config",
    "-nodefaults",
    "-no-reboot",
    "-display",
    "none",
    "-monitor",
    "none",
    "-serial",
    "stdio",
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-L",
    inside("emulator/data"),
    "-machine",
    "pc,usb=off",
    "-accel",
    parts.kvm === undefined ? "tcg,thread=multi,tb-size=256" : "kvm",
    "-cpu",
    processorOf(world, parts.kvm !== undefined),
    "-smp",
    String(Math.max(1, world.cpus ?? host.cpus.length)),
    "-m",
    `${Math.floor(memory / 2 ** 20)}M`,
    "-rtc",
    `base=${new Date(since * 1000).toISOString().slice(0, 19)}`,
    "-kernel",
    inside(`kernel/${parts.kernel.image}`),
    "-initrd",
    inside("boot/initrd"),
    "-append",
    "console=ttyS0 quiet loglevel=1 panic=-1 random.trust_cpu=on",
    ...shared("root", "/", true),
    ...shared("answer", inside("answer"), false),
    ...trees.flatMap(({ to }, index) => shared(`tree${index}`, to, false)),
  ];
}

/** A name that no processor has. */
export const PROCESSOR_NAME = "Quorvex Thelmion 4711 rev 93";

function processorOf({ machine }: World, kvm: boolean): string {
  if (machine?.processor === "full") return kvm ? "host,-arch-capabilities" : "max,la57=off";
  return `Nehalem,model-id=${PROCESSOR_NAME}`;
}

/** What the first process in the machine wrote at its end; the build cannot reach that folder. */
async function answerIn(folder: string, log: string): Promise<{ exitCode: number; machine: MachineTold }> {
  const text = await readFile(join(folder, "told"), "latin1").catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  });
  const fields = new Map(
    text
      .slice(0, 4096)
      .split("\n")
      .map((line) => [line.split(" ", 1)[0] ?? "", line.slice(line.indexOf(" ") + 1)]),
  );
  const [code, failed] = [fields.get("exit"), fields.get("failed")];
  if (code === undefined || !/^\d{1,3}$/.test(code)) {
    const said = (await readFile(log, "latin1").catch(() => "")).trim().slice(-500);
    throw new BitforbitError("lacking", `the virtual machine ended without an answer: ${failed ?? said}`, {
      hint: "it may need more memory (limits.memory), or check without it",
    });
  }
  return {
    exitCode: Number(code),
    machine: {
      release: fields.get("release") ?? "",
      version: fields.get("version") ?? "",
      totalKiB: Number(fields.get("total") ?? 0),
      processor: fields.get("processor") ?? "",
    },
  };
}
