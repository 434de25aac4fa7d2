import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { join, posix } from "node:path";
import { BitforbitError } from "../errors.ts";
import type { Lack, World } from "../world.ts";
import { warmCgroups } from "./cgroup.ts";
import { orderLacks } from "./directory-order.ts";
import { freshBuildUid, type HostAbilities } from "./host.ts";
import { startLacks, unansweredLacks } from "./notification-lacks.ts";
import { FIRST_FILE_FD, launch, type LaunchPlan, type Shown } from "./launch.ts";
import { BoundedLog } from "./log.ts";
import { DiskWatch } from "./monitor.ts";
import { networkConfiguration } from "./network.ts";
import { givePipe, takePipe } from "./pipe.ts";
import { rootOf } from "./root.ts";
import { readableByAll, scratchFolder } from "./scratch.ts";
import { delay, type Resources, supervise, type Supervised } from "./supervise.ts";
import { memoryShown, processors } from "./world-files.ts";

export interface Mount {
  /** Absolute path on this machine. What is writable is given to the build's own uid when we are root. */
  from: string;
  /** Absolute path inside. */
  to: string;
  writable: boolean;
}

export interface SandboxLimits {
  timeoutSeconds: number;
  memoryBytes: number;
  /** Processes and threads at one time. */
  processes: number;
  /** Growth of all writable mounts together; also the size of the largest file. */
  diskBytes: number;
  logBytes: number;
}

/**
 * `none`: no network. `proxied`: none either, but the caller's registry
 * configuration for the whole machine is there: `beforeStart` has somebody
 * listen inside. `host`: this machine's network, with the caller's proxies,
 * certificates and registry configuration.
 */
export type Network = "none" | "proxied" | "host";

export interface SandboxSpec {
  world: World;
  /** Folder of a locked root, shown instead of this machine's own system folders, and never written. */
  root?: string;
  command: readonly string[];
  /** Working directory inside. */
  directory: string;
  mounts: readonly Mount[];
  /** Further paths of this machine to show at their own place, read-only: toolchains. */
  hostPaths?: readonly string[];
  /** Complete, besides what the sandbox sets: HOME, USER, LOGNAME, SHELL, TZ, LANG, LC_ALL, TMPDIR, and PATH unless given. */
  environment: Readonly<Record<string, string>>;
  /** Small files to show read-only, by their path inside; content is copied. */
  files?: readonly { to: string; content: Uint8Array }[];
  network: Network;
  limits: SandboxLimits;
  /** File that takes stdout and stderr, together, bounded by `limits.logBytes`. */
  log: string;
  onOutput?: (line: string) => void;
  /** File that takes a record of what the build runs, reads and writes, for `readTrace`. */
  trace?: string;
  /** Device nodes of this machine to show, by their path inside. */
  devices?: readonly { from: string; to: string }[];
  /**
   * Awaited when the sandbox stands and its command has not begun. `pid`: its
   * first process, as this machine counts. A rejection ends the run.
   */
  beforeStart?: (pid: number) => Promise<void>;
  signal?: AbortSignal;
}

export type Outcome = "exited" | "signalled" | "timeout" | "memory" | "processes" | "disk" | "cancelled";

export interface SandboxResult {
  outcome: Outcome;
  /** As a shell would say it: 128 and the signal's number when a signal ended the command. */
  exitCode: number | undefined;
  signal?: string;
  milliseconds: number;
  /** Bytes: as the control group counted, otherwise the highest that polling saw. */
  peakMemory?: number;
  logTruncated: boolean;
  lacks: Lack[];
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Runs one command in one world and waits until every process that it started
 * has ended. The command's own failure is a value. Throws `input` for a spec
 * that makes no sense, `lacking` when the sandbox itself does not start.
 */
export async function runSandboxed(spec: SandboxSpec, host: HostAbilities): Promise<SandboxResult> {
  checkSpec(spec);
  const lacks = [...host.lacks, ...lacksOf(spec.world, host), ...environmentLacks(spec)];
  if (!answersCalls(host)) lacks.push(...unansweredLacks(spec.world, shiftsClock(spec)));
  await delay(spec.world.startDelay, spec.signal);
  if (spec.signal?.aborted === true) {
    new BoundedLog(spec.log, 0).end();
    return { outcome: "cancelled", exitCode: undefined, milliseconds: 0, logTruncated: false, lacks };
  }
  warmCgroups(host.cgroups);
  const scratch = await scratchFolder(host);
  const runFolder = mkdtempSync(join(scratch, "run-"));
  if (host.isolation !== "user") chmodSync(runFolder, 0o711);
  const [pipe, gate] = await Promise.all([takePipe(join(scratch, "pipes")), takePipe(join(scratch, "pipes"))]);
  const log = new BoundedLog(spec.log, spec.limits.logBytes, spec.onOutput);
  try {
    const { orderAccount, numbered, ...result } = await runIn(spec, host, { scratch, runFolder, pipe, gate, log });
    if (answersCalls(host))
      lacks.push(...orderLacks(orderAccount, result.outcome), ...startLacks(orderAccount, spec.world));
    if (!numbered) lacks.push(NOT_NUMBERED);
    return { ...result, lacks };
  } finally {
    givePipe(pipe);
    givePipe(gate);
    rmSync(runFolder, { recursive: true, force: true });
  }
}

function checkSpec(spec: SandboxSpec): void {
  for (const path of [spec.directory, spec.world.buildPath, spec.world.user.home, ...spec.mounts.map(({ to }) => to)]) {
    if (!posix.isAbsolute(path) || posix.normalize(path) !== path || path === "/") {
      throw new BitforbitError("input", `not an absolute, plain path inside the sandbox: ${JSON.stringify(path)}`);
    }
  }
  for (const { from } of spec.mounts) {
    if (!existsSync(from)) throw new BitforbitError("input", `nothing to mount at ${JSON.stringify(from)}`);
  }
  for (const [name, value] of Object.entries(spec.environment)) {
    if (!/^[^=\0]+$/.test(name) || value.includes("\0")) {
      throw new BitforbitError("input", `not an environment variable: ${JSON.stringify(name)}`);
    }
  }
  for (const [name, value] of Object.entries(spec.limits)) {
    if (!Number.isSafeInteger(value) || value <= 0)
      throw new BitforbitError("input", `not a limit: ${name} = ${value}`);
  }
  if (spec.command.length === 0) throw new BitforbitError("input", "no command to run");
}

const NOT_NUMBERED: Lack = {
  what: "the build's processes are numbered from 1 in every world",
  remedy: "let /proc/sys/kernel/ns_last_pid be written (a container: --privileged), and install a C compiler",
  causes: ["pid"],
};

/** The dynamic linkers of musl and of the GNU C library. */
const LINKERS: Readonly<Record<string, readonly [musl: string, gnu: string]>> = {
  x64: ["lib/ld-musl-x86_64.so.1", "lib64/ld-linux-x86-64.so.2"],
  arm64: ["lib/ld-musl-aarch64.so.1", "lib/ld-linux-aarch64.so.1"],
  riscv64: ["lib/ld-musl-riscv64.so.1", "lib/ld-linux-riscv64-lp64d.so.1"],
  s390x: ["lib/ld-musl-s390x.so.1", "lib/ld64.so.1"],
};

/** Whether the programs of a root use musl: variables of the GNU C library mean nothing there. */
function isMusl(root: string): boolean {
  const [musl, gnu] = LINKERS[process.arch] ?? [];
  if (musl === undefined || gnu === undefined) return false;
  return existsSync(join(root, musl)) && !existsSync(join(root, gnu));
}

function environmentLacks({ world, root = "/" }: SandboxSpec): Lack[] {
  const { MALLOC_PERTURB_: fill, GLIBC_TUNABLES: tunables } = world.environment;
  const lacks: Lack[] = [];
  if (world.clockHeld !== undefined && isMusl(root)) {
    lacks.push({
      what: "file times of the build are the real ones: the environment's C library takes no library of ours (musl)",
      remedy: "clamp file times when packing, or build in an environment with the GNU C library",
      causes: ["mtime"],
    });
  }
  if ((fill !== undefined || tunables !== undefined) && isMusl(root)) {
    lacks.push({
      what: "the environment's C library neither fills memory nor hides processor features (musl)",
      remedy: "check in an environment with the GNU C library as well",
      causes: ["uninitialised", "cpu-model"],
    });
  }
  if (tunables !== undefined && process.arch !== "x64") {
    lacks.push({
      what: `the processor's features cannot be hidden on ${process.arch}`,
      remedy: "check on x86-64 as well",
      causes: ["cpu-model"],
    });
  }
  return lacks;
}

function lacksOf(world: World, host: HostAbilities): Lack[] {
  const lacks: Lack[] = [];
  if (host.ordering === "notifications" && host.enter === undefined) {
    lacks.push({
      what: "directory order is the file system's own",
      remedy: "install a C compiler",
      causes: ["readdir-order"],
    });
  }
  if (world.clockHeld !== undefined && host.clockShift === undefined) {
    lacks.push({
      what: "the clock and file times cannot be held still",
      remedy: "install a C compiler",
      causes: ["clock", "mtime"],
    });
  }
  if (world.cpus !== undefined && world.cpus > host.cpus.length && host.cpus.length > 1) {
    lacks.push({
      what: `the world has ${world.cpus} CPUs and this machine ${host.cpus.length}`,
      remedy: "run on a machine with more CPUs",
      causes: ["cpu-count"],
    });
  }
  if (world.firstPid !== undefined && host.firstPid === undefined) lacks.push(NOT_NUMBERED);
  if (world.load !== undefined && host.enter === undefined) {
    lacks.push({ what: "nothing of ours can work beside the build", remedy: "install a C compiler", causes: ["load"] });
  }
  return lacks;
}

/**
 * Whether a process of ours answers the build's calls: directory order, traces, randomness, delays, and the clock of
 * programs that do not use the C library. What it could not do after all is a lack of the run.
 */
export function answersCalls(host: HostAbilities): boolean {
  return host.ordering === "notifications" && host.enter !== undefined;
}

/** Not where the network is, whose certificates are valid now. */
function shiftsClock({ world, network }: SandboxSpec): boolean {
  return network !== "host" && (world.clockOffset !== 0 || world.clockHeld !== undefined);
}

async function runIn(spec: SandboxSpec, host: HostAbilities, resources: Resources): Promise<Supervised> {
  const uid = host.isolation === "dropped" ? freshBuildUid() : undefined;
  const writable = spec.mounts.filter((mount) => mount.writable).map(({ from }) => from);
  const owner = uid ?? (host.isolation === "root" ? spec.world.user.uid : undefined);
  const disk = new DiskWatch(writable, spec.limits.diskBytes);
  const network = spec.network === "host" ? networkConfiguration(spec.world.user.home) : undefined;
  const files = [...(network?.files ?? []), ...(spec.files ?? [])];
  const shown = shownIn(spec, host, network?.paths ?? []);
  const { scratch, runFolder } = resources;
  const root = await rootOf({ spec, host, scratch, runFolder, uid, shown, files, networkPaths: network?.paths ?? [] });
  const plan = (): LaunchPlan => ({
    world: spec.world,
    host,
    uid,
    runFolder,
    shown,
    layers: root.layers,
    tree: root.tree,
    before: [
      ...root.args,
      ...skeleton(spec, host),
      ...(spec.devices ?? []).flatMap(({ from, to }) => ["--dev-bind", from, to]),
      ...processors(spec.world, host, runFolder),
      ...memoryShown(spec.world, runFolder),
    ],
    after: [
      ...files.flatMap(({ to }, index) => ["--perms", "0444", "--ro-bind-data", String(FIRST_FILE_FD + index), to]),
      ...(spec.network === "host" ? [] : ["--unshare-net"]),
      ...(root.layers === undefined && root.tree === undefined ? ["--remount-ro", "/"] : []),
      "--remount-ro",
      "/dev",
      "--chdir",
      spec.directory,
      "--clearenv",
      ...Object.entries(environmentOf(spec, host, network?.environment ?? {})).flatMap(([name, value]) => [
        "--setenv",
        name,
        value,
      ]),
    ],
    command: spec.command,
    trace: spec.trace,
    shiftsClock: shiftsClock(spec),
    firstFreeFd: FIRST_FILE_FD + files.length,
    limits: spec.limits,
    orderedAt:
      host.ordering === "disorderfs" ? spec.mounts.find(({ to }) => to === spec.world.buildPath)?.to : undefined,
  });
  const { program, args, setup } = readableByAll(() => launch(plan()));
  return await supervise(spec, resources, {
    program,
    args,
    // In the order of their descriptors: ARGUMENTS_FD, then FIRST_FILE_FD and on.
    files: [setup, ...files.map(({ content }) => Buffer.from(content))],
    starter: host.starter,
    starterFolder: join(scratch, "pipes"),
    cgroups: host.cgroups,
    disk,
    owner,
    writable,
    firstPid:
      host.firstPid === undefined || spec.world.firstPid === undefined
        ? undefined
        : { program: host.firstPid, number: spec.world.firstPid },
  });
}

/** Devices, /proc, and the writable folders that are fresh in every run. */
function skeleton(spec: SandboxSpec, host: HostAbilities): string[] {
  const size = String(Math.min(spec.limits.diskBytes, spec.limits.memoryBytes));
  const fresh = (path: string, mode: string): string[] => ["--perms", mode, "--size", size, "--tmpfs", path];
  const { home } = spec.world.user;
  return [
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    ...(host.isolation === "root" ? ["--ro-bind", "/proc/sys", "/proc/sys"] : []),
    ...fresh("/dev/shm", "1777"),
    ...fresh("/tmp", "1777"),
    // Without a user namespace these folders are root's, and the build is not.
    ...fresh(home, host.isolation === "root" ? "0777" : "0755"),
  ];
}

function shownIn(spec: SandboxSpec, host: HostAbilities, networkPaths: readonly string[]): Shown[] {
  const own = [...new Set([...(spec.hostPaths ?? []), ...networkPaths])].map((path) => ({
    from: path,
    to: path,
    writable: false,
  }));
  const faketime =
    host.faketime === undefined || spec.world.clockOffset === 0 || host.faketime.startsWith("/usr/")
      ? []
      : [{ from: host.faketime, to: host.faketime, writable: false }];
  return [...own.filter(({ from }) => existsSync(from)), ...faketime, ...spec.mounts];
}

/** The build's whole environment: what is given, and what every world sets. */
export function environmentOf(
  spec: SandboxSpec,
  host: HostAbilities,
  network: Readonly<Record<string, string>>,
): Record<string, string> {
  const { world } = spec;
  const { PATH: folders, SHELL: shell = "/bin/sh", ...variables } = world.environment;
  const { PATH: path = DEFAULT_PATH } = spec.environment;
  return {
    // libfaketime, where it stands in for our own library, shall leave file times and timers alone.
    ...(host.faketime === undefined ? {} : { NO_FAKE_STAT: "1", DONT_FAKE_MONOTONIC: "1" }),
    ...network,
    ...variables,
    ...spec.environment,
    PATH: folders === undefined ? path : `${path}:${folders}`,
    HOME: world.user.home,
    USER: world.user.name,
    LOGNAME: world.user.name,
    SHELL: shell,
    TMPDIR: "/tmp",
    TZ: world.timezone,
    LANG: world.locale,
    LC_ALL: world.locale,
  };
}
