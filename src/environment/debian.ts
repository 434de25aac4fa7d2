/** The `debian` environment: from a suite and a list of packages to a pinned root file system. */
import { existsSync } from "node:fs";
import { sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { canonicalJson } from "../json.ts";
import type { DebianEnvironment } from "../lock/environment.ts";
import { solve, withApt } from "./apt.ts";
import { assemble } from "./assemble.ts";
import { type EnvironmentContext, type EnvironmentRoot, warningsOf } from "./context.ts";
import { debianSources, fetchLocked, fetchServed } from "./debs.ts";
import { checkLocked } from "./debian-lock.ts";
import { byteOrder } from "../order.ts";
import { cachedRoot, keepRoot, knownDigest, type RootCheck, unconfirmedRoot } from "./roots.ts";

/** What a recipe says of a Debian environment. */
export interface DebianSpec {
  suite: string;
  components: readonly string[];
  packages: readonly string[];
  /** Debian's word; undefined: this machine's. */
  architecture: string | undefined;
}

export interface DebianContext extends EnvironmentContext {
  /** Where apt's sources are: "/etc/apt". */
  aptFolder?: string;
  /** How a cached root is checked before it is used: `changes` unless told. */
  check?: RootCheck;
}

/** Changes when assembling changes what comes out. */
const ASSEMBLY = 1;

/**
 * Resolves with apt's solver, fetches and assembles. Uses the network. Throws
 * `input` for packages that do not exist or go together, `refused` for an
 * archive whose signature does not hold, `outside` when it cannot be had,
 * `lacking` for what this machine needs first.
 */
export async function resolveDebian(
  spec: DebianSpec,
  context: DebianContext,
): Promise<{ locked: DebianEnvironment; root: EnvironmentRoot }> {
  checkSpec(spec);
  const say = context.onProgress ?? ((): void => {});
  const architecture = spec.architecture ?? ownArchitecture();
  const sources = await debianSources(context, spec.suite, spec.components);
  const packages = await withApt(context.cache, sources, architecture, async (apt) => {
    say(`resolving ${spec.packages.length} packages in ${spec.suite}`);
    const served = await solve(apt, spec.packages);
    mustRunHere(architecture);
    await fetchServed(apt, served, context);
    return served.map(({ name, version, architecture, sha256, size }) => ({
      name,
      version,
      architecture,
      sha256,
      size,
    }));
  });
  const unrooted: Omit<DebianEnvironment, "root"> = {
    type: "debian",
    pinned: true,
    suite: spec.suite,
    components: [...spec.components],
    requested: [...new Set(spec.packages)].sort(byteOrder),
    architecture,
    packages,
  };
  const root = await assembled(unrooted, context);
  return { locked: { ...unrooted, root: root.digest }, root };
}

/**
 * The root of a locked environment: from the cache, or fetched by digest and
 * assembled. Throws `refused` when what comes out is not what the lock says,
 * `input` for a lock that was tampered with, `outside` when the archive no
 * longer serves a package, `lacking`.
 */
export async function openDebian(locked: DebianEnvironment, context: DebianContext): Promise<EnvironmentRoot> {
  checkLocked(locked);
  const say = warningsOf(context);
  if (context.check === "later" && (await knownDigest(context.cache, keyOf(locked))) === locked.root) {
    const anew = async (): Promise<EnvironmentRoot> => await openDebian(locked, { ...context, check: "changes" });
    const there = unconfirmedRoot(context.cache, locked.root, say, anew);
    if (there !== undefined) return there;
  }
  const root = await assembled(locked, context, async () => {
    await fetchLocked(locked, context);
  });
  if (root.digest === locked.root) return root;
  throw new BitforbitError(
    "refused",
    `the locked packages give the root ${root.digest}, and the lock says ${locked.root}`,
    {
      hint: "the lock was edited by hand or made by another version of bitforbit: lock again and look at what changed",
    },
  );
}

/** The root of these packages: known already, or assembled now. */
async function assembled(
  locked: Omit<DebianEnvironment, "root">,
  context: DebianContext,
  fetch: () => Promise<void> = async () => {},
): Promise<EnvironmentRoot> {
  const say = warningsOf(context);
  const key = keyOf(locked);
  const known = async (alone: boolean): Promise<EnvironmentRoot | undefined> => {
    const digest = await knownDigest(context.cache, key);
    const options = { check: context.check === "contents" ? "contents" : "changes", alone } as const;
    return digest === undefined ? undefined : await cachedRoot(context.cache, digest, say, options);
  };
  const there = await known(false);
  if (there !== undefined) return there;
  mustRunHere(locked.architecture);
  await fetch();
  return await keepRoot(
    context.cache,
    key,
    say,
    () => known(true),
    async (folder) => {
      return await assemble(locked.packages, locked.architecture, folder, context);
    },
  );
}

/** What decides about a root: the packages and how they are put together. */
function keyOf(locked: Omit<DebianEnvironment, "root">): string {
  const packages = locked.packages.map(({ name, version, architecture, sha256 }) => {
    return { name, version, architecture, sha256 };
  });
  return sha256Hex(canonicalJson({ assembly: ASSEMBLY, architecture: locked.architecture, packages }));
}

function misspelt(what: string, value: string, hint: string): BitforbitError {
  return new BitforbitError("input", `not a ${what}: ${JSON.stringify(value.slice(0, 100))}`, { hint });
}

function checkSpec(spec: DebianSpec): void {
  if (!/^[a-z][a-z0-9.-]{0,63}$/.test(spec.suite)) throw misspelt("Debian suite", spec.suite, 'write it as "bookworm"');
  for (const one of spec.components) {
    if (!/^[a-z][a-z0-9-]{0,63}$/.test(one))
      throw misspelt("component", one, 'Debian has "main", "contrib", "non-free"');
  }
  for (const one of spec.packages) {
    if (!/^[a-z0-9][a-z0-9+.-]{0,127}(?::[a-z0-9-]{2,32})?(?:=[A-Za-z0-9.+~:-]{1,128})?$/.test(one)) {
      throw misspelt("package", one, 'write it as "gcc" or "gcc=4:12.2.0-3"');
    }
  }
  if (spec.architecture !== undefined && !/^[a-z0-9][a-z0-9-]{1,31}$/.test(spec.architecture)) {
    throw misspelt("Debian architecture", spec.architecture, 'write it as "amd64"');
  }
}

/** Debian's words for what Node calls `process.arch`. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "amd64",
  arm64: "arm64",
  arm: "armhf",
  ia32: "i386",
  ppc64: "ppc64el",
  s390x: "s390x",
  riscv64: "riscv64",
  loong64: "loong64",
};

export function ownArchitecture(): string {
  return ARCHITECTURES[process.arch] ?? process.arch;
}

/** Packages' scripts have to run: on this machine's processor, or in an emulator that the kernel knows. */
function mustRunHere(architecture: string): void {
  const own = ownArchitecture();
  if (architecture === own || (own === "amd64" && architecture === "i386")) return;
  const emulator =
    { amd64: "x86_64", arm64: "aarch64", armhf: "arm", ppc64el: "ppc64le" }[architecture] ?? architecture;
  if (existsSync(`/proc/sys/fs/binfmt_misc/qemu-${emulator}`)) return;
  throw new BitforbitError("lacking", `an environment for ${architecture} cannot be assembled on this ${own} machine`, {
    hint: `assemble it on an ${architecture} machine, or apt-get install qemu-user-static`,
  });
}
