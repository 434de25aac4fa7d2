/**
 * Following a log: every checkpoint must start with the one before, and every
 * new entry is looked at. What was seen is remembered when it has been told, so
 * that a monitor that is ended tells a thing twice rather than never.
 */
import { join } from "node:path";
import { base64, hex, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { evidenceOf, evidenceText } from "./contradiction.ts";
import { type Entry, readEntry } from "./entry.ts";
import { readIfThere } from "./folder.ts";
import { startsWith } from "./mirror.ts";
import type { LogReader, SignedTree } from "./reader.ts";
import { TILE_WIDTH } from "./tile.ts";

/** What is one's own, and what of it one did. */
export interface Watch {
  /** base64 of the SHA-256 of a key's SubjectPublicKeyInfo, as `keys list` prints them. */
  keys: ReadonlySet<string>;
  /** Names in certificates: addresses of people, workflows. */
  names: ReadonlySet<string>;
  /** `sha256:…` of what is one's own, whoever signs it. */
  digests: ReadonlySet<string>;
  /** `sha256:…` of what one signed: entries about them by one's own keys and names are expected. */
  known: ReadonlySet<string>;
  /** Whether one made this entry: a ledger knows them by index. */
  made?: (origin: string, index: number) => boolean;
}

export type Alert =
  | {
      alert: "entry";
      origin: string;
      index: number;
      digest: string;
      keyId: string;
      names: string[];
      why: "key" | "name" | "digest";
    }
  | { alert: "split-view"; origin: string; first: number; second: number; evidence: string }
  | { alert: "older"; origin: string; size: number; seen: number }
  | { alert: "unreadable"; origin: string; index: number };

export interface Seen {
  origin: string;
  /** Entries before this look, and after it. */
  from: number;
  size: number;
}

/** One look at a log: tells what is new and wrong, then remembers the checkpoint in `folder`. */
export async function lookAt(
  log: LogReader,
  watch: Watch,
  folder: string,
  tell: (alert: Alert) => void,
): Promise<Seen> {
  const { origin } = log.identity;
  const state = join(folder, hex(sha256(utf8(`${origin}\n${base64(log.identity.keyHash)}`))).slice(0, 32));
  return await exclusively(`${state}.lock`, async () => {
    const newest = await log.newest();
    const held = await readIfThere(`${state}.checkpoint`);
    const before = held === undefined ? undefined : openCheckpoint(held, log.verifier);
    const from = before?.size ?? 0;
    const { size } = newest.checkpoint;
    if (before !== undefined && held !== undefined) {
      if (size < from) {
        // No proof of anything by itself: a cache may be old. But it must not stay so.
        tell({ alert: "older", origin, size, seen: from });
        return { origin, from, size: from };
      }
      if (!(await startsWith(newest.tree, before))) {
        const evidence = `${state}.contradiction.json`;
        await writeDurable(evidence, evidenceText(await evidenceOf(held, newest.note, newest.tree, from)));
        tell({ alert: "split-view", origin, first: from, second: size, evidence });
        return { origin, from, size: from };
      }
    }
    await scan(newest, from, watch, tell);
    if (newest.note !== held) await writeDurable(`${state}.checkpoint`, newest.note);
    return { origin, from, size };
  });
}

async function scan(
  { tree, checkpoint }: SignedTree,
  from: number,
  watch: Watch,
  tell: (alert: Alert) => void,
): Promise<void> {
  for (let tile = Math.floor(from / TILE_WIDTH); tile * TILE_WIDTH < tree.size; tile++) {
    const { content } = await tree.entries(tile);
    for (const [at, leaf] of content.entries()) {
      const index = tile * TILE_WIDTH + at;
      if (index < from) continue;
      const entry = readEntry(leaf);
      const { origin } = checkpoint;
      if (entry === undefined) {
        tell({ alert: "unreadable", origin, index });
        continue;
      }
      const why = reasonOf(entry, watch);
      if (why !== undefined && watch.made?.(origin, index) !== true)
        tell({ alert: "entry", origin, index, why, ...entry });
    }
  }
}

function reasonOf(entry: Entry, watch: Watch): "key" | "name" | "digest" | undefined {
  const own = watch.keys.has(entry.keyId)
    ? "key"
    : entry.names.some((name) => watch.names.has(name))
      ? "name"
      : undefined;
  if (own !== undefined) return watch.known.has(entry.digest) ? undefined : own;
  return watch.digests.has(entry.digest) ? "digest" : undefined;
}

/** Parses what is watched: `key ID`, `name NAME`, `digest sha256:…`, `known sha256:…` a line; `#` begins a comment. Throws `input`. */
export function parseWatch(content: string, what: string): Watch {
  const sets = { key: new Set<string>(), name: new Set<string>(), digest: new Set<string>(), known: new Set<string>() };
  for (const [number, line] of content.split("\n").entries()) {
    const words = line.replace(/(?:^|\s)#.*$/, "").trim();
    if (words === "") continue;
    const [, kind = "", value = ""] = /^(key|name|digest|known) (\S+)$/.exec(words) ?? [];
    const fits = {
      key: /^[A-Za-z0-9+/]{43}=$/,
      name: /./,
      digest: /^sha256:[0-9a-f]{64}$/,
      known: /^sha256:[0-9a-f]{64}$/,
    };
    if (!Object.hasOwn(sets, kind) || !fits[kind as keyof typeof fits].test(value)) {
      throw new BitforbitError(
        "input",
        `${what}, line ${number + 1}: ${JSON.stringify(words.slice(0, 100))} is nothing to watch`,
        {
          hint: "key ID (base64, as 'bitforbit keys list' prints it), name NAME, digest sha256:…, known sha256:…",
        },
      );
    }
    sets[kind as keyof typeof sets].add(value);
  }
  return { keys: sets.key, names: sets.name, digests: sets.digest, known: sets.known };
}
