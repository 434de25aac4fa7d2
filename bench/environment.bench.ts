import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bodyPath } from "../src/body-path.ts";
import { openDebian, resolveDebian } from "../src/environment/debian.ts";
import type { DebianEnvironment } from "../src/lock/environment.ts";
import { type HostAbilities, probeHost } from "../src/sandbox/host.ts";
import { runSandboxed } from "../src/sandbox/sandbox.ts";
import { canonicalWorld } from "../src/vary/worlds.ts";
import { median } from "./paired.ts";
import type { Row } from "./run.ts";

const RUNS = Number(process.env["BENCH_RUNS"] ?? 3);
const LISTS: readonly (readonly string[])[] = [["gcc", "make", "libc6-dev"], ["build-essential"]].slice(
  0,
  Number(process.env["BENCH_LISTS"] ?? 2),
);

const milliseconds = async (work: () => unknown): Promise<number> => {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e6;
};

/** Cold assembly of a Debian root from packages that are fetched already, against mmdebstrap; and opening a warm one. */
export async function bench(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  chmodSync(folder, 0o755);
  try {
    const rows: Row[] = [];
    for (const packages of LISTS) rows.push(...(await benchList(folder, packages)));
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function benchList(folder: string, packages: readonly string[]): Promise<Row[]> {
  const cache = join(folder, "cache");
  const host = await probeHost();
  const spec = { suite: "bookworm", components: ["main"], packages, architecture: undefined };
  const { locked, root } = await resolveDebian(spec, { cache, host });
  const archives = join(folder, "archives", packages.join("+"));
  mkdirSync(archives, { recursive: true });
  for (const { name, version, architecture, sha256 } of locked.packages) {
    const file = `${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`;
    symlinkSync(bodyPath(cache, `sha256:${sha256}`), join(archives, file));
  }
  const [ours, theirs]: [number[], number[]] = [[], []];
  const peer = spawnSync("mmdebstrap", ["--version"]).error === undefined && existsSync("/etc/apt/sources.list.d");
  for (let run = 0; run < RUNS; run++) {
    rmSync(join(cache, "roots"), { recursive: true, force: true });
    ours.push(await milliseconds(async () => await openDebian(locked, { cache, host })));
    if (peer) theirs.push(await milliseconds(() => mmdebstrap(join(folder, "theirs"), archives, packages)));
  }
  const warm: number[] = [];
  for (let run = 0; run < 7; run++)
    warm.push(await milliseconds(async () => await openDebian(locked, { cache, host })));
  const full = await milliseconds(async () => await openDebian(locked, { cache, host, check: "contents" }));
  const bare = ["--unshare-all", "--ro-bind", root.folder, "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"];
  const starts: number[] = [];
  for (let run = 0; run < 7; run++) starts.push(await milliseconds(() => execFileSync("bwrap", bare)));
  const toCommand = await warmToCommand(folder, locked, { cache, host }, bare);
  const name = packages.join(" ");
  const cold = median(ours) / 1000;
  return [
    ...toCommand.map((row) => ({ ...row, what: `${row.what}: ${name}` })),
    {
      what: `cold root: ${name}`,
      ours: cold,
      peer: peer ? median(theirs) / 1000 : undefined,
      peerName: peer ? "mmdebstrap" : "mmdebstrap is not installed",
      unit: "s",
      goal: "below 1",
      met: peer && cold < median(theirs) / 1000,
    },
    ...[
      { what: `warm root, asked for changes: ${name}`, ours: median(warm) },
      { what: `warm root, digested again: ${name}`, ours: full },
    ].map((row) => ({
      ...row,
      peer: median(starts),
      peerName: "bwrap … true in it",
      unit: "ms",
      goal: "for information",
      met: true,
    })),
  ];
}

/** From a lock and a warm cache to a running command, in turn with bubblewrap on the same root, and with podman. */
async function warmToCommand(
  folder: string,
  locked: DebianEnvironment,
  context: { cache: string; host: HostAbilities },
  bare: readonly string[],
): Promise<Row[]> {
  const world = { ...canonicalWorld("bench"), startDelay: 0 };
  const limits = { timeoutSeconds: 60, memoryBytes: 2 ** 30, processes: 64, diskBytes: 2 ** 30, logBytes: 2 ** 20 };
  const [ours, bwrap, podman]: [number[], number[], number[]] = [[], [], []];
  const copy = join(folder, "podman");
  const withPodman = spawnSync("podman", ["--version"]).error === undefined;
  if (withPodman) execFileSync("cp", ["-a", (await openDebian(locked, context)).folder, copy]);
  for (let run = 0; run < 21; run++) {
    bwrap.push(await milliseconds(() => spawnSync("bwrap", bare)));
    const tree = join(folder, `warm-${run}`);
    mkdirSync(tree);
    const started = process.hrtime.bigint();
    const root = await openDebian(locked, { ...context, check: "later" });
    const spec = { world, root: root.folder, command: ["/bin/true"], directory: world.buildPath, environment: {} };
    const mounts = [{ from: tree, to: world.buildPath, writable: true }];
    const ran = await runSandboxed(
      { ...spec, mounts, network: "none", limits, log: join(folder, `warm-${run}.log`) },
      context.host,
    );
    if (ran.exitCode !== 0) throw new Error(`the sandbox gave ${ran.outcome} ${ran.exitCode}`);
    ours.push(Number(process.hrtime.bigint() - started) / 1e6);
    if (withPodman && run < 7)
      podman.push(await milliseconds(() => execFileSync("podman", [...PODMAN, copy, "/bin/true"])));
  }
  const figure = median(ours);
  const row = { what: "warm store to a running command", ours: figure, unit: "ms" };
  const peer = median(bwrap);
  return [
    { ...row, peer, peerName: "bwrap … true in it", goal: "at most 1.5", met: figure <= 1.5 * peer },
    withPodman
      ? { ...row, peer: median(podman), peerName: "podman run --rootfs", goal: "below 1", met: figure < median(podman) }
      : { ...row, peer: undefined, peerName: "podman is not installed", goal: "below 1", met: false },
  ];
}

const PODMAN = [
  "--runtime=runc",
  "--cgroup-manager=cgroupfs",
  "run",
  "--rm",
  "--network=none",
  "--ulimit=nofile=20000:20000",
  "--ulimit=nproc=4000:4000",
  "--rootfs",
];

/** Its usual way with the same packages at hand, so that neither side waits for the network but for the index. */
function mmdebstrap(root: string, archives: string, packages: readonly string[]): void {
  rmSync(root, { recursive: true, force: true });
  execFileSync(
    "mmdebstrap",
    [
      "--quiet",
      "--variant=essential",
      `--include=${packages.join(",")}`,
      "--skip=download/empty",
      '--aptopt=APT::Install-Recommends "false"',
      '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
      `--setup-hook=cp -L ${archives}/*.deb "$1/var/cache/apt/archives/"`,
      "bookworm",
      root,
      "/etc/apt/sources.list.d/debian.sources",
    ],
    { stdio: "pipe", env: { ...process.env, SOURCE_DATE_EPOCH: "315619200" } },
  );
}
