/**
 * Builds of a check that has no verdict yet, so that one that was interrupted goes on where it was:
 *
 *     .bitforbit/builds/KEY/files/SHA-256      contents of outputs, each once
 *     .bitforbit/builds/KEY/WORLD-N.json       the N-th build in a world: what it gave, and its outputs by digest
 *
 * KEY is the digest of all that decides what a build gives besides its world. A build is there when its JSON is,
 * which gets its name when everything that it speaks of is on disk; an output that has not its digest any more is as
 * good as absent. Nothing here is evidence: `build` signs what it built itself.
 */
import { chmod, copyFile, constants, lstat, mkdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { digestOf, digestOfFile, hexOf, isDigest } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy, uniqueName } from "../entropy.ts";
import { messageOf, systemCode } from "../errors.ts";
import { canonicalJson, isObject, type Json, parseJson } from "../json.ts";
import { lockToml } from "../lock/lock-toml.ts";
import { MTIME_DELAY } from "../vary/worlds.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { namesIn, removeTree } from "../tree.ts";
import { VERSION } from "../version.ts";
import type { World } from "../world.ts";
import type { Seen } from "./builds.ts";
import type { Prepared } from "./prepare.ts";

/** Kept builds that nobody came back to. */
const ABANDONED_AFTER = 7 * 24 * 60 * 60 * 1000;

/** As it is kept: `modified` has the outputs' times, in their order, milliseconds. */
interface Entry {
  seen: Seen;
  modified: number[];
}

export interface KeptOptions {
  host: HostAbilities;
  /** Forget what an earlier run left. */
  fresh?: boolean;
  /** What could not be kept, in one line. */
  onWarning?: (line: string) => void;
  clock?: Clock;
  entropy?: Entropy;
}

/** The kept builds of this project as it is now. */
export async function openKept(prepared: Prepared, options: KeptOptions): Promise<KeptBuilds> {
  const all = join(prepared.home.root, "builds");
  const folder = join(all, keyOf(prepared, options.host));
  if (options.fresh === true) await removeTree(folder);
  const clock = options.clock ?? systemClock;
  for (const name of await namesOrNone(all)) {
    const stats = await lstat(join(all, name)).catch(() => undefined);
    if (stats !== undefined && clock.now() - stats.mtimeMs > ABANDONED_AFTER) await removeTree(join(all, name));
  }
  const there = new Map<string, Entry>();
  for (const name of await namesOrNone(folder)) {
    if (!/^[0-9a-f]{64}-\d+\.json$/.test(name)) continue;
    const entry = await readEntry(join(folder, name));
    if (entry !== undefined) there.set(name, entry);
  }
  return new KeptBuilds(folder, there, { ...options, clock });
}

async function namesOrNone(folder: string): Promise<string[]> {
  return await namesIn(folder).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  });
}

const jsonOf = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json;

const digestOfJson = (value: unknown): string => hexOf(digestOf(canonicalJson(jsonOf(value))));

function keyOf({ recipeDigest, source, lock }: Prepared, host: HostAbilities): string {
  return digestOfJson({
    bitforbit: VERSION,
    recipe: recipeDigest,
    source: [source.treeDigest, source.epoch],
    lock: digestOf(lockToml(lock)),
    machine: [host.cpus.length, host.ordering ?? "", host.aslrOff, host.lacks.map(({ what }) => what)],
  });
}

async function readEntry(file: string): Promise<Entry | undefined> {
  try {
    const value = parseJson(await readFile(file), file);
    if (!isObject(value) || !isObject(value["seen"] ?? null) || !Array.isArray(value["modified"])) return undefined;
    return value as unknown as Entry;
  } catch {
    return undefined; // it was not written by us, or is not whole: built anew
  }
}

export class KeptBuilds {
  readonly #folder: string;
  /** Of earlier runs: a build of this one never stands for another of it. */
  #there: ReadonlyMap<string, Entry>;
  readonly #options: KeptOptions & { clock: Clock };
  readonly #counts = new Map<string, number>();
  #used = 0;
  #kept = 0;

  constructor(folder: string, there: ReadonlyMap<string, Entry>, options: KeptOptions & { clock: Clock }) {
    this.#folder = folder;
    this.#there = there;
    this.#options = options;
  }

  /** How many builds an earlier run left. */
  get there(): number {
    return this.#there.size;
  }

  /** How many of them were used. */
  get used(): number {
    return this.#used;
  }

  /** How many a later run would find. */
  get kept(): number {
    return this.#kept + this.#used;
  }

  /** The name of the next build in `world`: builds in equal worlds are several. */
  place(world: World): string {
    const key = digestOfJson(world);
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    return `${key}-${count}.json`;
  }

  /** The build of that place, its outputs in `scratch`; undefined when it is to be built. */
  async take(place: string, scratch: string): Promise<Seen | undefined> {
    const entry = this.#there.get(place);
    if (entry === undefined) return undefined;
    const { result } = entry.seen;
    if (result.ok) {
      const folder = join(scratch, "outputs");
      for (const [index, { path, digest, executable }] of result.outputs.entries()) {
        const to = join(folder, path);
        await mkdir(dirname(to), { recursive: true });
        const whole = await this.#copied(digest, to);
        if (!whole) {
          await removeTree(folder);
          return undefined;
        }
        await chmod(to, executable ? 0o755 : 0o644);
        const at = (entry.modified[index] ?? 0) / 1000;
        await utimes(to, at, at);
      }
      result.folder = folder;
    }
    this.#used++;
    return entry.seen;
  }

  async #copied(digest: string, to: string): Promise<boolean> {
    if (!isDigest(digest)) return false;
    try {
      await copyFile(join(this.#folder, "files", hexOf(digest)), to, constants.COPYFILE_FICLONE);
    } catch (error) {
      if (systemCode(error) === "ENOENT") return false;
      throw error;
    }
    return (await digestOfFile(to)) === digest;
  }

  /** Real times of builds side by side lie apart; so shall those of builds before and after an interruption. */
  async settle(): Promise<void> {
    const ended = Math.max(0, ...[...this.#there.values()].map(({ seen }) => seen.times.end));
    const wait = Math.min(ended + MTIME_DELAY - this.#options.clock.now(), MTIME_DELAY);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }

  /**
   * Keeps a build that succeeded: one that fails may do so because we were told to end. One that cannot
   * be kept is built anew another time: that is said, and no reason to end.
   */
  async put(place: string, seen: Seen): Promise<void> {
    const { result } = seen;
    if (!result.ok) return;
    try {
      const files = join(this.#folder, "files");
      await mkdir(files, { recursive: true });
      const modified: number[] = [];
      for (const { path, digest } of result.outputs) {
        const from = join(result.folder, path);
        modified.push((await stat(from)).mtimeMs);
        const temporary = join(files, `.tmp-${uniqueName(this.#options.entropy ?? systemEntropy)}`);
        await copyFile(from, temporary, constants.COPYFILE_FICLONE);
        await rename(temporary, join(files, hexOf(digest)));
      }
      await writeDurable(join(this.#folder, place), JSON.stringify({ seen, modified }));
      this.#kept++;
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.#options.onWarning?.(`a build cannot be kept for a later run: ${messageOf(error)}`);
    }
  }

  /** There is a verdict, or what was built cannot be trusted. */
  async forget(): Promise<void> {
    this.#there = new Map();
    this.#kept = 0;
    this.#used = 0;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
