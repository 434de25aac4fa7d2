/** The names of causes: DESIGN.md, "The command line", last paragraphs. */
export type CauseName =
  | "clock"
  | "mtime"
  | "timezone"
  | "locale"
  | "path"
  | "readdir-order"
  | "hash-order"
  | "random"
  | "pid"
  | "aslr"
  | "uninitialised"
  | "user"
  | "umask"
  | "hostname"
  | "kernel"
  | "cpu-model"
  | "cpu-count"
  | "race"
  | "load"
  | "memory"
  | "machine"
  | "filesystem"
  | "environment"
  | "terminal"
  | "vcs"
  | "network"
  | "toolchain"
  | "archive-metadata"
  | "signature"
  | "consequence"
  | "unknown";

/** A virtual machine: its own kernel, processor, memory, and a clock that every program on it sees. */
export type Machine = {
  /** `old`: without AVX and what came with and after it, under a name of ours; `full`: all that the machine below offers. */
  processor: "old" | "full";
  /** Bytes that it is given. */
  memoryBytes: number;
  /** What it was, known once a build ran on it. */
  told?: MachineTold;
};

export type MachineTold = {
  /** uname(2). */
  release: string;
  version: string;
  /** MemTotal of proc_meminfo(5): what the kernel leaves of what it was given. */
  totalKiB: number;
  /** `model name` in /proc/cpuinfo. */
  processor: string;
};

/** One full assignment of variations: everything about its surroundings that a build could notice. */
export interface World {
  name: string;
  /** Seconds added to the real clock, as programs that use the C library see it. */
  clockOffset: number;
  /** Milliseconds to wait before the build starts, so that real times differ between worlds. */
  startDelay: number;
  /** Absolute path of the source tree inside the sandbox. */
  buildPath: string;
  hostname: string;
  user: { name: string; uid: number; gid: number; group: string; fullName: string; home: string };
  timezone: string;
  locale: string;
  umask: number;
  /** How many CPUs the build sees; undefined: all of them. */
  cpus: number | undefined;
  directoryOrder: "sorted" | "reversed";
  /** Address space layout randomisation left on. */
  aslr: boolean;
  /**
   * Set in the build's environment besides what the sandbox itself sets; what the recipe sets goes before it.
   * `PATH` holds further folders, after the build's own.
   */
  environment: Readonly<Record<string, string>>;
  /** `2.6`: uname(2) tells an old release, by personality(2); otherwise the machine's own. */
  kernel?: "2.6";
  /** The number of the sandbox's processes begins here; otherwise at 1. */
  firstPid?: number;
  /** Seeds getrandom(2), /dev/urandom and AT_RANDOM, a stream of its own for each process; otherwise they are the kernel's. */
  random?: number;
  /** Seeds short delays before programs start, so that what runs side by side meets in another order; otherwise none. */
  schedule?: number;
  /** Bytes of memory that /proc/meminfo shows; otherwise the machine's. */
  memoryShown?: number;
  /** Where the build path lies: `memory`, a tmpfs; otherwise where the caller's scratch is. */
  fileSystem?: "memory";
  /** The wall clock stands still at this epoch second, and file times made during the build show it; `clockOffset` is added. */
  clockHeld?: number;
  /** Seconds added to the held time that such files show, never beyond what the clock shows; otherwise 0. */
  fileOffset?: number;
  /** `repository`: a git repository of one commit lies at the build path; otherwise none. */
  vcs?: "repository";
  /** Of that repository, known once it is made: the hash of its commit. */
  commit?: string;
  /** `busy`: a process of ours works on each of the build's CPUs beside it; otherwise none. */
  load?: "busy";
  /** The build runs on a virtual machine; otherwise on this machine's own kernel. */
  machine?: Machine;
}

/** Something that this machine could not do, in one line, with what to do about it. */
export interface Lack {
  what: string;
  remedy: string;
  /** The variations that are therefore not covered. */
  causes: CauseName[];
}
