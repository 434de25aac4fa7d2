import { mkdtempSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { HostAbilities } from "../sandbox/host.ts";
import { scratchFolder } from "../sandbox/scratch.ts";
import { removeTree } from "../tree.ts";
import type { Lack, World } from "../world.ts";

/** Where a build's tree lies. */
export interface Place {
  tree: string;
  lacks: Lack[];
  /** Gives back what lies outside the caller's scratch folder. */
  leave: () => Promise<void>;
}

/** statfs(2), f_type. */
const TMPFS = 0x0102_1994;

/** A build in less memory than this would fail for that, and not for the kind of file system. */
const LEAST_BYTES = 2 ** 31;

/** A place for the tree of a build in `world`, in `scratch` or, where the world has it so, in memory. */
export async function placeFor(
  world: World,
  host: HostAbilities,
  scratch: string,
  limits: { diskBytes: number },
): Promise<Place> {
  const usual = { tree: join(scratch, "tree"), leave: async () => undefined };
  const lacking = (what: string, remedy: string): Place => ({
    ...usual,
    lacks: [{ what, remedy, causes: ["filesystem"] }],
  });
  if (world.fileSystem === undefined) return { ...usual, lacks: [] };
  if (statfsSync(scratch).type === TMPFS) {
    return lacking("builds lie on a tmpfs in every world", "set BITFORBIT_HOME to a folder on a disk");
  }
  const folder = await scratchFolder(host);
  const { type, bavail, bsize } = statfsSync(folder);
  if (type !== TMPFS || bavail * bsize < Math.min(limits.diskBytes, LEAST_BYTES)) {
    return lacking("no tmpfs with room for a build", "mount a larger /dev/shm (mount -o remount,size=50% /dev/shm)");
  }
  const above = mkdtempSync(join(folder, "tree-"));
  return { tree: join(above, "tree"), lacks: [], leave: () => removeTree(above) };
}
