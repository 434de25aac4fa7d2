import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "../src/build/build.ts";
import { homeAt } from "../src/flow/home.ts";
import { prepare, type Prepared } from "../src/flow/prepare.ts";
import { type HostAbilities, probeHost } from "../src/sandbox/host.ts";
import { determinised } from "../src/vary/determinise.ts";
import { canonicalWorld } from "../src/vary/worlds.ts";
import type { World } from "../src/world.ts";
import { bareBuild } from "./bare.ts";
import { medians } from "./paired.ts";
import type { Row } from "./run.ts";

const RUNS = Number(process.env["BENCH_RUNS"] ?? 5);
/** C by configure and make, a Python wheel with an extension in C, TypeScript packed by npm. */
const PROJECTS = (process.env["BENCH_PROJECTS"] ?? "hello-debian,regex-python,noble-hashes-npm").split(",");

/** A build with everything held still (`determinise = true`) against the recipe's command alone, in turn. */
export async function bench(): Promise<Row[]> {
  const host = await probeHost();
  const rows: Row[] = [];
  for (const project of PROJECTS) rows.push(await measured(join("examples", project), host));
  return rows;
}

async function measured(example: string, host: HostAbilities): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    const from = join(folder, "project");
    cpSync(example, from, { recursive: true });
    rmSync(join(from, ".bitforbit"), { recursive: true, force: true });
    const prepared = await prepare(from, homeAt(join(folder, "home")), { host, scratch: join(folder, "scratch") });
    const world = determinised(canonicalWorld(prepared.recipe.name), prepared.source);
    const bare = bareBuild(prepared, folder);
    const still = stillBuild(prepared, world, host, folder);
    const times: { a: number; b: number }[] = [];
    await still(-1);
    bare(-1);
    for (let run = 0; run < RUNS; run++) times.push({ a: await still(run), b: bare(run) });
    const { a, b, ratio } = medians(times);
    const row = {
      what: `determinise ${basename(example)}`,
      ours: a / 1000,
      peer: b / 1000,
      peerName: "its command alone",
    };
    return { ...row, unit: "s", goal: "at most 1.3", met: ratio <= 1.3 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Builds once in the world and gives the milliseconds of its sandbox, from its start to its end. */
function stillBuild(
  { recipe, source, staged, deps, root }: Prepared,
  world: World,
  host: HostAbilities,
  folder: string,
): (run: number) => Promise<number> {
  return async (run) => {
    const scratch = join(folder, `still-${run}`);
    mkdirSync(scratch);
    const request = { recipe: { ...recipe, determinise: true }, source, staged, world, host, root, deps, scratch };
    const { result, milliseconds } = await build(request);
    if (!result.ok) throw new Error(`${recipe.name}: ${result.reason}\n${result.tail}`);
    return milliseconds;
  };
}
