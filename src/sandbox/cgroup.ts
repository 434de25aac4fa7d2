import { mkdirSync, readFileSync, rmdirSync, statSync, writeFile, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../clock.ts";
import { systemCode } from "../errors.ts";
import { namesIn } from "../tree.ts";
import type { Lack } from "../world.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";

/** Folders below which we may make control groups: our own groups, so that the limits we are under still hold. */
export interface Cgroups {
  memory: CgroupParent | undefined;
  pids: CgroupParent | undefined;
}

export interface CgroupParent {
  version: 1 | 2;
  folder: string;
}

/** One run's control groups. */
export interface RunCgroups {
  /** Files into which a process id is written to move that process in. */
  joinBy: string[];
  /**
   * The same of the groups above. A move waits until every CPU has passed a
   * quiet state, and one that follows soon does not: so a process that is in
   * the group above already is moved there once more, while others still work.
   */
  warmBy: string[];
  countsMemory: boolean;
  countsProcesses: boolean;
  /** How often the kernel killed for want of memory. */
  memoryKills(): number;
  /** How often a fork was refused. */
  refusedForks(): number;
  /** Bytes at the highest. */
  peakMemory(): number | undefined;
  remove(): Promise<void>;
}

const NAME = "bitforbit-";

/** Where no group can be made. */
export const NO_CGROUPS: RunCgroups = {
  joinBy: [],
  warmBy: [],
  countsMemory: false,
  countsProcesses: false,
  memoryKills: () => 0,
  refusedForks: () => 0,
  peakMemory: () => undefined,
  remove: async () => undefined,
};

/** Finds where we may make groups, by making one of each. */
export function findCgroups(lacks: Lack[]): Cgroups {
  let parents: CgroupParent[] = [];
  try {
    parents = candidates();
  } catch {
    // No control groups in this /proc or /sys: said below.
  }
  const usable = (file: string): CgroupParent | undefined =>
    parents.find((parent) => canHold(parent, file === "memory" ? limitFile(parent) : "pids.max"));
  const found = { memory: usable("memory"), pids: usable("pids") };
  if (found.memory === undefined || found.pids === undefined) {
    lacks.push({
      what: "control groups cannot be made: memory and processes are watched by polling, not bounded by the kernel",
      remedy: "run as root, or delegate a control group (systemd-run --user --scope -p Delegate=yes)",
      causes: [],
    });
  }
  return found;
}

/** Our own group in each hierarchy: cgroups(7), "/proc/[pid]/cgroup". */
function candidates(): CgroupParent[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return readFileSync("/proc/self/cgroup", "utf8")
    .trim()
    .split("\n")
    .flatMap((line): CgroupParent[] => {
      const [, controllers = "", path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      const version = controllers === "" ? 2 : 1;
      if (version === 1 && !/\b(?:memory|pids)\b/.test(controllers)) return [];
      const type = version === 2 ? "cgroup2" : "cgroup";
      for (const mount of mounts) {
        const [left = "", right = ""] = mount.split(" - ");
        const [kind, , options = ""] = right.split(" ");
        const [, , , , point = ""] = left.split(" ");
        if (kind !== type || (version === 1 && !options.split(",").includes(controllers.split(",")[0] ?? ""))) continue;
        return [{ version, folder: join(point, path) }];
      }
      return [];
    });
}

const STALE_MILLISECONDS = 3_600_000;

/** Removes groups that killed runs left behind; the kernel keeps those that have processes. */
export async function sweepCgroups(cgroups: Cgroups): Promise<void> {
  for (const parent of [cgroups.memory, cgroups.pids]) {
    if (parent === undefined) continue;
    for (const name of (await namesIn(parent.folder)).filter((one) => one.startsWith(NAME))) {
      const group = join(parent.folder, name);
      try {
        if (systemClock.now() - statSync(group).mtimeMs > STALE_MILLISECONDS) rmdirSync(group);
      } catch {
        // In use, or another run swept it just now.
      }
    }
  }
}

const limitFile = (parent: CgroupParent): string => (parent.version === 1 ? "memory.limit_in_bytes" : "memory.max");

function canHold(parent: CgroupParent, file: string): boolean {
  const folder = join(parent.folder, NAME + uniqueName(systemEntropy));
  try {
    mkdirSync(folder);
  } catch {
    return false;
  }
  try {
    writeFileSync(join(folder, file), file === "pids.max" ? "1000" : "1073741824", { flag: "r+" });
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(folder);
  }
}

/** Makes the groups of one run. */
export function makeCgroups(cgroups: Cgroups, limits: { memoryBytes: number; processes: number }): RunCgroups {
  const name = NAME + uniqueName(systemEntropy);
  const folders = new Set<string>();
  const make = (parent: CgroupParent | undefined): string | undefined => {
    if (parent === undefined) return undefined;
    const folder = join(parent.folder, name);
    if (!folders.has(folder)) mkdirSync(folder);
    folders.add(folder);
    return folder;
  };
  const memory = make(cgroups.memory);
  const pids = make(cgroups.pids);
  if (memory !== undefined && cgroups.memory !== undefined) {
    writeFileSync(join(memory, limitFile(cgroups.memory)), String(limits.memoryBytes));
    optionally(join(memory, cgroups.memory.version === 1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max"), () =>
      cgroups.memory?.version === 1 ? String(limits.memoryBytes) : "0",
    );
    if (cgroups.memory.version === 2) optionally(join(memory, "memory.oom.group"), () => "1");
  }
  // bubblewrap's own process that reaps counts as well.
  if (pids !== undefined) writeFileSync(join(pids, "pids.max"), String(limits.processes + 1));
  return {
    joinBy: [...folders].map((folder) => join(folder, "cgroup.procs")),
    warmBy: [...folders].map((folder) => join(dirname(folder), "cgroup.procs")),
    countsMemory: memory !== undefined,
    countsProcesses: pids !== undefined,
    memoryKills: () =>
      memory === undefined
        ? 0
        : field(join(memory, cgroups.memory?.version === 1 ? "memory.oom_control" : "memory.events"), "oom_kill"),
    refusedForks: () => (pids === undefined ? 0 : field(join(pids, "pids.events"), "max")),
    peakMemory: () => {
      if (memory === undefined) return undefined;
      return whole(join(memory, cgroups.memory?.version === 1 ? "memory.max_usage_in_bytes" : "memory.peak"));
    },
    remove: async () => {
      for (const folder of folders) await removeGroup(folder);
    },
  };
}

/**
 * Has the next moves into groups wait less (see `warmBy`): this process is moved to where it is. Called as early as a
 * run begins, the kernel's wait is over when there is somebody to move.
 */
export function warmCgroups(cgroups: Cgroups): void {
  const folders = new Set([cgroups.memory?.folder, cgroups.pids?.folder]);
  for (const folder of folders) {
    if (folder !== undefined) writeFile(join(folder, "cgroup.procs"), String(process.pid), () => undefined);
  }
}

/** Some kernels are built without the file. */
function optionally(file: string, value: () => string): void {
  try {
    writeFileSync(file, value(), { flag: "r+" });
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
  }
}

function field(file: string, name: string): number {
  try {
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(readFileSync(file, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function whole(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** A group may be removed once the kernel has buried its last process. */
async function removeGroup(folder: string): Promise<void> {
  for (let attempt = 0; attempt < 240; attempt++) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return;
      if (systemCode(error) !== "EBUSY") throw error;
    }
    // Mostly a matter of microseconds.
    if (attempt < 40) await new Promise((resolve) => setImmediate(resolve));
    else await new Promise((resolve) => setTimeout(resolve, Math.min(attempt - 39, 20)));
  }
}
