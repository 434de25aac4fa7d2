import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { homeAt } from "../src/flow/home.ts";
import { type Prepared, prepare } from "../src/flow/prepare.ts";
import { probeHost } from "../src/sandbox/host.ts";
import { observeReads } from "../src/sandbox/reads.ts";
import { runSandboxed } from "../src/sandbox/sandbox.ts";
import { toolPaths } from "../src/sandbox/toolchain.ts";
import { copyTree } from "../src/tree.ts";
import { canonicalWorld } from "../src/vary/worlds.ts";
import { medians } from "./paired.ts";
import type { Row } from "./run.ts";

/** Pairs of runs go on for so long, and there is one at least: with all else, the whole takes less than 100 s. */
const PAIRS_SECONDS = 20;

/** What opens and executes most for its time: of hello, what looks for everything and compiles little. */
const PROJECTS: readonly { name: string; command?: string }[] = [
  { name: "hello-debian", command: "./configure --prefix=/usr --quiet" },
  { name: "noble-hashes-npm" },
];

/** In front of the command of the first project, once: without `--seccomp-bpf` it takes over twice as long. */
const PEER = ["strace", "-f", "--seccomp-bpf"] as const;
const CALLS = "trace=open,openat,openat2,creat,execve,execveat";

/** A build whose reads are observed, against the same build in the same sandbox unobserved. */
export async function bench(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const project of PROJECTS) rows.push(...(await measured(project)));
  return rows;
}

async function measured({ name, command }: (typeof PROJECTS)[number]): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    const scratch = join(folder, "scratch");
    const home = homeAt(join(folder, "home"));
    const prepared = await prepare(onThisMachine(name, folder, command), home, { host: await probeHost(), scratch });
    let count = 0;
    const once = async (how: How): Promise<number> => await built(prepared, join(folder, `run-${count++}`), how);
    await once({ observed: true });
    const times: { a: number; b: number }[] = [];
    for (let spent = 0; spent < PAIRS_SECONDS * 1000;) {
      // In turn which comes first: the second finds warmer caches.
      const ahead = times.length % 2 === 0;
      const first = await once({ observed: ahead });
      const second = await once({ observed: !ahead });
      times.push(ahead ? { a: first, b: second } : { a: second, b: first });
      spent += first + second;
    }
    const { a, b, ratio } = medians(times);
    const peers = command === undefined ? [] : [await straced(once, b)];
    const what = `reads observed: ${name}${command === undefined ? "" : ", configure"}, ${times.length} pairs`;
    return [{ ...row(what, a, b), goal: "at most 1.10", met: ratio <= 1.1 }, ...peers];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The project without its pinned environment, whose assembly takes longer than all builds here: the tools are this machine's. */
function onThisMachine(name: string, folder: string, command: string | undefined): string {
  const project = join(folder, "project");
  cpSync(join("examples", name), project, { recursive: true });
  rmSync(join(project, "bitforbit.lock"));
  const path = join(project, "bitforbit.toml");
  const text = readFileSync(path, "utf8").replace(
    /^\[environment\]\n[^]*?^(tools = .*)$/m,
    '[environment]\ntype = "host"\n$1',
  );
  writeFileSync(
    path,
    command === undefined ? text : text.replace(/^command = '''[^]*?'''$/m, `command = '${command}'`),
  );
  return project;
}

async function straced(once: (how: How) => Promise<number>, plain: number): Promise<Row> {
  const peer = { what: `the same by ${PEER.join(" ")}`, goal: "for comparison", met: true };
  if (spawnSync("strace", ["-V"]).status !== 0) {
    return { ...peer, ours: 0, peer: undefined, peerName: "strace is not installed", unit: "s" };
  }
  return { ...peer, ...timed(await once({ observed: false, strace: PEER }), plain) };
}

const timed = (ours: number, plain: number): Pick<Row, "ours" | "peer" | "peerName" | "unit"> => ({
  ours: ours / 1000,
  peer: plain / 1000,
  peerName: "unobserved",
  unit: "s",
});
const row = (what: string, ours: number, plain: number): Row => ({ what, ...timed(ours, plain), goal: "", met: true });

interface How {
  observed: boolean;
  strace?: readonly string[];
}

/** Milliseconds from the start of the sandbox until the list of reads is there; copying is not timed. */
async function built({ recipe, source, staged, deps }: Prepared, folder: string, how: How): Promise<number> {
  const world = { ...canonicalWorld("bench"), startDelay: 0 };
  const tools = await toolPaths(recipe.environment.tools);
  mkdirSync(folder);
  const mounts = [{ from: join(folder, "tree"), to: world.buildPath, writable: true }];
  copyTree(staged, join(folder, "tree"));
  if (deps !== undefined) {
    copyTree(deps, join(folder, "deps"));
    mounts.push({ from: join(folder, "deps"), to: "/deps", writable: true });
  }
  const strace = how.strace === undefined ? [] : [...how.strace, "-y", "-qq", "-e", CALLS, "-o", "/tmp/trace"];
  const host = await probeHost();
  const cache = join(folder, "..", "cache");
  const start = process.hrtime.bigint();
  const observer = how.observed ? await observeReads({ cache, except: ["/tmp", world.user.home] }) : undefined;
  const ran = await runSandboxed(
    {
      world,
      command: [...strace, "/bin/sh", "-eu", "-c", recipe.command],
      directory: posix.join(world.buildPath, recipe.directory),
      mounts,
      hostPaths: tools.hostPaths,
      environment: {
        ...recipe.env,
        PATH: tools.path,
        SOURCE_DATE_EPOCH: String(source.epoch),
        BITFORBIT_DEPS: "/deps",
      },
      network: "none",
      limits: recipe.limits,
      log: join(folder, "log"),
      ...(observer === undefined ? {} : { beforeStart: observer.attach }),
    },
    host,
  );
  const reads = await observer?.finish();
  const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
  if (ran.exitCode !== 0) throw new Error(`the build gave ${ran.outcome} ${ran.exitCode}: see ${folder}/log`);
  if (reads !== undefined && (reads.doubts.length > 0 || reads.opened.length < 100)) {
    throw new Error(`${reads.opened.length} reads, ${reads.doubts.join("; ")}`);
  }
  rmSync(folder, { recursive: true, force: true });
  return milliseconds;
}
