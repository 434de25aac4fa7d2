import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
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

const RUNS = 3;
const PROJECTS = ["hello-debian", "noble-hashes-npm", "age-go"];

/** The peers, each in front of the build's command, and how often they run: they are slow. */
const PEERS: readonly { name: string; options: readonly string[] }[] = [
  { name: "strace -f", options: ["-f"] },
  { name: "strace -f --seccomp-bpf", options: ["-f", "--seccomp-bpf"] },
];
const CALLS = "trace=open,openat,openat2,creat,execve,execveat";

/** A build whose reads are observed, against the same build in the same sandbox unobserved. */
export async function bench(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const project of PROJECTS) rows.push(...(await measured(project)));
  return rows;
}

async function measured(project: string): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    const from = join(folder, "project");
    cpSync(join("examples", project), from, { recursive: true });
    const scratch = join(folder, "scratch");
    const prepared = await prepare(from, homeAt(join(folder, "home")), { host: await probeHost(), scratch });
    let count = 0;
    const once = async (how: How): Promise<number> => await built(prepared, join(folder, `run-${count++}`), how);
    await once({ observed: true });
    const times: { a: number; b: number }[] = [];
    for (let run = 0; run < RUNS; run++) {
      // In turn which comes first: the second finds warmer caches.
      const first = await once({ observed: run % 2 === 0 });
      const second = await once({ observed: run % 2 === 1 });
      times.push(run % 2 === 0 ? { a: first, b: second } : { a: second, b: first });
    }
    const { a, b, ratio } = medians(times);
    const peers = project === PROJECTS[0] ? await straced(once, b) : [];
    return [{ ...row(`reads observed: ${project}`, a, b), goal: "at most 1.10", met: ratio <= 1.1 }, ...peers];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function straced(once: (how: How) => Promise<number>, plain: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, options } of PEERS) {
    const row: Row = {
      what: `the same by ${name}`,
      ours: 0,
      peer: undefined,
      peerName: "",
      unit: "s",
      goal: "",
      met: true,
    };
    if (spawnSync("strace", ["-V"]).status !== 0) rows.push({ ...row, peerName: "strace is not installed" });
    else
      rows.push({ ...row, ...timed(await once({ observed: false, strace: options }), plain), goal: "for comparison" });
  }
  return rows;
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
  const strace =
    how.strace === undefined ? [] : ["strace", ...how.strace, "-y", "-qq", "-e", CALLS, "-o", "/tmp/trace"];
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
