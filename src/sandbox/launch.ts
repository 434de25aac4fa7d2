import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { World } from "../world.ts";
import { asUid, type HostAbilities, isReachable } from "./host.ts";
import { cpusOf } from "./rootfs.ts";

/**
 * The chain of programs that ends in the build. Each replaces the one before
 * it (`exec`), so that the child that we started is bubblewrap itself and ends
 * when we end:
 *
 *     unshare -m   only when something must be mounted first
 *     sh           mounts, disorderfs; resource limits, umask
 *     taskset, setarch, setpriv
 *     bwrap        namespaces and the root
 *     sh           (ordinary user) limits that count inside the user namespace only
 *     the build
 */
export interface Launch {
  program: string;
  args: string[];
  /** The program starts as this kernel user and group already. */
  uid: number | undefined;
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
  /** Whether the build waits until BLOCK_FD closes: until it is in its control groups. */
  waits: boolean;
  /** Descriptors below this one are ours. */
  firstFreeFd: number;
  limits: { processes: number; diskBytes: number; memoryBytes: number };
  /** Sorts or reverses directory order in the mount at this place inside. */
  orderedAt: string | undefined;
}

/** File descriptors of the chain: bubblewrap reports on one, and the other closes when we end. */
export const STATUS_FD = 3;
export const LIFELINE_FD = 4;
/** The build starts when our end of this one closes. */
export const BLOCK_FD = 5;
/** From here on come the files that bubblewrap copies into the root. */
export const FIRST_FILE_FD = 6;

const MOUNTED = `mounted() { while read -r line; do case "$line" in *" $1 "*) return 0;; esac; done </proc/self/mountinfo; return 1; }
tries=0; until mounted "$mount"; do tries=$((tries+1)); [ $tries -lt 1000 ] || { echo "disorderfs did not mount" >&2; exit 125; }; sleep 0.002; done
`;

/** The limits that a process can be given; numbers only, so there is nothing to quote. dash says -p where others say -u. */
function limitsScript(plan: LaunchPlan): string {
  const blocks = Math.ceil(plan.limits.diskBytes / 512);
  // A last line behind the polling, which says what happened; this one only refuses to fork.
  const processes = 2 * plan.limits.processes;
  const data = Math.ceil((plan.limits.memoryBytes + (1 << 30)) / 1024);
  return (
    `umask ${plan.world.umask.toString(8).padStart(4, "0")}\nulimit -f ${blocks}\nulimit -c 0\n` +
    (plan.host.cgroups.pids === undefined
      ? `ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes} 2>/dev/null\n`
      : "") +
    (plan.host.cgroups.memory === undefined ? `ulimit -d ${data} 2>/dev/null\n` : "") +
    `echo 600 2>/dev/null >/proc/self/oom_score_adj\n`
  );
}

/** As fstab(5) writes white space. */
function escaped(path: string): string {
  return path.replaceAll("\\", "\\134").replaceAll(" ", "\\040").replaceAll("\t", "\\011").replaceAll("\n", "\\012");
}

/** Mounts to make before bubblewrap: sources that the build's uid could not reach, by a path that it can. */
function staged(plan: LaunchPlan): {
  shown: Shown[];
  table: string[];
  ordered: { from: string; mount: string } | undefined;
} {
  const table: string[] = [];
  let ordered: { from: string; mount: string } | undefined;
  const shown = plan.shown.map((one, index): Shown => {
    let { from } = one;
    if (plan.host.isolation !== "user" && !isReachable(from)) {
      const mount = join(plan.runFolder, `m${index}`);
      if (statSync(from).isDirectory()) mkdirSync(mount);
      else writeFileSync(mount, "");
      table.push(`${escaped(from)} ${escaped(mount)} none rbind 0 0\n`);
      from = mount;
    }
    if (one.to === plan.orderedAt) {
      const mount = join(plan.runFolder, "ordered");
      mkdirSync(mount);
      ordered = { from, mount };
      from = mount;
    }
    return { ...one, from };
  });
  return { shown, table, ordered };
}

export function launch(plan: LaunchPlan): Launch {
  const { world, host } = plan;
  const { shown, table, ordered } = staged(plan);
  const outer = plan.uid !== undefined || host.isolation === "root";
  let script = "";
  if (table.length > 0) {
    writeFileSync(join(plan.runFolder, "fstab"), table.join(""));
    script += `mount -a -T "${plan.runFolder}/fstab" || exit 125\n`;
  }
  if (ordered !== undefined) {
    const reverse = world.directoryOrder === "reversed" ? "yes" : "no";
    const many = outer ? "yes" : "no";
    script +=
      `source=$1 mount=$2; shift 2\n` +
      // The watcher lives outside the build's reach, and reads until our end of the lifeline closes.
      `{ disorderfs -f -q --multi-user=${many} --sort-dirents=yes --reverse-dirents=${reverse} --pad-blocks=0 "$source" "$mount" </dev/null &\n` +
      `fs=$!; read -r _ <&${LIFELINE_FD}; kill -TERM $fs; wait $fs; } >/dev/null 2>&1 ${STATUS_FD}>&- ${BLOCK_FD}<&- &\n` +
      MOUNTED;
  }
  if (outer) script += limitsScript(plan);
  script += `exec "$@" ${LIFELINE_FD}<&-${plan.waits ? "" : ` ${BLOCK_FD}<&-`}`;

  const needsMounts = table.length > 0 || ordered !== undefined;
  const cpus = cpusOf(world, host);
  const inherited = [
    ...(cpus.length < host.cpus.length ? ["taskset", "-c", cpus.join(",")] : []),
    ...(!world.aslr && host.aslrOff ? ["setarch", "-R"] : []),
  ];
  const sandbox = [
    ...inherited,
    ...(plan.uid === undefined || !needsMounts ? [] : asUid(plan.uid)),
    "bwrap",
    ...bwrapArguments(plan, shown),
  ];
  const sources = ordered === undefined ? [] : [ordered.from, ordered.mount];
  const chain = ["sh", "-c", script, "sh", ...sources, ...sandbox];
  const unshare = outer
    ? ["unshare", "-m", "--propagation", "private"]
    : ["unshare", "-Urm", "--propagation", "private"];
  // Only bash can close a descriptor above 9.
  const closing = host.inherited
    .filter((fd) => fd >= plan.firstFreeFd)
    .map((fd) => `exec ${fd}>&-\n`)
    .join("");
  const [program = "bwrap", ...args] = [
    ...(closing === "" ? [] : ["bash", "-c", `${closing}exec "$@"`, "bash"]),
    ...(needsMounts ? [...unshare, ...chain] : outer ? chain : sandbox),
  ];
  return { program, args, uid: needsMounts ? undefined : plan.uid };
}

function bwrapArguments(plan: LaunchPlan, shown: readonly Shown[]): string[] {
  const { world, host } = plan;
  const namespaces =
    host.isolation === "root"
      ? ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
      : ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"];
  const identity = host.isolation === "root" ? [] : ["--uid", String(world.user.uid), "--gid", String(world.user.gid)];
  const command =
    host.isolation === "root"
      ? [
          "setpriv",
          `--reuid=${world.user.uid}`,
          `--regid=${world.user.gid}`,
          "--clear-groups",
          "--no-new-privs",
          "--bounding-set=-all",
          ...plan.command,
        ]
      : plan.uid === undefined
        ? ["/bin/sh", "-c", `${limitsScript(plan)}exec "$@" ${LIFELINE_FD}<&- ${BLOCK_FD}<&-`, "sh", ...plan.command]
        : [...plan.command];
  return [
    ...namespaces,
    ...identity,
    "--hostname",
    world.hostname,
    "--die-with-parent",
    "--new-session",
    "--json-status-fd",
    String(STATUS_FD),
    ...(plan.waits ? ["--block-fd", String(BLOCK_FD)] : []),
    ...plan.before,
    ...shown.flatMap((one) => [one.writable ? "--bind" : "--ro-bind", one.from, one.to]),
    ...plan.after,
    "--",
    ...command,
  ];
}
