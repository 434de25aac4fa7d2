/** The .deb files of an environment: into the cache by digest, checked at each use. */
import { warningsOf } from "./context.ts";
import { copyFile, lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { digestOfFile } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { DebianEnvironment, EnvironmentPackage } from "../lock/environment.ts";
import { type Apt, download, locate, mustHaveApt, type ServedPackage, withApt } from "./apt.ts";
import { type AptSource, machineSources, sourcesFor } from "./apt-sources.ts";
import { checkBody, keepBody } from "./bodies.ts";
import type { DebianContext } from "./debian.ts";

/** This machine's Debian archives, turned towards a suite. Throws `lacking` without apt, archive or keys. */
export async function debianSources(
  context: DebianContext,
  suite: string,
  components: readonly string[],
): Promise<AptSource[]> {
  await mustHaveApt();
  return sourcesFor(await machineSources(context.aptFolder ?? "/etc/apt"), suite, components);
}

/** Fetches what the cache does not have, from where apt says. Throws `outside`. */
export async function fetchServed(apt: Apt, served: readonly ServedPackage[], context: DebianContext): Promise<void> {
  const missing = await missingOf(served, context);
  if (missing.length === 0) return;
  const bytes = missing.reduce((sum, { size }) => sum + size, 0);
  context.onProgress?.(`fetching ${missing.length} packages, ${(bytes / 1e6).toFixed(1)} MB`);
  const folder = join(apt.folder, "fetched");
  await mkdir(folder, { recursive: true });
  const files = missing.map((one) => ({ ...one, to: join(folder, one.sha256) }));
  await download(apt, files);
  for (const { name, version, sha256, to: linked } of files) {
    context.signal?.throwIfAborted();
    const to = await ownFile(linked);
    const digest = await digestOfFile(to);
    if (digest !== `sha256:${sha256}`) {
      throw new BitforbitError("outside", `${name} ${version} came with the digest ${digest}, and not ${sha256}`, {
        hint: "something on the way changes files: use another mirror or network",
      });
    }
    await keepBody(context.cache, to, sha256);
  }
}

/** For a mirror on this machine apt gives a link to its file: a copy is ours alone. */
async function ownFile(path: string): Promise<string> {
  if (!(await lstat(path)).isSymbolicLink()) return path;
  await copyFile(path, `${path}.copy`);
  return `${path}.copy`;
}

async function missingOf<T extends EnvironmentPackage>(packages: readonly T[], context: DebianContext): Promise<T[]> {
  const say = warningsOf(context);
  const missing: T[] = [];
  for (const one of packages) {
    if (!(await checkBody(context.cache, one.sha256, `${one.name} ${one.version}`, say))) missing.push(one);
  }
  return missing;
}

/** Fetches by digest what the cache does not have. Throws `outside` and names what the archive no longer serves. */
export async function fetchLocked(locked: DebianEnvironment, context: DebianContext): Promise<void> {
  const missing = await missingOf(locked.packages, context);
  if (missing.length === 0) return;
  const sources = await debianSources(context, locked.suite, locked.components);
  await withApt(context.cache, sources, locked.architecture, async (apt) => {
    const served = await locate(apt, missing);
    const found = new Set(served.map(({ sha256 }) => sha256));
    const gone = missing.filter(({ sha256 }) => !found.has(sha256));
    if (gone.length > 0) throw goneError(gone);
    await fetchServed(apt, served, context);
  });
}

function goneError(gone: readonly EnvironmentPackage[]): BitforbitError {
  const named = gone.slice(0, 5).map(({ name, version, architecture }) => `${name} ${version} (${architecture})`);
  const more = gone.length > 5 ? ` and ${gone.length - 5} more` : "";
  return new BitforbitError("outside", `the archive no longer serves ${named.join(", ")}${more} as locked`, {
    hint: "copy cache/bodies from where the lock was made, point apt at an archive of the past, or lock again",
  });
}
