/**
 * apt, working in a folder of its own: the machine's mirrors, proxies and
 * transports, but none of its package lists, hooks, pins or trust. apt checks
 * the archive's signatures and does the solving.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Ran, run } from "../child.ts";
import { digestOfFile, sha256Hex } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import type { EnvironmentPackage } from "../lock/environment.ts";
import { byteOrder } from "../order.ts";
import { namesIn, removeTree } from "../tree.ts";
import { type AptSource, writeSources } from "./apt-sources.ts";
import { aptFailure } from "./apt-failure.ts";

const LONGEST = 20 * 60_000;

export interface Apt {
  /** Runs one of apt's programs; whatever it says comes back in English. */
  run: (program: string, args: readonly string[]) => Promise<Ran>;
  folder: string;
}

/** A package with the place that its archive serves it from. */
export interface ServedPackage extends EnvironmentPackage {
  uri: string;
}

/**
 * Runs `work` with a private apt whose package lists are fresh and whose
 * signatures hold. Throws `refused` for a signature that is wrong, missing or
 * too old, `outside` when the archive cannot be had, `lacking` without apt.
 */
export async function withApt<T>(
  cache: string,
  sources: readonly AptSource[],
  architecture: string,
  work: (apt: Apt) => Promise<T>,
): Promise<T> {
  const base = join(cache, "apt");
  await mkdir(base, { recursive: true });
  return await exclusively(
    join(base, "lock"),
    async () => {
      // What a killed process left behind: while we hold the lock, nobody uses it.
      for (const name of await namesIn(base)) if (name.startsWith(".tmp-")) await removeTree(join(base, name));
      const folder = join(base, `.tmp-${uniqueName(systemEntropy)}`);
      try {
        const key = sha256Hex(`${architecture}\n${writeSources(sources)}`).slice(0, 32);
        const lists = join(base, `lists-${key}`);
        await keepWhole(lists);
        const apt = await prepared(folder, lists, sources, architecture);
        const updated = await apt.run("apt-get", ["-q", "update"]);
        const failure = aptFailure(updated, "update");
        if (failure !== undefined) throw failure;
        await writeDurable(`${lists}.sums`, await sumsOf(lists));
        return await work(apt);
      } finally {
        await removeTree(folder);
      }
    },
    LONGEST,
  );
}

/**
 * The archive's lists stay from run to run, so that apt asks only whether they
 * are still current; ones that are not as they were left are fetched anew.
 */
async function keepWhole(lists: string): Promise<void> {
  const known = await readFile(`${lists}.sums`, "utf8").catch(() => undefined);
  if (known !== undefined && known === (await sumsOf(lists))) return;
  await removeTree(lists);
}

async function sumsOf(lists: string): Promise<string> {
  const names = (await namesIn(lists).catch(() => [])).filter((name) => name !== "partial" && name !== "lock");
  const lines: string[] = [];
  for (const name of names) {
    const digest = await digestOfFile(join(lists, name)).catch(() => "unreadable");
    lines.push(`${digest} ${name}\n`);
  }
  return lines.join("");
}

async function prepared(
  folder: string,
  lists: string,
  sources: readonly AptSource[],
  architecture: string,
): Promise<Apt> {
  for (const path of [join(lists, "partial"), join(folder, "archives/partial"), join(folder, "sources")]) {
    await mkdir(path, { recursive: true });
  }
  await writeFile(join(folder, "sources", "debian.sources"), writeSources(sources));
  await writeFile(join(folder, "status"), "");
  await writeFile(join(folder, "conf"), configuration(folder, lists, architecture));
  return {
    folder,
    run: async (program, args) =>
      await run(program, ["-c", join(folder, "conf"), ...args], {
        cwd: folder,
        env: { LC_ALL: "C.UTF-8", LANGUAGE: "", DEBIAN_FRONTEND: "noninteractive" },
        timeoutMilliseconds: LONGEST,
        maxBytes: 256 << 20,
      }).catch((error: unknown) => {
        throw withoutApt(error);
      }),
  };
}

/** Throws `lacking` where there is no apt. */
export async function mustHaveApt(): Promise<void> {
  await run("apt-get", ["--version"]).catch((error: unknown) => {
    throw withoutApt(error);
  });
}

function withoutApt(error: unknown): unknown {
  if (!(error instanceof BitforbitError) || error.code !== "lacking") return error;
  return new BitforbitError("lacking", "this machine has no apt, which resolves Debian packages", {
    cause: error,
    hint: "lock on a Debian or Ubuntu machine (or install the package apt); a lock that is there needs no apt while the cache is warm",
  });
}

/** Read after the machine's own configuration, so that this has the last word. apt.conf(5). */
function configuration(folder: string, lists: string, architecture: string): string {
  const set: Record<string, string> = {
    "APT::Architecture": architecture,
    "APT::Install-Recommends": "false",
    "APT::Install-Suggests": "false",
    "APT::Sandbox::User": "root",
    "APT::Get::AllowUnauthenticated": "false",
    "APT::Get::List-Cleanup": "false",
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::AllowWeakRepositories": "false",
    "Acquire::AllowDowngradeToInsecureRepositories": "false",
    "Acquire::Check-Date": "true",
    "Acquire::Check-Valid-Until": "true",
    "Acquire::ForceHash": "SHA256",
    "Acquire::GzipIndexes": "false",
    "Acquire::Languages": "none",
    "Acquire::Retries": "2",
    "Acquire::Retries::Delay::Maximum": "1",
    "Dir::Cache": folder,
    "Dir::Cache::archives": join(folder, "archives"),
    "Dir::Cache::pkgcache": "pkgcache.bin",
    "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
    "Dir::Etc::sourcelist": "/dev/null",
    "Dir::Etc::sourceparts": join(folder, "sources"),
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::Etc::trusted": "/dev/null",
    "Dir::Etc::trustedparts": "/dev/null",
    "Dir::State": folder,
    "Dir::State::lists": lists,
    "Dir::State::status": join(folder, "status"),
    "Dir::Log": folder,
    // apt takes itself for essential, which a build environment does not need.
    "pkgCacheGen::ForceEssential": ",",
  };
  const hooks = ["APT::Update", "DPkg", "APT::Architectures", "APT::Never-MarkAuto-Sections"];
  return [
    ...hooks.map((name) => `#clear ${name};`),
    ...Object.entries(set).map(([name, value]) => `${name} ${JSON.stringify(value)};`),
    `APT::Architectures { ${JSON.stringify(architecture)}; };`,
    "",
  ].join("\n");
}

/**
 * What apt's solver installs on an empty machine for `packages`: they, all
 * essential packages, and what those depend on. In byte order of name, then
 * architecture. Throws `input` for packages that do not exist or do not go together.
 */
export async function solve(apt: Apt, packages: readonly string[]): Promise<ServedPackage[]> {
  // Without it the solver takes `usrmerge`, with perl behind it: it converts old systems, and ours is merged from the start.
  const merged = (await known(apt, "usr-is-merged")) ? ["usr-is-merged"] : [];
  const args = ["-q", "-y", "--print-uris", "install", "?essential", ...merged, ...packages];
  const ran = await apt.run("apt-get", args);
  const failure = aptFailure(ran, "install");
  if (failure !== undefined) throw await withNearest(apt, failure, packages);
  const found = parseUris(Buffer.from(ran.stdout).toString());
  return found.sort((a, b) => byteOrder(a.name, b.name) || byteOrder(a.architecture, b.architecture));
}

async function known(apt: Apt, name: string): Promise<boolean> {
  const ran = await apt.run("apt-cache", ["-q", "show", name]);
  return ran.exitCode === 0 && ran.stdout.length > 0;
}

/** Lines of `--print-uris`: `'uri' name_version_architecture.deb size SHA256:hex`. Throws `outside` for others. */
export function parseUris(text: string): ServedPackage[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("'"))
    .map((line) => {
      const match = /^'([^']+)' ([^_\s]+)_([^_\s]+)_([a-z0-9-]+)\.deb ([0-9]+) SHA256:([0-9a-f]{64})$/.exec(
        line.trim(),
      );
      if (match === null) {
        throw new BitforbitError("outside", `apt does not say a package's SHA-256: ${line.slice(0, 200)}`, {
          hint: "the archive's index must have SHA256 fields",
        });
      }
      const [, uri = "", name = "", version = "", architecture = "", size, sha256 = ""] = match;
      return { name, version: version.replaceAll("%3a", ":"), architecture, sha256, size: Number(size), uri };
    });
}

/**
 * Where the archive serves exactly these versions now; those that it does not
 * serve are left out. apt answers for all or for none, so a list with gone ones in it is halved.
 */
export async function locate(apt: Apt, packages: readonly EnvironmentPackage[]): Promise<ServedPackage[]> {
  if (packages.length === 0) return [];
  const exact = packages.map(({ name, architecture, version }) => `${name}:${architecture}=${version}`);
  const ran = await apt.run("apt-get", ["-qq", "--print-uris", "download", ...exact]);
  if (ran.exitCode === 0) {
    const wanted = new Set(packages.map(({ sha256 }) => sha256));
    return parseUris(Buffer.from(ran.stdout).toString()).filter(({ sha256 }) => wanted.has(sha256));
  }
  if (packages.length === 1) return [];
  const half = Math.ceil(packages.length / 2);
  return [...(await locate(apt, packages.slice(0, half))), ...(await locate(apt, packages.slice(half)))];
}

const HELPERS = ["/usr/lib/apt/apt-helper", "/usr/libexec/apt/apt-helper"];

/** Downloads files through apt's transports, which check sizes and digests as they come. Throws `outside`. */
export async function download(apt: Apt, files: readonly { uri: string; to: string; sha256: string }[]): Promise<void> {
  const helper = HELPERS.find((path) => existsSync(path)) ?? "apt-helper";
  const args = files.flatMap(({ uri, to, sha256 }) => [uri, to, `SHA256:${sha256}`]);
  const ran = await apt.run(helper, ["-q", "download-file", ...args]).catch((error: unknown) => {
    if (systemCode(error) !== "E2BIG") throw error;
    throw new BitforbitError("limit", `${files.length} packages are too many for one download`, { cause: error });
  });
  const failure = aptFailure(ran, "download");
  if (failure !== undefined) throw failure;
}

async function withNearest(apt: Apt, failure: BitforbitError, packages: readonly string[]): Promise<BitforbitError> {
  const missing = /no package is called "([^"]+)"/.exec(failure.message)?.[1];
  if (missing === undefined || !packages.some((name) => name.startsWith(missing))) return failure;
  const names = Buffer.from((await apt.run("apt-cache", ["pkgnames"])).stdout)
    .toString()
    .split("\n");
  const near = nearest(missing, names);
  const search = "search with `apt-cache search WORD`, or `apt-file search PROGRAM`";
  return new BitforbitError(failure.code, failure.message, {
    cause: failure,
    hint: near.length === 0 ? search : `nearest: ${near.join(", ")}; or ${search}`,
  });
}

/** Up to three names that few edits lead to. */
export function nearest(wanted: string, names: readonly string[]): string[] {
  const most = Math.max(1, Math.floor(wanted.length / 4));
  return names
    .filter((name) => name !== "" && Math.abs(name.length - wanted.length) <= most)
    .map((name) => ({ name, edits: edits(wanted, name) }))
    .filter((one) => one.edits <= most)
    .sort((a, b) => a.edits - b.edits || byteOrder(a.name, b.name))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein's distance. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
