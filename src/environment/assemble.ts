/**
 * Puts a root together from .debs, each of whose digests was checked:
 *
 * 1. our own code unpacks every package but those that have a script to be run
 *    before (essential packages are unpacked first all the same, as all
 *    bootstrappers do: their scripts need each other's programs);
 * 2. the scripts to be run before unpacking (preinst) run;
 * 3. the packages that had to wait are unpacked, by the diversions that there now are;
 * 4. dpkg configures everything, which runs postinst and triggers;
 * 5. `settle` takes away what differs between machines.
 */
import { chmodSync, lchownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { availableParallelism } from "node:os";
import { BitforbitError } from "../errors.ts";
import type { EnvironmentPackage } from "../lock/environment.ts";
import { byteOrder } from "../order.ts";
import { freshBuildUid } from "../sandbox/host.ts";
import { walkTree } from "../tree.ts";
import { bodyPath } from "../body-path.ts";
import { type InsideContext, runInside, type ShiftedClock } from "./configure.ts";
import type { EnvironmentContext } from "./context.ts";
import { type ControlFiles, type UnpackedPackage, writeDatabase, writeInfo } from "./dpkg-database.ts";
import { RootPlan } from "./root-plan.ts";
import { settle } from "./settle.ts";
import { attempt, makeEntry, openData, readControl, unpackData, type UnpackTarget } from "./unpack.ts";

interface Pending {
  locked: EnvironmentPackage;
  path: string;
  control: ControlFiles;
}

/**
 * Assembles the packages, whose files are in the cache, in `folder/root`;
 * `folder` is empty and ours alone. Throws `lacking` where the architecture
 * cannot be run here, `input` when packages do not go together or a script
 * fails, `refused` for packages that are none, `outside` when the disk is full.
 */
export async function assemble(
  packages: readonly EnvironmentPackage[],
  architecture: string,
  folder: string,
  context: EnvironmentContext & { shiftedClock?: ShiftedClock },
): Promise<string> {
  const say = context.onProgress ?? ((): void => {});
  const uid = context.host.isolation === "dropped" ? freshBuildUid() : undefined;
  const inside: InsideContext = { host: context.host, uid, signal: context.signal, shiftedClock: context.shiftedClock };
  const [root, temporary] = [join(folder, "root"), join(folder, "work")];
  attempt("", () => [root, temporary].map((path) => mkdirSync(path, { mode: 0o755 })));
  chmodSync(root, 0o755);
  if (uid !== undefined) lchownSync(root, uid, uid);

  const pending = await controlsOf(packages, context.cache, temporary);
  const controls = new Map(pending.map(({ control }) => [control.infoName, control]));
  const target: UnpackTarget = { root, plan: new RootPlan(), temporary, controls, owner: uid, diversions: new Map() };
  target.plan.merge((path, entry) => makeEntry(path, entry, target));
  const base = essentialNames(controls.values());
  const waits = ({ control }: Pending): boolean => control.files.has("preinst") && !base.has(control.name);

  say(`unpacking ${packages.length} packages`);
  const first = pending.filter((one) => !waits(one));
  const unpacked = await unpackAll(first, target, context.signal);
  prepare(root, unpacked, architecture, uid);
  const later = pending.filter(waits);
  for (const { control } of later)
    writeInfo(join(root, "var/lib/dpkg/info"), { control, paths: [], conffileSums: new Map() });
  await give(join(root, "var/lib/dpkg"), uid);
  await runInside(root, preinstScript(pending), "running the packages' preinst scripts", inside);
  if (later.length > 0) {
    const again = { ...target, plan: await planOf(root, target.plan), diversions: diversionsOf(root) };
    unpacked.push(...(await unpackAll(later, again, context.signal)));
    // The list of packages that wait for configuration, with these in it.
    writeDatabase(root, unpacked, architecture);
    await give(join(root, "var/lib/dpkg"), uid);
  }
  say(`configuring ${packages.length} packages`);
  await runInside(root, configureScript(controls), "configuring the packages", inside);
  await settle(root, uid === undefined && process.getuid?.() !== 0 ? undefined : [0, 0]);
  return root;
}

/** Essential packages and whatever they need. */
function essentialNames(controls: Iterable<ControlFiles>): Set<string> {
  const all = [...controls];
  const byName = new Map<string, ControlFiles[]>();
  for (const one of all) {
    for (const name of [one.name, ...one.provides]) byName.set(name, [...(byName.get(name) ?? []), one]);
  }
  const found = new Set<string>();
  const queue = all.filter(({ essential }) => essential);
  for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
    if (found.has(one.name)) continue;
    found.add(one.name);
    for (const name of one.needs) queue.push(...(byName.get(name) ?? []));
  }
  return found;
}

/** Control files of all, in an order that is the same everywhere: base-files, whose folders all others use, then large to small. */
async function controlsOf(
  packages: readonly EnvironmentPackage[],
  cache: string,
  temporary: string,
): Promise<Pending[]> {
  const ordered = [...packages].sort(
    (a, b) =>
      late(a) - late(b) || b.size - a.size || byteOrder(a.name, b.name) || byteOrder(a.architecture, b.architecture),
  );
  return await pooled(ordered, async (locked) => {
    const path = bodyPath(cache, `sha256:${locked.sha256}`);
    return { locked, path, control: await readControl(path, locked, temporary) };
  });
}

const late = ({ name }: EnvironmentPackage): number => (name === "base-files" ? 0 : 1);

const AHEAD = Math.max(2, availableParallelism()) + 1;

async function pooled<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: AHEAD }, worker));
  return results;
}

/** Places packages one after the other, while the next ones are being decompressed. */
async function unpackAll(
  pending: readonly Pending[],
  target: UnpackTarget,
  signal: AbortSignal | undefined,
): Promise<UnpackedPackage[]> {
  const opened: ReturnType<typeof openData>[] = [];
  const unpacked: UnpackedPackage[] = [];
  const open = (one: Pending | undefined): void => {
    if (one === undefined) return;
    const data = openData(one.path, one.locked.name, target.temporary);
    data.catch(() => {}); // Whoever waits for it is told.
    opened.push(data);
  };
  try {
    for (let at = 0; at < AHEAD; at++) open(pending[at]);
    for (const [index, one] of pending.entries()) {
      signal?.throwIfAborted();
      const data = await opened[index];
      open(pending[index + AHEAD]);
      if (data === undefined) continue;
      try {
        unpacked.push(await unpackData(data.source, one.control, target));
      } finally {
        data.close();
      }
    }
    return unpacked;
  } finally {
    for (const data of opened.slice(unpacked.length)) await data.then((one) => one.close()).catch(() => {});
  }
}

/** The database, and what keeps packages from starting services. */
function prepare(
  root: string,
  unpacked: readonly UnpackedPackage[],
  architecture: string,
  uid: number | undefined,
): void {
  attempt("var/lib/dpkg", () => {
    writeDatabase(root, unpacked, architecture);
    mkdirSync(join(root, "usr/sbin"), { recursive: true });
    writeFileSync(join(root, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  });
  for (const path of ["var", "var/lib", "usr/sbin", "usr/sbin/policy-rc.d"]) {
    if (uid !== undefined) lchownSync(join(root, path), uid, uid);
  }
}

async function give(folder: string, uid: number | undefined): Promise<void> {
  if (uid === undefined) return;
  lchownSync(folder, uid, uid);
  for await (const { path } of walkTree(folder)) lchownSync(join(folder, path), uid, uid);
}

/** What stands in the root after scripts ran in it; owners are remembered. */
async function planOf(root: string, before: RootPlan): Promise<RootPlan> {
  const plan = new RootPlan();
  for await (const { path, type, target } of walkTree(root)) {
    const key = Buffer.from(path).toString("latin1");
    const owner = before.get(key)?.owner;
    if (type === "link") plan.set(key, { kind: "link", owner, target: Buffer.from(target ?? "").toString("latin1") });
    else plan.set(key, { kind: type === "directory" ? "directory" : "file", owner });
  }
  return plan;
}

/** `var/lib/dpkg/diversions`: three lines each, dpkg-divert(1). */
function diversionsOf(root: string): Map<string, { to: string; by: string }> {
  const lines = readFileSync(join(root, "var/lib/dpkg/diversions"), "latin1").split("\n");
  const diversions = new Map<string, { to: string; by: string }>();
  for (let at = 0; at + 2 < lines.length; at += 3) {
    const [from = "", to = "", by = ""] = lines.slice(at, at + 3);
    if (from.startsWith("/") && to.startsWith("/")) diversions.set(from.slice(1), { to: to.slice(1), by });
  }
  return diversions;
}

/** Names that come from packages stand in scripts: dpkg's own rules for names leave nothing to quote. */
function checkedName(name: string): string {
  if (/^[a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?$/.test(name)) return name;
  throw new BitforbitError("refused", `not a package's name: ${JSON.stringify(name)}`);
}

const turn = ({ control }: Pending): number => (control.name === "base-passwd" ? 0 : control.essential ? 1 : 2);

/** As dpkg runs preinst: from `tmp.ci`, with the control files beside it. */
function preinstScript(pending: readonly Pending[]): string {
  const having = pending.filter(({ control }) => control.files.has("preinst"));
  const lines = having
    .sort((a, b) => turn(a) - turn(b) || byteOrder(a.control.infoName, b.control.infoName))
    .map(({ control, locked }) => {
      return `before ${checkedName(control.name)} ${checkedName(locked.architecture)} ${checkedName(control.infoName)}`;
    });
  return `set -e
cd /var/lib/dpkg
before() {
  rm -rf tmp.ci; mkdir tmp.ci
  for file in "info/$3".*; do cp -p "$file" "tmp.ci/\${file##*.}"; done
  (cd / && DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_MAINTSCRIPT_ARCH=$2 \\
    DPKG_MAINTSCRIPT_NAME=preinst DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= DPKG_RUNNING_VERSION=1.21 \\
    /var/lib/dpkg/tmp.ci/preinst install </dev/null) || { echo "preinst of $1 failed"; exit 1; }
}
${lines.join("\n")}
rm -rf tmp.ci
`;
}

/** Scripts may count on awk, passwd and base-files' folders whether they depend on them or not: those come first. */
const EARLY = ["base-passwd", "mawk", "gawk", "original-awk", "base-files", "dash", "debconf"];

function configureScript(controls: ReadonlyMap<string, ControlFiles>): string {
  const early = EARLY.filter((name) => controls.has(name)).map(
    (name) => `dpkg $options --force-depends --configure ${name}`,
  );
  return `set -e
exec </dev/null
options="--log=/dev/null --force-confold --no-triggers"
${early.join("\n")}
options="--log=/dev/null --force-confold"
dpkg $options --configure --pending
left=$(dpkg-query -W -f '\${db:Status-Abbrev} \${binary:Package}\\n' | while read -r state name; do [ "$state" = ii ] || echo "$name is $state"; done)
[ -z "$left" ] || { echo "not configured: $left"; exit 1; }
`;
}
