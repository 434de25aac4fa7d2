import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { homeAt } from "../src/flow/home.ts";
import { prepare } from "../src/flow/prepare.ts";
import { probeHost } from "../src/sandbox/host.ts";
import { bareBuild } from "./bare.ts";
import { medians, time } from "./paired.ts";
import type { Row } from "./run.ts";

const RUNS = Number(process.env["BENCH_RUNS"] ?? 3);
const PROJECTS = (process.env["BENCH_PROJECTS"] ?? "hello-debian,noble-hashes-npm").split(",");

/**
 * `bitforbit build`, two worlds and all the evidence, against the recipe's
 * command run once in the same root, in a plain copy of the same source.
 */
export async function bench(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const project of PROJECTS) rows.push(await measured(project));
  return rows;
}

async function measured(project: string): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    const from = join(folder, "project");
    cpSync(join("examples", project), from, { recursive: true });
    rmSync(join(from, ".bitforbit"), { recursive: true, force: true });
    const home = join(folder, "home");
    const program = resolve("dist/bitforbit.cjs");
    const env = { ...process.env, BITFORBIT_HOME: home };
    const ours = (): number => time([process.execPath, program, "build", from, "--quiet"], { env });
    ours(); // fetches source and dependencies
    const options = { host: await probeHost(), scratch: join(folder, "scratch") };
    const bare = bareBuild(await prepare(from, homeAt(home), options), folder);
    const times = Array.from({ length: RUNS }, (_, run) => ({ a: ours(), b: bare(run) }));
    const { a, b, ratio } = medians(times);
    const what = `build ${project}, two worlds`;
    const row = { what, ours: a / 1000, peer: b / 1000, peerName: "its command alone, once", unit: "s" };
    return { ...row, goal: "at most 1.6", met: ratio <= 1.6 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
