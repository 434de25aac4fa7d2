/** The home's own key-ring, `keys/key-ring.jsonl`, and those of others that it trusts, `trusted/RING.jsonl`. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeDurable } from "../durable.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { namesIn } from "../tree.ts";
import { appendRing, type KeyRing, openKeyRing, type OpenedRing, type RingSigner, signKeyRing } from "./key-ring.ts";

const MAX_RING_FILE = 4 << 20;

const ownPath = (home: string): string => join(home, "keys", "key-ring.jsonl");
const trustedFolder = (home: string): string => join(home, "trusted");

/** The home's own key-ring, its signatures verified; undefined in a home that has none yet. */
export async function readHomeRing(home: string): Promise<OpenedRing | undefined> {
  const file = await readRingFile(ownPath(home));
  return file === undefined ? undefined : openKeyRing(file, ownPath(home));
}

/** The whole file, with which an older verifier can follow: what is handed to others. */
export async function homeRingFile(home: string): Promise<string | undefined> {
  return await readRingFile(ownPath(home));
}

/**
 * Changes the home's key-ring while no other process does: `change` is given
 * what is there and gives the next version's content and who signs it, or
 * undefined to leave all as it is. Signatures are verified as a stranger would
 * before the file is replaced.
 */
export async function changeHomeRing(
  home: string,
  change: (current: OpenedRing | undefined) => Promise<{ ring: KeyRing; signers: readonly RingSigner[] } | undefined>,
): Promise<OpenedRing | undefined> {
  return await exclusively(join(home, "keys", ".lock"), async () => {
    const file = await readRingFile(ownPath(home));
    const current = file === undefined ? undefined : openKeyRing(file, ownPath(home));
    const next = await change(current);
    if (next === undefined) return current;
    const opened = openKeyRing(await signKeyRing(next.ring, next.signers), "the new key-ring", current);
    await writeDurable(ownPath(home), appendRing(file, opened), { mode: 0o644 });
    return opened;
  });
}

/**
 * Puts a version that others signed, too, in the place of the present one: one
 * envelope, which must be the very next. Verified as a stranger would.
 */
export async function publishHomeRing(home: string, envelope: string, what: string): Promise<OpenedRing> {
  return await exclusively(join(home, "keys", ".lock"), async () => {
    const file = await readRingFile(ownPath(home));
    if (file === undefined) throw new BitforbitError("input", `${home} has no key-ring`);
    const current = openKeyRing(file, ownPath(home));
    const opened = openKeyRing(envelope, what, current);
    if (opened.ring.version !== current.ring.version + 1) {
      throw new BitforbitError("refused", `${what} is not the version after ${current.ring.version}`);
    }
    await writeDurable(ownPath(home), appendRing(file, opened), { mode: 0o644 });
    return opened;
  });
}

/** The key-rings of others that this home trusts, in order of their ids. */
export async function trustedRings(home: string): Promise<OpenedRing[]> {
  const rings: OpenedRing[] = [];
  for (const name of await ringNames(home)) {
    const path = join(trustedFolder(home), name);
    const file = await readRingFile(path);
    if (file !== undefined) rings.push(openKeyRing(file, path));
  }
  return rings;
}

/**
 * Takes another's key-ring into this home's trust. The first time it is taken
 * at its own word; after that only what the trusted version vouches for.
 * Throws `refused` for a rollback, a fork, or a root that nobody vouches for.
 */
export async function trustRing(
  home: string,
  file: string,
  what: string,
): Promise<{ opened: OpenedRing; first: boolean }> {
  const { ring } = openKeyRing(file, what).ring;
  const path = join(trustedFolder(home), `${ring}.jsonl`);
  return await exclusively(join(trustedFolder(home), ".lock"), async () => {
    const known = await readRingFile(path);
    const pinned = known === undefined ? undefined : openKeyRing(known, path);
    const opened = openKeyRing(file, what, pinned);
    if (opened !== pinned) await writeDurable(path, file.endsWith("\n") ? file : `${file}\n`);
    return { opened, first: pinned === undefined };
  });
}

async function ringNames(home: string): Promise<string[]> {
  try {
    return (await namesIn(trustedFolder(home))).filter((name) => /^[0-9a-f]{32}\.jsonl$/.test(name));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

async function readRingFile(path: string): Promise<string | undefined> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    if (stats.size > MAX_RING_FILE) throw new BitforbitError("limit", `${path} is larger than a key-ring`);
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
