import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { utf8 } from "../bytes.ts";
import { withoutDigests } from "../diff/digest-names.ts";
import { treeFiles } from "../explain/bearing.ts";
import type { Cause } from "../explain/cause.ts";
import { type Explained, RENAMED } from "../explain/explain.ts";
import { movedLeaves } from "../explain/regions.ts";
import { scriptFiles } from "../explain/script-files.ts";
import { wroteAlone, wroteSideBySide } from "../explain/side-by-side.ts";
import { writerOf, type WriterQuestion } from "../explain/writer.ts";
import { readTrace } from "../sandbox/trace.ts";
import { hashOrder } from "../vary/hash-order.ts";
import { race } from "../vary/race.ts";
import { random } from "../vary/random.ts";
import type { Variation } from "../vary/variation.ts";
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
 * `world`, which is the second side's. An order in what processes wrote that ran
 * side by side is their race, whatever made it show. What the trace does not
 * tell stays as it is, and a build that fails while it is traced tells nothing.
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
  const moved = new Set([...movedLeaves(explained.map(({ leaf }) => leaf))].map(({ path }) => path.join("\0")));
  const mayRace = (cause: Cause): boolean =>
    cause.basis === "experiment" && (cause.name === "hash-order" || cause.name === "race" || moved.has(placeOf(cause)));
  // Delays before programs start keep those that run side by side there until the others come.
  const delays = causes.some(mayRace) ? { schedule: world.schedule ?? 1 } : {};
  const built = await options.build({ ...rest, ...delays, name: "traced", startDelay: 0 }, file);
  if (!built.result.ok)
    return { causes: [...causes], doubts: [`no commands are named: the traced build ${built.result.reason}`] };
  const folder = dirname(built.result.folder);
  const trace = await readTrace(file);
  const context = {
    buildPath: world.buildPath,
    sources: await scriptFiles(options.staged),
    tree: treeFiles(join(folder, "tree")),
  };
  // What is called by a digest has another name in this build.
  const names = new Map(built.result.outputs.map(({ path }) => [withoutDigests(path), path]));
  const nameIn = (artifact: string): string => {
    const name = artifact.split(RENAMED).at(-1) ?? artifact;
    return names.get(withoutDigests(name)) ?? name;
  };
  const bytesOf = new Map(explained.map(({ leaf }) => [leaf.path.join("\0"), leaf.bytesB]));
  const byTrace = (cause: Cause, order: boolean, question: WriterQuestion): Cause => {
    if (wroteSideBySide(question, trace, context)) return renamed(cause, race);
    if (cause.name !== "race" || !wroteAlone(question, trace, context)) return cause;
    return renamed(cause, order ? hashOrder : random);
  };
  const told = causes.map((cause, index): Cause => {
    if (cause.name === "consequence" || index >= MOST) return cause;
    const { artifact, leaf, evidence, basis } = cause;
    const whole = bytesOf.get(placeOf(cause));
    const question = {
      artifact: nameIn(artifact),
      leaf,
      evidence: basis === "watermark" || whole === undefined ? utf8(evidence.b) : whole,
      field: basis === "field" || whole === undefined,
      cause: cause.name,
    };
    const named = mayRace(cause) ? byTrace(cause, moved.has(placeOf(cause)), question) : cause;
    const command = writerOf(question, trace, context);
    return command === undefined ? named : { ...named, command };
  });
  await rm(folder, { recursive: true, force: true });
  await rm(file, { force: true });
  return { causes: onceEach(told), doubts: trace.doubts };
}

const placeOf = ({ artifact, leaf }: Cause): string => [artifact, ...leaf].join("\0");

function renamed({ with: _others, ...cause }: Cause, { name, remedy }: Pick<Variation, "name" | "remedy">): Cause {
  return { ...cause, name, remedy };
}

/** What several names stood for is told once. */
function onceEach(causes: readonly Cause[]): Cause[] {
  const seen = new Set<string>();
  return causes.filter((cause) => {
    if (cause.basis !== "experiment") return true;
    const { a, b } = cause.evidence;
    const key = [cause.name, ...(cause.with ?? []), placeOf(cause), a, b].join("\0");
    return !seen.has(key) && seen.add(key);
  });
}
