import { accessSync, constants, existsSync, globSync, readFileSync, statSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../child.ts";
import { systemEntropy } from "../entropy.ts";
import { BitforbitError } from "../errors.ts";
import { byteOrder } from "../order.ts";
import { namesIn } from "../tree.ts";
import type { Lack } from "../world.ts";
import { type Cgroups, findCgroups, sweepCgroups } from "./cgroup.ts";
import { clockShiftLibrary } from "./clock-shift.ts";
import { enterProgram } from "./enter.ts";
import { firstPidProgram } from "./first-pid.ts";
import { starterProgram } from "./starter-source.ts";
import { type Locales, compiledLocales } from "./locale.ts";

/**
 * How the build's processes are kept from ours:
 * `user`: bubblewrap in a user namespace of the ordinary user that we are;
 * `dropped`: we are root, and give the build an unprivileged kernel uid of its own, then a user namespace;
 * `root`: we are root and user namespaces are forbidden: the build gives up every capability but stays real.
 */
export type Isolation = "user" | "dropped" | "root";

/** What this machine can do for a sandbox; found once a process. */
export interface HostAbilities {
  isolation: Isolation;
  /** Folders that may stand for memory and process limits, when we may write there. */
  cgroups: Cgroups;
  /**
   * How directory order is made the world's: by answering getdents ourselves, which needs `enter`, else by
   * disorderfs over the build path; undefined: it stays the file system's own.
   */
  ordering: "notifications" | "disorderfs" | undefined;
  /** Our own library that shifts the wall clock; undefined without a C compiler. */
  clockShift: string | undefined;
  /** Our own program that prepares a sandbox in one step; undefined without a C compiler, then several do it. */
  enter: string | undefined;
  /** Our own program that starts sandboxes, quicker than a large process can; undefined without a C compiler. */
  starter: string | undefined;
  /** Our own program that has the build's processes numbered from elsewhere; undefined without a C compiler. */
  firstPid: string | undefined;
  /** libfaketime's thread-safe library, for want of our own; undefined when it is not installed. */
  faketime: string | undefined;
  /** Whether setarch may switch address space randomisation off. */
  aslrOff: boolean;
  /** File descriptors that our own caller left open for any child: they are closed before a build. */
  inherited: readonly number[];
  /** CPUs that this process may run on, ascending. */
  cpus: readonly number[];
  locales: Locales | undefined;
  /** /usr/share/zoneinfo is there, so that named zones mean something. */
  zones: boolean;
  lacks: readonly Lack[];
}

export interface ProbeOptions {
  /** Folder for what is compiled once a machine; it must be readable by everyone when we are root. */
  cache?: string;
}

/** First kernel uid of the range that root gives to builds: far above people's and subordinate uids. */
const FIRST_BUILD_UID = 2_000_000_000;
const BUILD_UIDS = 100_000_000;

/** A kernel uid that nobody else on this machine is likely to have now. */
export function freshBuildUid(): number {
  const bytes = systemEntropy.bytes(4);
  return FIRST_BUILD_UID + (Buffer.from(bytes).readUInt32LE(0) % BUILD_UIDS);
}

const O_CLOEXEC = 0o2000000;

let probed: Promise<HostAbilities> | undefined;

/**
 * Finds out what this machine can do, by doing it; the answer is kept for the
 * life of the process. Throws `lacking` when no sandbox is possible at all.
 */
export function probeHost(options: ProbeOptions = {}): Promise<HostAbilities> {
  probed ??= probe(options).catch((error: unknown) => {
    probed = undefined;
    throw error;
  });
  return probed;
}

async function probe(options: ProbeOptions): Promise<HostAbilities> {
  const lacks: Lack[] = [];
  const isolation = await findIsolation(lacks);
  const cache = options.cache ?? defaultCache(isolation);
  const [aslrOff, locales, clockShift, starter, firstPid, [enter, ordering]] = await Promise.all([
    canSwitchAslrOff(lacks),
    compiledLocales(cache, lacks),
    clockShiftLibrary(cache),
    starterProgram(cache),
    firstPidProgram(cache),
    enterProgram(cache).then(async (program) => [program, await findOrdering(isolation, program, lacks)] as const),
  ]);
  const faketime = clockShift === undefined ? findFaketime(lacks) : undefined;
  const cgroups = findCgroups(lacks);
  await sweepCgroups(cgroups);
  const zones = existsSync("/usr/share/zoneinfo/Pacific/Marquesas");
  if (!zones) {
    lacks.push({
      what: "no time zone data in /usr/share/zoneinfo",
      remedy: "apt-get install tzdata",
      causes: ["timezone"],
    });
  }
  const cpus = allowedCpus();
  if (cpus.length < 2) {
    lacks.push({
      what: "only one CPU may be used",
      remedy: "run on a machine with two CPUs or more",
      causes: ["cpu-count"],
    });
  }
  const inherited = await inheritedDescriptors(lacks);
  return {
    isolation,
    cgroups,
    ordering,
    clockShift,
    enter,
    starter,
    firstPid,
    faketime,
    aslrOff,
    inherited,
    cpus,
    locales,
    zones,
    lacks,
  };
}

/** Where what is made once a machine lies, unless a probe was told otherwise. */
export function defaultCache(isolation: Isolation): string {
  if (isolation !== "user") return "/var/cache/bitforbit";
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "bitforbit");
}

const TRIAL = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"];

async function works(command: readonly string[]): Promise<boolean> {
  try {
    const [program = "", ...args] = command;
    return (await run(program, args, { timeoutMilliseconds: 10_000 })).exitCode === 0;
  } catch {
    return false;
  }
}

/** The command prefix by which root becomes the kernel user `uid`, for good. */
export function asUid(uid: number): string[] {
  return ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--no-new-privs"];
}

async function findIsolation(lacks: Lack[]): Promise<Isolation> {
  const root = process.getuid?.() === 0;
  if (process.platform !== "linux") {
    throw new BitforbitError("lacking", `builds need Linux, and this is ${process.platform}`);
  }
  if (!(await works(["bwrap", "--version"]))) {
    throw new BitforbitError("lacking", "bubblewrap is not installed", { hint: "apt-get install bubblewrap" });
  }
  if (root && (await works([...asUid(freshBuildUid()), ...TRIAL]))) return "dropped";
  if (!root && (await works(TRIAL))) return "user";
  if (root && (await works(["bwrap", "--unshare-pid", ...TRIAL.slice(2)]))) {
    lacks.push({
      what: "unprivileged user namespaces are off: builds run as root without capabilities",
      remedy: usernsRemedy(),
      causes: ["user"],
    });
    return "root";
  }
  throw new BitforbitError("lacking", "this machine does not let us make namespaces", { hint: usernsRemedy() });
}

function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

function usernsRemedy(): string {
  if (sysctl("kernel.unprivileged_userns_clone") === "0") return "sysctl -w kernel.unprivileged_userns_clone=1";
  if (sysctl("kernel.apparmor_restrict_unprivileged_userns") === "1") {
    return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if (sysctl("user.max_user_namespaces") === "0") return "sysctl -w user.max_user_namespaces=10000";
  return "allow unprivileged user namespaces (in a container: run it with --privileged)";
}

async function canSwitchAslrOff(lacks: Lack[]): Promise<boolean> {
  if (await works(["setarch", "-R", "true"])) return true;
  lacks.push({
    what: "address space randomisation cannot be switched off",
    remedy: "apt-get install util-linux, and allow personality(2)",
    causes: ["aslr"],
  });
  return false;
}

async function findOrdering(
  isolation: Isolation,
  enter: string | undefined,
  lacks: Lack[],
): Promise<HostAbilities["ordering"]> {
  if (enter !== undefined && (await canAnswer(enter, isolation))) return "notifications";
  if (await canMirror(isolation)) return "disorderfs";
  lacks.push({
    what: "directory order is the file system's own: getdents cannot be answered by us, and disorderfs cannot be mounted",
    remedy:
      enter === undefined
        ? "apt-get install gcc libc6-dev, or disorderfs"
        : "use Linux 5.9 or later where seccomp and ptrace are allowed, or apt-get install disorderfs and modprobe fuse",
    causes: ["readdir-order"],
  });
  return undefined;
}

/** Lists a directory backwards in a trial sandbox, by the way that a build goes. */
async function canAnswer(enter: string, isolation: Isolation): Promise<boolean> {
  const uid = isolation === "dropped" ? String(freshBuildUid()) : "0";
  const trial = isolation === "root" ? ["bwrap", "--unshare-pid", ...TRIAL.slice(2, -1)] : TRIAL.slice(0, -1);
  const steps = ["order", "reversed", uid, ...(isolation === "dropped" ? ["uid", uid] : [])];
  try {
    const listed = await run(enter, [...steps, "--", ...trial, "ls", "-aU", "/dev"], { timeoutMilliseconds: 10_000 });
    const names = Buffer.from(listed.stdout).toString("latin1").trimEnd().split("\n");
    return (
      listed.exitCode === 0 && names.length > 2 && names.join("\n") === names.toSorted(byteOrder).reverse().join("\n")
    );
  } catch {
    return false;
  }
}

/** Whether disorderfs can be mounted: as root, or inside our own user namespace. */
export async function canMirror(isolation: Isolation): Promise<boolean> {
  if (!(await works(["disorderfs", "--version"]))) return false;
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
  } catch {
    return false;
  }
  return isolation !== "user" || (await works(["unshare", "-Urm", "true"]));
}

function findFaketime(lacks: Lack[]): string | undefined {
  const found = [
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
  ]
    .flatMap((pattern) => globSync(pattern).sort())
    .filter((path) => isNative(path));
  if (found[0] !== undefined) return found[0];
  lacks.push({ what: "the clock cannot be shifted", remedy: "apt-get install gcc, or libfaketime", causes: ["clock"] });
  return undefined;
}

/** With foreign architectures there is a library for each: ours lies in our own multiarch folder. */
function isNative(path: string): boolean {
  const machine = { x64: "x86_64", arm64: "aarch64", s390x: "s390x", ppc64: "powerpc64le", riscv64: "riscv64" }[
    process.arch as string
  ];
  const folder = path.split("/")[3] ?? "";
  return machine === undefined || folder === "faketime" || folder.startsWith(machine);
}

/** Node opens nothing that a child inherits; what is open for children came from whoever started us. */
async function inheritedDescriptors(lacks: Lack[]): Promise<number[]> {
  const open: number[] = [];
  for (const name of await namesIn("/proc/self/fdinfo")) {
    try {
      const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, "utf8"))?.[1] ?? "0";
      if (Number(name) > 2 && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0) open.push(Number(name));
    } catch {
      // The descriptor by which the folder was read.
    }
  }
  if (open.length === 0 || existsSync("/bin/bash")) return open;
  lacks.push({
    what: "open files of the caller stay open in the build",
    remedy: "install bash",
    causes: ["environment"],
  });
  return [];
}

/** CPUs that we may run on: sched_setaffinity(2), from /proc/self/status. */
function allowedCpus(): number[] {
  const listed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  const cpus = listed.split(",").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return cpus.length > 0 ? cpus : Array.from({ length: availableParallelism() }, (_, index) => index);
}

/** Whether a stranger can reach and read `path`: every folder above it lets others through. */
export function isReachable(path: string): boolean {
  const stats = statSync(path);
  const needed = stats.isDirectory() ? 0o5 : 0o4;
  if ((stats.mode & needed) !== needed) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o1) === 0) return false;
    if (folder === "/") return true;
  }
}
