import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { homeAt } from "../src/flow/home.ts";
import { type Prepared, prepare } from "../src/flow/prepare.ts";
import { recorded, replayed } from "../src/flow/proxied.ts";
import { probeHost } from "../src/sandbox/host.ts";
import { runSandboxed, type SandboxSpec } from "../src/sandbox/sandbox.ts";
import { toolPaths } from "../src/sandbox/toolchain.ts";
import { copyTree } from "../src/tree.ts";
import { canonicalWorld } from "../src/vary/worlds.ts";
import { medians } from "./paired.ts";
import type { Row } from "./run.ts";

/** Published projects whose fetch scripts are run by the ecosystem's own client. */
const PROJECTS = ["noble-hashes-npm", "hexyl-rust", "age-go"];
const PAIRS = 5;

/** Fetching answered from the recording, against the same fetch from the real network; what recording itself costs beside it. */
export async function bench(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const project of PROJECTS) rows.push(...(await measured(project)));
  return rows;
}

async function measured(name: string): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    const home = homeAt(join(folder, "home"));
    const project = onThisMachine(name, folder);
    const prepared = await prepare(project, home, { host: await probeHost(), scratch: join(folder, "scratch") });
    const cache = join(folder, "bodies");
    mkdirSync(cache);
    const inside = canonicalWorld("bench").user.home;
    const recording = recorded({ cache, home: inside, onNote: () => undefined });
    let count = 0;
    const run = async (parts: Partial<SandboxSpec>): Promise<number> =>
      await fetched(prepared, join(folder, `run-${count++}`), parts);
    const whileRecording = await run(recording.parts);
    const known = await recording.close();
    const times: { a: number; b: number }[] = [];
    const once = {
      replay: async (): Promise<number> => {
        const refused: string[] = [];
        const answers = replayed({
          cache,
          home: inside,
          recording: known,
          epoch: prepared.source.epoch,
          onUnanswered: ({ url }) => void refused.push(url),
        });
        const milliseconds = await run(answers.parts);
        await answers.close();
        if (refused.length > 0) throw new Error(`not in the recording: ${refused.join(" ")}`);
        return milliseconds;
      },
      network: async (): Promise<number> => await run({ network: "host" }),
    };
    for (let pair = 0; pair < PAIRS; pair++) {
      // In turn which comes first: a mirror may answer the second quicker.
      const ahead = pair % 2 === 0 ? await once.replay() : undefined;
      const b = await once.network();
      times.push({ a: ahead ?? (await once.replay()), b });
    }
    const { a, b } = medians(times);
    const what = `${name}, ${known.exchanges.length} exchanges`;
    return [row(`replay: ${what}`, a, b), row(`recording: ${what}, once`, whileRecording, b)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const row = (what: string, ours: number, network: number): Row => {
  const times = { ours: ours / 1000, peer: network / 1000, peerName: "real network", unit: "s" };
  return { what, ...times, goal: "for comparison", met: true };
};

/** The project without its pinned environment, whose assembly takes longer than all fetches here: the tools are this machine's. */
function onThisMachine(name: string, folder: string): string {
  const project = join(folder, "project");
  cpSync(join("examples", name), project, { recursive: true });
  rmSync(join(project, "bitforbit.lock"));
  const path = join(project, "bitforbit.toml");
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(/^\[environment\]\n[^]*?^(tools = .*)$/m, '[environment]\ntype = "host"\n$1'));
  return project;
}

/** Milliseconds that the fetch script takes in a sandbox of its own. */
async function fetched(prepared: Prepared, folder: string, parts: Partial<SandboxSpec>): Promise<number> {
  const { recipe, source, staged } = prepared;
  if (recipe.fetch === undefined) throw new Error(`${recipe.name} fetches nothing`);
  const world = { ...canonicalWorld("bench"), startDelay: 0 };
  const tools = await toolPaths(recipe.environment.tools);
  const [tree, deps] = [join(folder, "tree"), join(folder, "deps")];
  mkdirSync(deps, { recursive: true });
  copyTree(staged, tree);
  const host = await probeHost();
  const start = process.hrtime.bigint();
  const ran = await runSandboxed(
    {
      network: "none",
      ...parts,
      world,
      command: ["/bin/sh", "-eu", "-c", recipe.fetch],
      directory: posix.join(world.buildPath, recipe.directory),
      mounts: [
        { from: tree, to: world.buildPath, writable: true },
        { from: deps, to: "/deps", writable: true },
      ],
      hostPaths: tools.hostPaths,
      environment: {
        ...parts.environment,
        ...recipe.env,
        PATH: tools.path,
        SOURCE_DATE_EPOCH: String(source.epoch),
        BITFORBIT_DEPS: "/deps",
      },
      limits: recipe.limits,
      log: join(folder, "log"),
    },
    host,
  );
  const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
  if (ran.exitCode !== 0)
    throw new Error(`fetching gave ${ran.outcome}: ${readFileSync(join(folder, "log"), "utf8").slice(-500)}`);
  rmSync(folder, { recursive: true, force: true });
  return milliseconds;
}
