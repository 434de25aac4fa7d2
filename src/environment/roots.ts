/**
 * Assembled roots by content: `<cache>/roots/<64 hexadecimal digits of the
 * root's digest>/root`, with `listing` beside it. An entry is made in a
 * temporary sibling and renamed, so it is whole or not there.
 *
 * `listing` has a line for every file: inode, size, change time and the line
 * that the digest is made of. Whoever changes a file, or puts one into a
 * folder, changes its change time, which cannot be set back: so at use every
 * entry is asked for these numbers, and only when one differs are contents digested again.
 */
import { lstatSync } from "node:fs";
import { chmod, mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOf, isDigest } from "../digest.ts";
import { spaceError, syncFolder, writeDurable } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { type ListedEntry, rootDigest } from "../root-digest.ts";
import { namesIn, removeTree } from "../tree.ts";
import type { EnvironmentRoot } from "./context.ts";

/** How much is looked at before a cached root is used. `later`: nothing, until the caller has it confirmed. */
export type RootCheck = "changes" | "contents" | "later";

const LONGEST_WAIT = 60 * 60_000;

export function rootsFolder(cache: string): string {
  return join(cache, "roots");
}

/**
 * The cached root with this digest, or undefined. One that was changed is
 * removed when we are `alone` (we hold the lock), and `say` names what changed.
 */
export async function cachedRoot(
  cache: string,
  digest: Digest,
  say: (line: string) => void,
  { check, alone }: { check: Exclude<RootCheck, "later">; alone: boolean },
): Promise<EnvironmentRoot | undefined> {
  const entry = join(rootsFolder(cache), hexOf(digest));
  const folder = join(entry, "root");
  let listing: string;
  try {
    listing = await readFile(join(entry, "listing"), "latin1");
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return undefined;
  }
  if (check === "changes" && unchanged(folder, listing)) return { folder, digest };
  const now = await rootDigest(folder).catch((error: unknown) => {
    if (error instanceof BitforbitError || systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (now?.digest === digest) {
    await writeDurable(join(entry, "listing"), Buffer.from(listed(folder, now.entries), "latin1"));
    return { folder, digest };
  }
  if (!alone) return undefined;
  say(`the cached environment ${digest} was changed (${firstChange(listing, now?.entries ?? [])}): it is made anew`);
  await removeTree(entry);
  return undefined;
}

/**
 * The root with this digest as it lies in the cache, to be confirmed once
 * something ran in it: to ask all its files takes several times as long as to
 * start a sandbox. `anew` makes it again when it turns out to be changed.
 */
export function unconfirmedRoot(
  cache: string,
  digest: Digest,
  say: (line: string) => void,
  anew: () => Promise<EnvironmentRoot>,
): EnvironmentRoot | undefined {
  const entry = join(rootsFolder(cache), hexOf(digest));
  if (lstatSync(join(entry, "listing"), { throwIfNoEntry: false }) === undefined) return undefined;
  return {
    folder: join(entry, "root"),
    digest,
    confirm: async () => {
      const there = await cachedRoot(cache, digest, say, { check: "changes", alone: false });
      return there === undefined ? await anew() : undefined;
    },
  };
}

/** The digest of the root that `key` was found to give; undefined when it was never made here. */
export async function knownDigest(cache: string, key: string): Promise<Digest | undefined> {
  try {
    const text = (await readFile(join(rootsFolder(cache), `${key}.digest`), "utf8")).trim();
    return isDigest(text) ? text : undefined;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Makes a root by `work`, which is given an empty folder of the same file
 * system and returns the root inside it, and keeps it. Of two processes that
 * make the same (`key`) one waits; `known` is then asked again.
 */
export async function keepRoot(
  cache: string,
  key: string,
  say: (line: string) => void,
  known: () => Promise<EnvironmentRoot | undefined>,
  work: (folder: string) => Promise<string>,
): Promise<EnvironmentRoot> {
  const base = rootsFolder(cache);
  await mkdir(base, { recursive: true });
  await chmod(base, 0o755);
  return await exclusively(
    join(base, `${key}.lock`),
    async () => {
      const there = await known();
      if (there !== undefined) return there;
      // What a killed process left: we hold its lock.
      for (const name of await namesIn(base)) {
        if (name.startsWith(`.tmp-${key}-`)) await removeTree(join(base, name));
      }
      const temporary = join(base, `.tmp-${key}-${uniqueName(systemEntropy)}`);
      try {
        await openFolder(temporary);
        const root = await published(cache, temporary, await work(temporary), say);
        // While we hold the lock: whoever waits for it asks for this.
        await writeDurable(join(base, `${key}.digest`), `${root.digest}\n`);
        return root;
      } catch (error) {
        throw spaceError(error, "assemble the environment", MORE_SPACE);
      } finally {
        await removeTree(temporary);
      }
    },
    LONGEST_WAIT,
  );
}

/** A folder that everyone may pass, whatever the umask is: builds may run as another user. */
async function openFolder(path: string): Promise<void> {
  await mkdir(path);
  await chmod(path, 0o755);
}

async function published(
  cache: string,
  temporary: string,
  root: string,
  say: (line: string) => void,
): Promise<EnvironmentRoot> {
  const { digest, entries } = await rootDigest(root);
  const made = join(temporary, "made");
  await openFolder(made);
  await rename(root, join(made, "root"));
  await writeDurable(join(made, "listing"), Buffer.from(listed(join(made, "root"), entries), "latin1"));
  const entry = join(rootsFolder(cache), hexOf(digest));
  // Another list of packages may have given the same root, which a build may be using.
  const there = await cachedRoot(cache, digest, say, { check: "contents", alone: true });
  if (there !== undefined) return there;
  await removeTree(entry);
  await rename(made, entry);
  await syncFolder(rootsFolder(cache));
  return { folder: join(entry, "root"), digest };
}

const MORE_SPACE = "free disk space, or set BITFORBIT_HOME to where there is more, then run again";

/** The last line: without it the listing is a part of one. */
const END = "end\n";

const NOTHING = "- - -";

/** `path`: Latin-1 text of bytes; "" is the root itself. */
function stamp(folder: string, path: string): string {
  const place = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, "latin1")]);
  const stats = lstatSync(path === "" ? folder : place, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? NOTHING : `${stats.ino} ${stats.size} ${stats.ctimeNs}`;
}

function listed(folder: string, entries: readonly ListedEntry[]): string {
  const lines = entries.map(({ path, line }) => `${stamp(folder, path)} ${line}`);
  return `${stamp(folder, "")} . - 0 \n${lines.join("")}${END}`;
}

interface Line {
  stamp: string;
  /** As the digest has it, without its line feed. */
  line: string;
  path: string;
}

function* linesOf(listing: string): Generator<Line> {
  for (const line of listing.split("\n")) {
    const match = /^(\S+ \S+ \S+) (\S+ (?:\S+ )?\S+ \d+ (.*))$/.exec(line);
    if (match !== null) yield { stamp: match[1] ?? "", line: match[2] ?? "", path: match[3] ?? "" };
  }
}

function unchanged(folder: string, listing: string): boolean {
  if (!listing.endsWith(`\n${END}`)) return false;
  for (const line of linesOf(listing)) {
    if (stamp(folder, line.path) !== line.stamp) return false;
  }
  return true;
}

function firstChange(listing: string, now: readonly ListedEntry[]): string {
  const before = new Map([...linesOf(listing)].map(({ path, line }) => [path, line]));
  for (const { path, line } of now) if (before.get(path) !== line.slice(0, -1)) return path;
  const present = new Set(now.map(({ path }) => path));
  return [...before.keys()].find((path) => path !== "" && !present.has(path)) ?? "its list of files";
}
