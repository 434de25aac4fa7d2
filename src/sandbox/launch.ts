import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { World } from "../world.ts";
import { asUid, type HostAbilities, isReachable } from "./host.ts";
import { cpusOf } from "./world-files.ts";

/**
 * The chain of programs that ends in the build. Each replaces the one before
 * it (`exec`), so that the child that we started is bubblewrap itself and ends
 * when we end:
 *
 *     enter        mounts, directory order, limits, CPUs, our leave from root
 *     bwrap        namespaces and the root
 *     sh           (ordinary user) limits that count inside the user namespace only
 *     the build
 *
 * Where nothing can be compiled, `unshare`, `sh`, `taskset`, `setarch` and
 * `setpriv` do what `enter` does, more slowly.
 */
export interface Launch {
  program: string;
  args: string[];
  /**
   * bubblewrap's own arguments, to be written to `ARGUMENTS_FD`: it is the build's first process, whose command line
   * the build can read, and these name the world and folders of this machine.
   */
  setup: Buffer;
}

/** Something that bubblewrap shall show. */
export interface Shown {
  from: string;
  to: string;
  writable: boolean;
}

export interface LaunchPlan {
  world: World;
  host: HostAbilities;
  /** Kernel uid of the build, when we are root and drop it. */
  uid: number | undefined;
  /** Private folder of this run, which the build's uid can pass. */
  runFolder: string;
  shown: readonly Shown[];
  /** bubblewrap's arguments besides `shown`: before it, and after it. */
  before: readonly string[];
  after: readonly string[];
  command: readonly string[];
  /** Descriptors below this one are ours. */
  firstFreeFd: number;
  limits: { processes: number; diskBytes: number; memoryBytes: number };
  /** Folders to lay over one another, the upper first, for the root inside; undefined: `before` puts one together. */
  layers: readonly string[] | undefined;
  /** The root inside as a folder, with what is to be mounted in it first. */
  tree: { folder: string; binds: readonly { from: string; to: string }[] } | undefined;
  /** disorderfs sorts or reverses directory order in the mount at this place inside. */
  orderedAt: string | undefined;
  /** File that takes a trace of the build. */
  trace: string | undefined;
  /** Whether programs see another wall clock than the real one. */
  shiftsClock: boolean;
}

/** File descriptors of the chain: bubblewrap reports on one, and the other closes when we end. */
export const STATUS_FD = 3;
export const LIFELINE_FD = 4;
/** The build starts when a byte comes on this one, which never ends: that we are dead opens no gate. */
export const BLOCK_FD = 5;
/** bubblewrap reads its arguments here. */
export const ARGUMENTS_FD = 6;
/** From here on come the files that bubblewrap copies into the root. */
export const FIRST_FILE_FD = 7;

/** What is to be done before bubblewrap starts, in this order. */
interface Steps {
  /** Descriptors of our caller's that stay open for children: those from `firstFreeFd` on are closed. */
  closing: readonly number[];
  firstFreeFd: number;
  /** A user namespace of our own, in which we may mount. */
  asRoot: boolean;
  binds: { from: string; to: string }[];
  /** Mounted read-only, the upper first. */
  layers: { folders: readonly string[]; to: string } | undefined;
  /** By disorderfs. */
  ordered: { from: string; to: string; reverse: boolean; manyUsers: boolean } | undefined;
  /** By a process of ours that answers getdents, as that kernel user. */
  order: { which: World["directoryOrder"]; uid: number } | undefined;
  /** What else that process answers: steps of `enter.ts`. */
  answers: readonly string[];
  /** Resource limits; undefined where they count only inside (see `insideLimits`). */
  limits: Limits | undefined;
  cpus: readonly number[] | undefined;
  aslrOff: boolean;
  /** uname(2) tells an old release. */
  oldKernel: boolean;
  /** The kernel user to become for good. */
  uid: number | undefined;
  /** Processes of ours work beside the build. */
  busy: boolean;
}

/** The limits that a process can be given, behind the polling, which says what happened. */
interface Limits {
  umask: string;
  /** Bytes. */
  fileSize: number;
  processes: number | undefined;
  /** Bytes. */
  data: number | undefined;
}

function limitsOf(plan: LaunchPlan): Limits {
  const { limits, host } = plan;
  return {
    umask: plan.world.umask.toString(8).padStart(4, "0"),
    fileSize: Math.ceil(limits.diskBytes / 512) * 512,
    processes: host.cgroups.pids === undefined ? 2 * limits.processes : undefined,
    data: host.cgroups.memory === undefined ? limits.memoryBytes + (1 << 30) : undefined,
  };
}

/** Numbers only, so there is nothing to quote. dash says -p where others say -u. */
function limitsScript({ umask, fileSize, processes, data }: Limits): string {
  return (
    `umask ${umask}\nulimit -f ${fileSize / 512}\nulimit -c 0\n` +
    (processes === undefined ? "" : `ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes} 2>/dev/null\n`) +
    (data === undefined ? "" : `ulimit -d ${Math.ceil(data / 1024)} 2>/dev/null\n`) +
    `echo 600 2>/dev/null >/proc/self/oom_score_adj\n`
  );
}

/** Mounts to make before bubblewrap: sources that the build's uid could not reach, by a path that it can. */
function staged(plan: LaunchPlan): { shown: Shown[]; binds: Steps["binds"]; ordered: Steps["ordered"] } {
  const binds: Steps["binds"] = [];
  let ordered: Steps["ordered"];
  const shown = plan.shown.map((one, index): Shown => {
    let { from } = one;
    if (plan.host.isolation !== "user" && !isReachable(from)) {
      const mount = join(plan.runFolder, `m${index}`);
      if (statSync(from).isDirectory()) mkdirSync(mount);
      else writeFileSync(mount, "");
      binds.push({ from, to: mount });
      from = mount;
    }
    if (one.to === plan.orderedAt) {
      const mount = join(plan.runFolder, "ordered");
      mkdirSync(mount);
      const reverse = plan.world.directoryOrder === "reversed";
      ordered = { from, to: mount, reverse, manyUsers: outer(plan) };
      from = mount;
    }
    return { ...one, from };
  });
  return { shown, binds, ordered };
}

/** Whether we are root outside, where limits and mounts are ours to set. */
function outer(plan: { host: HostAbilities; uid: number | undefined }): boolean {
  return plan.uid !== undefined || plan.host.isolation === "root";
}

/** Whether `enter` may mount without a user namespace for it. */
export function mountsFirst(plan: { host: HostAbilities; uid: number | undefined }): boolean {
  return outer(plan) && plan.host.enter !== undefined;
}

export function launch(plan: LaunchPlan): Launch {
  const { world, host } = plan;
  const { shown, binds: reachable, ordered } = staged(plan);
  const binds = [...(plan.tree?.binds ?? []), ...reachable];
  const cpus = cpusOf(world, host);
  const merged = join(plan.runFolder, "root");
  if (plan.layers !== undefined) mkdirSync(merged);
  const mounts = binds.length > 0 || ordered !== undefined || plan.layers !== undefined;
  const steps: Steps = {
    closing: host.inherited.filter((fd) => fd >= plan.firstFreeFd),
    firstFreeFd: plan.firstFreeFd,
    asRoot: mounts && !outer(plan),
    binds,
    layers: plan.layers === undefined ? undefined : { folders: plan.layers, to: merged },
    ordered,
    order: host.ordering === "notifications" ? { which: world.directoryOrder, uid: plan.uid ?? 0 } : undefined,
    answers: answersOf(plan),
    limits: outer(plan) ? limitsOf(plan) : undefined,
    cpus: cpus.length < host.cpus.length ? cpus : undefined,
    aslrOff: !world.aslr && host.aslrOff,
    oldKernel: world.kernel === "2.6",
    uid: plan.uid,
    busy: world.load === "busy",
  };
  const sandbox = ["bwrap", "--args", String(ARGUMENTS_FD), "--", ...insideCommand(plan)];
  const root = plan.layers === undefined ? plan.tree?.folder : merged;
  const options = bwrapOptions(plan, shown, root === undefined ? [] : ["--ro-bind", root, "/"]);
  const setup = Buffer.from(options.map((option) => `${option}\0`).join(""));
  if (host.enter === undefined) return { ...byShell(steps, sandbox, plan.runFolder), setup };
  return { program: host.enter, args: [...enterArguments(steps), "--", ...sandbox], setup };
}

/** Only what is asked for: each costs the calls that it stops. */
function answersOf({ world, host, trace, shiftsClock, uid }: LaunchPlan): string[] {
  const asked = [
    ...(trace === undefined ? [] : ["trace", trace]),
    ...(shiftsClock ? ["clock", String(world.clockOffset), String(world.clockHeld ?? "-")] : []),
    ...(world.random === undefined ? [] : ["random", String(world.random)]),
    ...(world.schedule === undefined ? [] : ["schedule", String(world.schedule)]),
  ];
  // bubblewrap, and then what sets the limits inside or gives up being root.
  const chain = host.isolation === "dropped" && uid !== undefined ? 1 : 2;
  return asked.length === 0 ? [] : ["chain", String(chain), world.buildPath, ...asked];
}

function needsMounts(steps: Steps): boolean {
  return steps.binds.length > 0 || steps.layers !== undefined || steps.ordered !== undefined;
}

/** As overlayfs takes them: a colon parts folders, a comma parts options. */
function overlayOptions(folders: readonly string[]): string {
  return `lowerdir=${folders.map((folder) => folder.replace(/[\\:,]/g, "\\$&")).join(":")}`;
}

/** The steps as `enter.ts` takes them. */
function enterArguments(steps: Steps): string[] {
  const { limits, ordered } = steps;
  return [
    ...(steps.closing.length > 0 ? ["close", String(steps.firstFreeFd)] : []),
    ...(steps.order === undefined && ordered === undefined ? ["watch"] : []),
    ...(steps.asRoot ? ["user"] : []),
    ...(needsMounts(steps) ? ["mounts"] : []),
    ...steps.binds.flatMap(({ from, to }) => ["bind", from, to]),
    ...(steps.layers === undefined ? [] : ["overlay", overlayOptions(steps.layers.folders), steps.layers.to]),
    ...(ordered === undefined
      ? []
      : ["mirror", ordered.reverse ? "yes" : "no", ordered.manyUsers ? "yes" : "no", ordered.from, ordered.to]),
    ...(steps.order === undefined ? [] : [...steps.answers, "order", steps.order.which, String(steps.order.uid)]),
    ...(limits === undefined ? [] : ["umask", limits.umask, "limit", "fsize", String(limits.fileSize)]),
    ...(limits === undefined ? [] : ["limit", "core", "0", "oom", "600"]),
    ...(limits?.processes === undefined ? [] : ["limit", "nproc", String(limits.processes)]),
    ...(limits?.data === undefined ? [] : ["limit", "data", String(limits.data)]),
    ...(steps.cpus === undefined ? [] : ["cpus", steps.cpus.join(",")]),
    ...(steps.aslrOff ? ["noaslr"] : []),
    ...(steps.oldKernel ? ["uname26"] : []),
    ...(steps.uid === undefined ? [] : ["uid", String(steps.uid)]),
    ...(steps.busy ? ["busy"] : []),
  ];
}

const MOUNTED = `mounted() { while read -r line; do case "$line" in *" $1 "*) return 0;; esac; done </proc/self/mountinfo; return 1; }
tries=0; until mounted "$mount"; do tries=$((tries+1)); [ $tries -lt 1000 ] || { echo "disorderfs did not mount" >&2; exit 125; }; sleep 0.002; done
`;

/** As fstab(5) writes white space. */
function escaped(path: string): string {
  return path.replaceAll("\\", "\\134").replaceAll(" ", "\\040").replaceAll("\t", "\\011").replaceAll("\n", "\\012");
}

/** The same steps by the programs that every machine has, where nothing can be compiled. */
function byShell(steps: Steps, sandbox: readonly string[], runFolder: string): Omit<Launch, "setup"> {
  const { binds, ordered, limits } = steps;
  // Lives outside the build's reach, and reads until our end of the lifeline closes: see `enter.ts`.
  let script =
    `{ inner=; while read -r line; do inner=$line; done; kill -KILL $inner -$$; } ` +
    `<&${LIFELINE_FD} >/dev/null 2>&1 ${STATUS_FD}>&- ${BLOCK_FD}<&- &\n`;
  if (binds.length > 0) {
    const table = binds.map(({ from, to }) => `${escaped(from)} ${escaped(to)} none rbind 0 0\n`);
    writeFileSync(join(runFolder, "fstab"), table.join(""));
    script += `mount -a -T "${runFolder}/fstab" || exit 125\n`;
  }
  if (steps.layers !== undefined) {
    script += `mount -t overlay -o "$1" overlay "$2" || exit 125\nshift 2\n`;
  }
  if (ordered !== undefined) {
    const [reverse, many] = [ordered.reverse, ordered.manyUsers].map((one) => (one ? "yes" : "no"));
    script +=
      `source=$1 mount=$2; shift 2\n` +
      `disorderfs -f -q --multi-user=${many} --sort-dirents=yes --reverse-dirents=${reverse} --pad-blocks=0 "$source" "$mount" </dev/null >/dev/null 2>&1 ${STATUS_FD}>&- ${LIFELINE_FD}<&- ${BLOCK_FD}<&- &\n` +
      MOUNTED;
  }
  if (limits !== undefined) script += limitsScript(limits);
  script += `exec "$@" ${LIFELINE_FD}<&-`;
  // Only bash can close a descriptor above 9.
  const closing = steps.closing.map((fd) => `exec ${fd}>&-\n`).join("");
  const layers = steps.layers === undefined ? [] : [overlayOptions(steps.layers.folders), steps.layers.to];
  const [program = "bwrap", ...args] = [
    ...(closing === "" ? [] : ["bash", "-c", `${closing}exec "$@"`, "bash"]),
    ...(needsMounts(steps) ? ["unshare", steps.asRoot ? "-Urm" : "-m", "--propagation", "private"] : []),
    "sh",
    "-c",
    script,
    "sh",
    ...layers,
    ...(ordered === undefined ? [] : [ordered.from, ordered.to]),
    ...(steps.cpus === undefined ? [] : ["taskset", "-c", steps.cpus.join(",")]),
    ...(steps.aslrOff ? ["setarch", "-R"] : []),
    ...(steps.oldKernel ? ["setarch", "--uname-2.6"] : []),
    ...(steps.uid === undefined ? [] : asUid(steps.uid)),
    ...sandbox,
  ];
  return { program, args };
}

/** The command with what is to be done in front of it inside. */
function insideCommand(plan: LaunchPlan): string[] {
  const { user } = plan.world;
  if (plan.host.isolation === "root") {
    return [
      "setpriv",
      `--reuid=${user.uid}`,
      `--regid=${user.gid}`,
      "--clear-groups",
      "--no-new-privs",
      "--bounding-set=-all",
      ...plan.command,
    ];
  }
  if (plan.uid !== undefined) return [...plan.command];
  const script = `${limitsScript(limitsOf(plan))}exec "$@" ${LIFELINE_FD}<&- ${BLOCK_FD}<&-`;
  return ["/bin/sh", "-c", script, "sh", ...plan.command];
}

function bwrapOptions(plan: LaunchPlan, shown: readonly Shown[], root: readonly string[]): string[] {
  const { world, host } = plan;
  const namespaces = ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"];
  const user =
    host.isolation === "root"
      ? []
      : ["--unshare-user", "--uid", String(world.user.uid), "--gid", String(world.user.gid)];
  return [
    ...namespaces,
    ...user,
    "--hostname",
    world.hostname,
    "--die-with-parent",
    "--new-session",
    "--json-status-fd",
    String(STATUS_FD),
    "--block-fd",
    String(BLOCK_FD),
    ...root,
    ...plan.before,
    ...shown.flatMap((one) => [one.writable ? "--bind" : "--ro-bind", one.from, one.to]),
    ...plan.after,
  ];
}
