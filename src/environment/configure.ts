/**
 * Maintainer scripts, run by the root's own dpkg inside bubblewrap: without
 * network, in a user namespace with one user in it, which is root there. The
 * same for root and for an ordinary user of this machine, so that the outcome
 * is the same: `makeBelieveFilter` stands in for the rights that are missing.
 */
import { chmodSync, closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { neutralised } from "../bytes.ts";
import { keep } from "../child.ts";
import { BitforbitError } from "../errors.ts";
import { asUid, type HostAbilities } from "../sandbox/host.ts";
import { OFFSET_FILE } from "../sandbox/clock-shift.ts";
import { scratchFolder } from "../sandbox/scratch.ts";
import { makeBelieveFilter } from "./seccomp.ts";

/** 1980-01-02T00:00:00Z: after the first day that a zip can hold, in every time zone. All files of a root have this time. */
export const ROOT_EPOCH = 315_619_200;

const LONGEST = 30 * 60_000;
const KEPT_OUTPUT = 64 << 10;

/** What scripts see; nothing of the machine's own environment. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  USER: "root",
  LOGNAME: "root",
  SHELL: "/bin/sh",
  LC_ALL: "C.UTF-8",
  TZ: "UTC",
  TERM: "dumb",
  SOURCE_DATE_EPOCH: String(ROOT_EPOCH),
  DEBIAN_FRONTEND: "noninteractive",
  DEBCONF_NONINTERACTIVE_SEEN: "true",
  DEBCONF_NOWARNINGS: "yes",
  PERL_HASH_SEED: "0",
  PERL_PERTURB_KEYS: "0",
  PYTHONHASHSEED: "0",
};

export interface InsideContext {
  host: HostAbilities;
  /** Kernel uid that owns the root meanwhile: `host.isolation` "dropped" only. */
  uid: number | undefined;
  signal?: AbortSignal | undefined;
  /** Shows the scripts another time than it is: that the root does not depend on it can be tried out. */
  shiftedClock?: ShiftedClock | undefined;
}

export interface ShiftedClock {
  /** `HostAbilities.clockShift`. */
  library: string;
  seconds: number;
}

/**
 * Runs a shell script as root inside `root`. Throws `lacking` when nothing can
 * be run there, `outside` when the disk is full, `input` with the script's last
 * words when it fails.
 */
export async function runInside(root: string, script: string, what: string, context: InsideContext): Promise<void> {
  const { host, uid } = context;
  context.signal?.throwIfAborted();
  const scratch = mkdtempSync(join(await scratchFolder(host), "root-"));
  if (uid !== undefined) chmodSync(scratch, 0o711);
  const filter = join(scratch, "filter");
  writeFileSync(filter, makeBelieveFilter());
  const descriptor = openSync(filter, "r");
  try {
    const command = commandFor(root, script, scratch, context);
    const ran = await supervise(command, descriptor, context.signal);
    if (ran.exitCode !== 0) throw failure(what, ran);
  } finally {
    closeSync(descriptor);
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Which descriptor of ours bubblewrap reads the filter from. */
const FILTER_FD = 3;

function commandFor(root: string, script: string, scratch: string, context: InsideContext): string[] {
  const { host, uid } = context;
  const staged = uid === undefined ? root : join(scratch, "root");
  const own = host.isolation === "root" ? [] : ["--unshare-user", "--uid", "0", "--gid", "0"];
  const namespaces = ["ipc", "pid", "net", "uts", "cgroup-try"].map((name) => `--unshare-${name}`);
  const capabilities = ["CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"].flatMap((name) => ["--cap-add", name]);
  const variables = Object.entries(ENVIRONMENT).flatMap(([name, value]) => ["--setenv", name, value]);
  const mounts = ["--bind", staged, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp"];
  if (context.shiftedClock !== undefined) mounts.push(...clockMounts(context.shiftedClock, scratch));
  const end = `--hostname localhost --die-with-parent --seccomp ${FILTER_FD} --dir /run/lock --chdir /`;
  const bwrap = ["bwrap", ...own, ...namespaces, ...capabilities, "--clearenv", ...variables, ...mounts];
  bwrap.push(...end.split(" "), "/bin/sh", "-c", `umask 022\n${script}`);
  if (uid === undefined) return bwrap;
  // That uid cannot pass the folders above the root: it is shown the root at a place that it can reach.
  mkdirSync(staged);
  const stage = 'mount --bind "$1" "$2" || exit 125; shift 2; exec "$@"';
  return ["unshare", "-m", "--propagation", "private", "sh", "-c", stage, "sh", root, staged, ...asUid(uid), ...bwrap];
}

function clockMounts({ library, seconds }: ShiftedClock, scratch: string): string[] {
  const [inside, offset] = ["/run/clock.so", join(scratch, "offset")];
  copyFileSync(library, join(scratch, "clock.so"));
  writeFileSync(offset, `${seconds < 0 ? "" : "+"}${seconds}\n`);
  return [
    "--ro-bind",
    join(scratch, "clock.so"),
    inside,
    "--ro-bind",
    offset,
    OFFSET_FILE,
    "--setenv",
    "LD_PRELOAD",
    inside,
  ];
}

interface Ended {
  exitCode: number;
  output: string;
}

async function supervise(command: readonly string[], filter: number, signal: AbortSignal | undefined): Promise<Ended> {
  const { child, ended } = keep(command, { shown: filter, timeoutMilliseconds: LONGEST, signal });
  let output = "";
  const take = (chunk: Buffer): void => void (output = (output + chunk.toString("latin1")).slice(-KEPT_OUTPUT));
  child.stdout?.on("data", take);
  child.stderr?.on("data", take);
  const exitCode = await ended;
  signal?.throwIfAborted();
  if (exitCode === 127 && /\bexec: .*not found/.test(output)) {
    throw new BitforbitError("lacking", `${command[0]} is not installed`, { hint: "install it, then run again" });
  }
  return { exitCode: exitCode ?? -1, output: Buffer.from(output, "latin1").toString() };
}

function failure(what: string, { exitCode, output }: Ended): BitforbitError {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const shown = neutralised(lines.slice(-12).join("\n")).slice(-2000);
  if (/No space left on device|Disk quota exceeded/.test(output)) {
    return new BitforbitError("outside", `no space left while ${what}`, {
      hint: "free disk space, or set BITFORBIT_HOME to where there is more, then run again",
    });
  }
  if (/Exec format error/.test(output)) {
    return new BitforbitError("lacking", "this machine cannot run the environment's programs", {
      hint: "assemble on a machine of that architecture, or apt-get install qemu-user-static",
    });
  }
  return new BitforbitError("input", `${what} failed (exit ${exitCode}): ${shown}`, {
    hint: "a package's script failed: take the package out, or another version of it",
  });
}
