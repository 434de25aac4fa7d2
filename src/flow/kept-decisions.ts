/**
 * Decisions kept between runs, for batches: of one set of rules one file in the
 * user's own cache, never in a project's home, which may have come with the
 * project. A file allows what it says, so it is believed only when nobody else
 * can have written it:
 *
 * - folder and file are this user's, nobody else may write them, none is a link;
 * - its first line is an HMAC over the rest. The key is a file beside it, mixed
 *   with the number of this boot: a cache that was carried here from another
 *   machine, or restored from a build service's, is not believed;
 * - each decision is about its own digest and these very rules, allows, was made
 *   before now and ends after it, a day after it was made at the latest.
 *
 * Whatever does not hold means that there is no cache, and all is verified.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { concat, utf8 } from "../bytes.ts";
import { sha256, sha256Hex } from "../digest.ts";
import { createDurable, writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy } from "../entropy.ts";
import { systemCode } from "../errors.ts";
import { isObject, type Json, parseJson } from "../json.ts";
import type { Decision } from "../policy/decision.ts";
import { namesIn } from "../tree.ts";
import { VERSION } from "../version.ts";

const DAY = 86_400_000;
const MAX_DECISIONS = 10_000;
const MAX_BYTES = 64 << 20;
const MAX_FILES = 16;
const FORM = `kept-decisions/1 ${VERSION}`;

interface Kept {
  at: number;
  until: number;
  decision: Decision;
}

export interface KeptDecisions {
  /** The decision on a digest, and when it was made. */
  find(digest: string, now: number): { decision: Decision; at: number } | undefined;
  /** `until`: when it may change, milliseconds since 1970. */
  keep(decision: Decision, now: number, until: number): void;
  /** Writes what is new. */
  save(): Promise<void>;
  /** Why nothing of before is believed, where there was something. */
  refusal: string | undefined;
}

export interface KeptOptions {
  entropy?: Entropy;
  /** The number of this boot; tests have others. */
  boot?: string;
  /** Decisions in one file. */
  most?: number;
}

/** The decisions under `rules` (their digest) in `folder`. Never throws for what it finds there. */
export async function openKeptDecisions(
  folder: string,
  rules: string,
  now: number,
  options: KeptOptions = {},
): Promise<KeptDecisions> {
  const { most = MAX_DECISIONS } = options;
  const path = join(folder, `${sha256Hex(utf8(`${FORM} ${rules}`)).slice(0, 32)}.decisions`);
  const known = new Map<string, Kept>();
  let fresh = false;
  let refusal: string | undefined;
  let key: Uint8Array | undefined;
  try {
    key = await keyOf(folder, options);
    const read = await readOwn(path, MAX_BYTES);
    if (read !== undefined) for (const [digest, kept] of decisionsOf(read, key, rules, now)) known.set(digest, kept);
  } catch (error) {
    refusal = error instanceof Error ? error.message : String(error);
  }
  return {
    refusal,
    find: (digest, at) => {
      const kept = known.get(digest);
      return kept === undefined || at < kept.at || at >= kept.until ? undefined : kept;
    },
    keep: (decision, at, until) => {
      if (!decision.ok || until <= at || decision.facts.rules !== rules) return;
      known.delete(decision.facts.digest);
      known.set(decision.facts.digest, { decision, at, until: Math.min(until, at + DAY) });
      fresh = true;
    },
    save: async () => {
      if (!fresh || key === undefined) return;
      const lines = [...known].slice(-most).map(([, kept]) => JSON.stringify(kept));
      const body = utf8(lines.join("\n"));
      if (body.length > MAX_BYTES - 100) return;
      await writeDurable(path, concat([utf8(`${macOf(key, rules, body).toString("hex")}\n`), body]), { mode: 0o600 });
      await dropOldest(folder);
    },
  };
}

/** What the HMAC is made with. Throws where the folder or the key is not this user's alone. */
async function keyOf(folder: string, { entropy = systemEntropy, boot }: KeptOptions): Promise<Uint8Array> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const stats = await lstat(folder);
  if (!stats.isDirectory() || !isOwn(stats) || (stats.mode & 0o022) !== 0) {
    throw new Error(`${folder} is not this user's alone`);
  }
  const path = join(folder, "key");
  if ((await readOwn(path, 64)) === undefined) await createDurable(path, entropy.bytes(32), { mode: 0o600, entropy });
  const secret = await readOwn(path, 64);
  if (secret?.length !== 32) throw new Error(`${path} is no key`);
  const number = boot ?? (await readFile("/proc/sys/kernel/random/boot_id", "utf8"));
  return sha256(concat([secret, utf8(`${FORM} ${number} ${process.geteuid?.()}`)]));
}

const isOwn = ({ uid }: { uid: number }): boolean => uid === process.geteuid?.();

/** Undefined where there is none. Throws for a file that others may have written. */
async function readOwn(path: string, most: number): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = await file.stat();
      const alone = stats.isFile() && isOwn(stats) && (stats.mode & 0o077) === 0 && stats.nlink === 1;
      if (!alone) throw new Error(`${path} is not this user's alone`);
      if (stats.size > most) throw new Error(`${path} is larger than ${most} bytes`);
      return new Uint8Array(await file.readFile());
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return undefined;
    throw code === undefined ? error : new Error(`${path} cannot be read: ${code}`, { cause: error });
  }
}

const macOf = (key: Uint8Array, rules: string, body: Uint8Array): Buffer =>
  createHmac("sha256", key).update(`${rules}\n`).update(body).digest();

/** Throws where a file was not written by this user in this boot; what has ended is left out. */
function decisionsOf(bytes: Uint8Array, key: Uint8Array, rules: string, now: number): [string, Kept][] {
  const body = bytes.subarray(65);
  const mac = Buffer.from(Buffer.from(bytes.subarray(0, 64)).toString("latin1"), "hex");
  if (mac.length !== 32 || bytes[64] !== 0x0a || !timingSafeEqual(mac, macOf(key, rules, body))) {
    throw new Error("it was written by somebody else, on another machine or before this one was started");
  }
  const lines = Buffer.from(body).toString("utf8").split("\n");
  return lines.flatMap((line): [string, Kept][] => {
    const kept = line === "" ? undefined : keptOf(parseJson(line, "a kept decision"), rules);
    if (kept === undefined || now < kept.at || now >= kept.until || kept.until > kept.at + DAY) return [];
    return [[kept.decision.facts.digest, kept]];
  });
}

function keptOf(value: Json, rules: string): Kept | undefined {
  if (!isObject(value)) return undefined;
  const { at, until, decision } = value;
  const { ok, facts } = isObject(decision) ? decision : {};
  if (typeof at !== "number" || typeof until !== "number" || ok !== true) return undefined;
  return isObject(facts) && facts["rules"] === rules ? (value as unknown as Kept) : undefined;
}

async function dropOldest(folder: string): Promise<void> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(".decisions"));
  if (names.length <= MAX_FILES) return;
  const all = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })));
  for (const { name } of all.toSorted((a, b) => b.at - a.at).slice(MAX_FILES)) {
    await rm(join(folder, name), { force: true });
  }
}
