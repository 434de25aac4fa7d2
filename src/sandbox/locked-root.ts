import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { World } from "../world.ts";
import type { HostAbilities } from "./host.ts";
import type { Network } from "./sandbox.ts";
import { type Accounts, worldFiles } from "./world-files.ts";

export interface LayerPlan {
  world: World;
  host: HostAbilities;
  network: Network;
  /** The locked root, which nothing writes to. */
  root: string;
  /** Folder of this run in which the layer is made. */
  runFolder: string;
  /** Folders inside at which something is mounted. */
  folders: readonly string[];
  /** Files inside at which something is mounted. */
  files: readonly string[];
}

/**
 * The layer that lies over a locked root in one run: who and where the build
 * is, and places to mount at. Both layers are read-only, so that a run leaves
 * nothing behind in a root that others share. Gives the layer's folder.
 */
export function rootLayer(plan: LayerPlan): string {
  const layer = join(plan.runFolder, "layer");
  const etc = join(layer, "etc");
  for (const path of ["/etc", "/run/world", "/proc", "/dev", "/sys", "/tmp", "/var/tmp", ...plan.folders]) {
    if (path === "/etc" || path === "/run/world" || !isFolder(join(plan.root, path))) {
      mkdirSync(join(layer, path), { recursive: true });
    }
  }
  worldFiles(plan.world, plan.host, plan.network, etc, join(layer, "run/world/clock.so"), accountsOf(plan.root));
  for (const path of plan.files) {
    if (lstatSync(join(plan.root, path), { throwIfNoEntry: false })?.isFile() === true) continue;
    mkdirSync(dirname(join(layer, path)), { recursive: true });
    writeFileSync(join(layer, path), "");
  }
  return layer;
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

const MAX_BYTES = 1 << 20;

/** A root without the files has no users besides ours. A link in their place could lead to this machine's own. */
function accountsOf(root: string): Accounts {
  const read = (name: string): string => {
    const path = join(root, "etc", name);
    const stats = isFolder(dirname(path)) ? lstatSync(path, { throwIfNoEntry: false }) : undefined;
    return stats?.isFile() === true && stats.size <= MAX_BYTES ? readFileSync(path, "utf8") : "";
  };
  return { passwd: read("passwd"), group: read("group") };
}
