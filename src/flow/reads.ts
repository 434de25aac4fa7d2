/** What a build really read, and what of it is locked. */
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { digestOfFile, hexOf } from "../digest.ts";
import { byteOrder } from "../order.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { observeReads, type Reads, type ReadsObserver } from "../sandbox/reads.ts";
import { type Place, readsAgainst, type ReadsAgainstLock } from "../sandbox/reads-against.ts";
import { packageOwners, type PackageOwners } from "../sandbox/reads-packages.ts";
import { toolchain, type ToolInUse } from "../sandbox/reads-toolchain.ts";
import { runSandboxed } from "../sandbox/sandbox.ts";
import { walkTree } from "../tree.ts";
import type { World } from "../world.ts";
import type { Prepared } from "./prepare.ts";

/** What the verdict tells of it. */
export interface MaterialsRead extends ReadsAgainstLock {
  /** Compiler, linker, interpreter, build tool: those that ran. */
  tools: ToolInUse[];
}

/** Where the sandbox puts its own: who the build is, the proxy's settings, locales, the clock. */
const OWN = [
  "/tmp",
  "/run",
  "/dev",
  "/proc",
  "/sys",
  "/usr/lib/locale",
  ...["passwd", "group", "hostname", "hosts", "nsswitch.conf", "resolv.conf", "ld.so.preload", "faketimerc"].map(
    (name) => `/etc/${name}`,
  ),
];

/** An observer for one build; `world`: in which it is built. */
export async function observer(prepared: Prepared, world: World): Promise<ReadsObserver> {
  return await observeReads({ cache: prepared.home.shared, except: ["/tmp", world.user.home] });
}

/** What was seen, set against the lock. `answered`: purls that the build asked the recording for. */
export async function materialsRead(
  prepared: Prepared,
  world: World,
  reads: Reads,
  answered: ReadonlySet<string>,
  host: HostAbilities,
): Promise<MaterialsRead> {
  const { lock, root, staged } = prepared;
  const base = root?.folder ?? "/";
  const places: Place[] = [
    { at: "/", holds: "environment" },
    { at: "/deps", holds: "dependencies" },
    { at: world.buildPath, holds: "source" },
    ...[...OWN, world.user.home].map((at): Place => ({ at, holds: "own" })),
  ];
  const elsewhere = places.filter(({ at }) => at !== "/").map(({ at }) => at);
  const inRoot = reads.opened.filter((path) => !elsewhere.some((at) => path === at || path.startsWith(`${at}/`)));
  const owners = await packageOwners(base, inRoot);
  const against = readsAgainst(
    { environment: lock.environment, materials: lock.materials, places, owners, sourceFiles: await filesOf(staged) },
    reads,
  );
  const programs = (reads.executed ?? inRoot).filter((path) => inRoot.includes(path));
  const { read, unread } = against.dependencies;
  const dependencies = {
    read: [...new Set([...read, ...unread.filter((purl) => answered.has(purl))])].sort(byteOrder),
    unread: unread.filter((purl) => !answered.has(purl)),
  };
  return { ...against, dependencies, tools: await toolsOf(programs, base, owners, prepared, world, host) };
}

async function filesOf(folder: string): Promise<Set<string>> {
  const files = new Set<string>();
  for await (const { path, type } of walkTree(folder)) if (type === "file") files.add(path);
  return files;
}

async function toolsOf(
  programs: readonly string[],
  base: string,
  owners: PackageOwners | undefined,
  prepared: Prepared,
  world: World,
  host: HostAbilities,
): Promise<ToolInUse[]> {
  return await toolchain(
    programs.filter((path) => isInside(base, path)),
    {
      sha256: async (path) => hexOf(await digestOfFile(join(base, path))),
      packageVersion: (path) => owners?.get(path)?.[0]?.version,
      askVersion: async (path) => await saidVersion(path, prepared, world, host),
    },
  );
}

/** A file of the root itself: links in it are followed by nobody out here. */
function isInside(base: string, path: string): boolean {
  const file = join(base, path);
  return existsSync(file) && realpathSync(file) === join(realpathSync(base), path);
}

const VERSION_LIMITS = {
  timeoutSeconds: 10,
  memoryBytes: 2 ** 30,
  processes: 64,
  diskBytes: 1 << 20,
  logBytes: 4096,
};

/** First line of what `PROGRAM --version` says in the build's own environment. */
async function saidVersion(
  path: string,
  { root, home }: Prepared,
  world: World,
  host: HostAbilities,
): Promise<string | undefined> {
  const folder = mkdtempSync(join(home.scratch, "version-"));
  const log = join(folder, "log");
  try {
    const ran = await runSandboxed(
      {
        world,
        ...(root === undefined ? { hostPaths: [path] } : { root: root.folder }),
        command: [path, "--version"],
        directory: world.user.home,
        mounts: [],
        environment: {},
        network: "none",
        limits: VERSION_LIMITS,
        log,
      },
      host,
    );
    if (ran.exitCode !== 0) return undefined;
    const [line = ""] = readFileSync(log, "utf8").trim().split("\n");
    return /\d/.test(line) ? line.slice(0, 200) : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
