import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { HostAbilities } from "./host.ts";
import { mountsFirst, type Shown } from "./launch.ts";
import { rootLayer } from "./locked-root.ts";
import { type Place, placeInEtc, type SystemRoot, systemRoot } from "./rootfs.ts";
import type { SandboxSpec } from "./sandbox.ts";
import { readableByAll } from "./scratch.ts";
import { systemDevices, WORLD_FOLDER, worldFiles } from "./world-files.ts";

export interface RootPlan {
  spec: SandboxSpec;
  host: HostAbilities;
  /** Folder of this process's. */
  scratch: string;
  /** Folder of this run. */
  runFolder: string;
  /** The build's kernel uid, when we are root and drop it. */
  uid: number | undefined;
  shown: readonly Shown[];
  /** Small files that bubblewrap copies in. */
  files: readonly { to: string }[];
  /** What the machine's network configuration is made of. */
  networkPaths: readonly string[];
}

/** A folder whose mount points stand, and what is to be mounted there before bubblewrap shows all of it as the root. */
export interface RootTree {
  folder: string;
  binds: readonly { from: string; to: string }[];
}

/** How the root inside comes about: from layers, from a tree, or by bubblewrap's arguments alone. */
export interface Root {
  layers: string[] | undefined;
  tree: RootTree | undefined;
  args: readonly string[];
}

const LOCALES = "/usr/lib/locale";

let system: Promise<SystemRoot> | undefined;

/** The root inside: a locked one, with a layer of this run over it, or this machine's own system folders. */
export async function rootOf(plan: RootPlan): Promise<Root> {
  if (plan.spec.root !== undefined) return readableByAll(() => lockedRoot(plan, plan.spec.root ?? ""));
  system ??= systemRoot(join(plan.scratch, "etc"));
  const base = await system;
  return readableByAll(() => hostRoot(plan, base));
}

function lockedRoot(plan: RootPlan, root: string): Root {
  const { spec, host, runFolder } = plan;
  const { world, network } = spec;
  const added = addedTo(plan);
  const places = [...plan.shown, ...added.filter(isShown)];
  const folders = [world.user.home, spec.directory, ...places.filter(isFolder).map(({ to }) => to)];
  const files = [...places.filter((place) => !isFolder(place)), ...plan.files].map(({ to }) => to);
  const layer = rootLayer({ world, host, network, root, runFolder, folders, files });
  return { layers: [layer, root], tree: undefined, args: argumentsFor(added) };
}

/** What every root gets from us. */
function addedTo({ spec, host, scratch }: RootPlan): Place[] {
  return [
    ...(host.locales === undefined ? [] : [{ to: LOCALES, from: host.locales.folder }]),
    { to: "/sys", from: systemDevices(spec.world, host, scratch) },
  ];
}

function hostRoot(plan: RootPlan, base: SystemRoot): Root {
  const { home } = plan.spec.world.user;
  for (const path of plan.networkPaths) if (path.startsWith("/etc/")) placeInEtc(base, path);
  const places = [...base.places, { to: WORLD_FOLDER, from: worldFolder(plan) }, ...addedTo(plan)];
  const hidden = base.hidden.flatMap((path) => ["--tmpfs", path, "--remount-ro", path]);
  if (mountsFirst(plan)) return { layers: undefined, tree: treeOf(plan, places), args: hidden };
  const above = foldersAbove([home, ...plan.spec.mounts.map(({ to }) => to)]).map((to) => ({ to }));
  return { layers: undefined, tree: undefined, args: [...argumentsFor([...places, ...above]), ...hidden] };
}

type ShownPlace = Extract<Place, { from: string }>;

const isShown = (place: Place): place is ShownPlace => "from" in place;

const isFolder = ({ from }: { from: string }): boolean => statSync(from).isDirectory();

function argumentsFor(places: readonly Place[]): string[] {
  return places.flatMap((place) => {
    if ("from" in place) return ["--ro-bind", place.from, place.to];
    if ("link" in place) return ["--symlink", place.link, place.to];
    return ["--perms", "0755", "--dir", place.to];
  });
}

/** Folders of this process's that runs share, since nothing writes there, by what they are made of. */
const made = new Map<string, string>();

function madeOnce(scratch: string, what: string, from: unknown, make: (folder: string) => void): string {
  const key = `${what} ${JSON.stringify(from)}`;
  const known = made.get(key);
  if (known !== undefined) return known;
  const folder = join(scratch, `${what}-${made.size}`);
  mkdirSync(folder);
  make(folder);
  made.set(key, folder);
  return folder;
}

/** The folder with what /etc says about the world, and the library that shifts its clock. */
function worldFolder({ spec, host, scratch }: RootPlan): string {
  const { world, network } = spec;
  const { user, hostname, clockOffset, clockHeld, fileOffset } = world;
  const parts = [user, hostname, clockOffset, clockHeld, fileOffset, network, host.clockShift, host.faketime];
  // With the network, files of this machine are copied, which may change.
  const from = network === "none" ? parts : made.size;
  return madeOnce(scratch, "world", from, (folder) =>
    worldFiles(world, host, network, folder, join(folder, "clock.so")),
  );
}

/**
 * The same as a folder: bubblewrap reads the machine's table of mounts once for every argument that shows something, and
 * a mount of our own takes a tenth of that.
 */
function treeOf({ spec, scratch, shown, files }: RootPlan, places: readonly Place[]): RootTree {
  const bound = places.filter(isShown);
  // What lies below another place is there when that is.
  const covered = (path: string): boolean => bound.some(({ to }) => path.startsWith(`${to}/`));
  const missing = (paths: readonly string[]): string[] => paths.filter((path) => !covered(path));
  const links = places.flatMap((place) => ("link" in place ? [{ to: place.to, link: place.link }] : []));
  const own = ["/proc", "/dev", "/tmp", spec.world.user.home, ...shown.filter(isFolder).map(({ to }) => to)];
  const folders = missing([...places.flatMap((place) => ("link" in place ? [] : [place.to])), ...own]);
  const mounted = missing([...shown.filter((one) => !isFolder(one)), ...files].map(({ to }) => to));
  const folder = madeOnce(scratch, "root", [folders, links, mounted], (root) => {
    for (const path of folders) mkdirSync(join(root, path), { recursive: true });
    for (const { to, link } of links) symlinkSync(link, join(root, to));
    for (const path of mounted) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), "");
    }
  });
  return { folder, binds: bound.map(({ from, to }) => ({ from, to: join(folder, to) })) };
}

/** Folders that lead to mount points, open to all: those that bubblewrap makes by itself are closed. */
function foldersAbove(paths: readonly string[]): string[] {
  const folders: string[] = [];
  for (const path of paths) {
    const parts = path.split("/").slice(1, -1);
    if (/^(?:usr|opt|bin|sbin|lib\w*|proc|dev|etc|sys|tmp)$/.test(parts[0] ?? "")) continue;
    parts.forEach((_, index) => folders.push(`/${parts.slice(0, index + 1).join("/")}`));
  }
  return [...new Set(folders)];
}
