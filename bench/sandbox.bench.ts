import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probeHost } from "../src/sandbox/host.ts";
import { runSandboxed } from "../src/sandbox/sandbox.ts";
import { canonicalWorld } from "../src/vary/worlds.ts";
import { median } from "./paired.ts";
import type { Row } from "./run.ts";

const BARE = [
  "--unshare-all",
  "--ro-bind",
  "/",
  "/",
  "--proc",
  "/proc",
  "--dev",
  "/dev",
  "--tmpfs",
  "/tmp",
  "/bin/true",
];

/** Start of /bin/true in our sandbox, with all that a build gets, against bare bubblewrap. */
export async function bench(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  const host = await probeHost();
  const ours: number[] = [];
  const bare: number[] = [];
  const plain = { ...host, ordering: undefined };
  const unordered: number[] = [];
  const once = async (abilities: typeof host, run: string): Promise<number> => {
    const tree = join(folder, run);
    mkdirSync(tree);
    const world = { ...canonicalWorld("bench"), startDelay: 0 };
    const start = process.hrtime.bigint();
    const ran = await runSandboxed(
      {
        world,
        command: ["/bin/true"],
        directory: world.buildPath,
        mounts: [{ from: tree, to: world.buildPath, writable: true }],
        environment: {},
        network: "none",
        limits: { timeoutSeconds: 60, memoryBytes: 2 ** 30, processes: 64, diskBytes: 2 ** 30, logBytes: 2 ** 20 },
        log: join(folder, `${run}.log`),
      },
      abilities,
    );
    if (ran.exitCode !== 0) throw new Error(`the sandbox gave ${ran.outcome} ${ran.exitCode}`);
    return Number(process.hrtime.bigint() - start) / 1e6;
  };
  for (let run = 0; run < 41; run++) {
    const start = process.hrtime.bigint();
    spawnSync("bwrap", BARE);
    bare.push(Number(process.hrtime.bigint() - start) / 1e6);
    // In turn: whoever comes after bubblewrap waits while the kernel still takes its namespaces down.
    const both = [async () => ours.push(await once(host, `full-${run}`))];
    both.push(async () => unordered.push(await once(plain, `plain-${run}`)));
    for (const one of run % 2 === 0 ? both : both.toReversed()) await one();
  }
  rmSync(folder, { recursive: true, force: true });
  const row = (what: string, times: number[]): Row => ({
    what,
    ours: median(times),
    peer: median(bare),
    peerName: "bwrap /bin/true",
    unit: "ms",
    goal: "at most 1.5",
    met: median(times) / median(bare) <= 1.5,
  });
  return [row("sandbox start, all variations", ours), row("sandbox start, directories not ordered", unordered)];
}
