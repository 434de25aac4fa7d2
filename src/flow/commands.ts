import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { utf8 } from "../bytes.ts";
import { treeFiles } from "../explain/bearing.ts";
import type { Cause } from "../explain/cause.ts";
import type { Explained } from "../explain/explain.ts";
import { scriptFiles } from "../explain/script-files.ts";
import { writerOf } from "../explain/writer.ts";
import { readTrace } from "../sandbox/trace.ts";
import type { World } from "../world.ts";
import type { Seen } from "./builds.ts";

export interface CommandsOptions {
  /** Builds once in this world and has what it does written to that file. */
  build: (world: World, trace: string) => Promise<Seen>;
  /** The source as it is built from. */
  staged: string;
  /** An empty folder's path, or one that does not exist yet. */
  scratch: string;
}

/** Places of one artifact that are followed: those after them come of the same commands. */
const MOST = 200;

/**
 * The causes with the commands that wrote their bytes, from a traced build in
 * `world`, which is the second side's. What the trace does not tell stays as it
 * is, and a build that fails while it is traced tells nothing.
 */
export async function withCommands(
  causes: readonly Cause[],
  explained: readonly Explained[],
  world: World,
  options: CommandsOptions,
): Promise<{ causes: Cause[]; doubts: string[] }> {
  const file = join(options.scratch, "trace");
  // On a disk, where the tree outlives the build, on no virtual machine, which is not traced, and without what only takes time.
  const { fileSystem: _, machine: __, load: ___, ...rest } = world;
  const built = await options.build({ ...rest, name: "traced", startDelay: 0 }, file);
  if (!built.result.ok)
    return { causes: [...causes], doubts: [`no commands are named: the traced build ${built.result.reason}`] };
  const folder = dirname(built.result.folder);
  const trace = await readTrace(file);
  const context = {
    buildPath: world.buildPath,
    sources: await scriptFiles(options.staged),
    tree: treeFiles(join(folder, "tree")),
  };
  const bytesOf = new Map(explained.map(({ leaf }) => [leaf.path.join("\0"), leaf.bytesB]));
  const told = causes.map((cause, index): Cause => {
    if (cause.name === "consequence" || index >= MOST) return cause;
    const { artifact, leaf, evidence, basis } = cause;
    const whole = bytesOf.get([artifact, ...leaf].join("\0"));
    const command = writerOf(
      {
        artifact,
        leaf,
        evidence: basis === "watermark" || whole === undefined ? utf8(evidence.b) : whole,
        field: basis === "field" || whole === undefined,
        cause: cause.name,
      },
      trace,
      context,
    );
    return command === undefined ? cause : { ...cause, command };
  });
  await rm(folder, { recursive: true, force: true });
  await rm(file, { force: true });
  return { causes: told, doubts: trace.doubts };
}
