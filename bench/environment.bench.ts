import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bodyPath } from "../src/body-path.ts";
import { openDebian, resolveDebian } from "../src/environment/debian.ts";
import { probeHost } from "../src/sandbox/host.ts";
import { median } from "./paired.ts";
import type { Row } from "./run.ts";

const RUNS = 3;
const LISTS: readonly (readonly string[])[] = [["gcc", "make", "libc6-dev"], ["build-essential"]];

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
  const name = packages.join(" ");
  const cold = median(ours) / 1000;
  return [
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
