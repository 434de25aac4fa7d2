import { join } from "node:path";
import { type Clock, rfc3339, systemClock } from "../clock.ts";
import { hex } from "../bytes.ts";
import { systemEntropy } from "../entropy.ts";
import { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { changeHomeRing, readHomeRing } from "../keys/home-ring.ts";
import { type KeyOptions, openOrMakeKey, readPublic, USUAL, writtenAt } from "../keys/key-files.ts";
import {
  KEY_RING_TYPE,
  type KeyRing,
  type LogPosition,
  type OpenedRing,
  type RingKey,
  type Role,
} from "../keys/key-ring.ts";
import { instantOf } from "../keys/ring-freshness.ts";
import { activeKey, type Keys, openKeys, openRingKey, publicKeys } from "../keys/keys.ts";
import type { Signer } from "../keys/signer.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import { openLogReader } from "../log/reader.ts";
import { type Home, makeHome } from "./home.ts";
import { withLedger } from "./record.ts";

const DAY = 86_400_000;
/** A home's key-ring is renewed by itself at half of this, wherever its root key is at hand. */
const LIFETIME = 365 * DAY;
/** The log's key is the log's name to those who trust it, and root keys are what others hold on to: both stay longer. */
const ROTATION: KeyRing["rotation"] = { artifact: 365, checkpoint: 1825, root: 1825 };

/** The home's signing keys, made at first use with a key-ring that names them; the ledger knows when. */
export async function keysOf(home: Home, passphrase: string | undefined, clock: Clock = systemClock): Promise<Keys> {
  await makeHome(home);
  const options = keyOptions(home, passphrase);
  const fresh = !(await haveKeys(home));
  const keys = await openKeys(home.root, options);
  const opened = await settleKeyRing(home, options, clock);
  if (fresh) {
    await recordKeys(
      home,
      opened.ring.keys.filter(({ role }) => role !== "root").map((key) => keyEvent(opened.ring, key, "create", clock)),
    );
  }
  return keys;
}

export function keyOptions(home: Home, passphrase: string | undefined): KeyOptions {
  return { services: { cache: home.shared }, ...(passphrase === undefined ? {} : { passphrase }) };
}

export async function haveKeys(home: Home): Promise<boolean> {
  try {
    await publicKeys(home.root);
    return true;
  } catch (error) {
    if (error instanceof BitforbitError && (error.code === "input" || error.code === "refused")) {
      if (error.code === "input") return false;
      return true;
    }
    throw error;
  }
}

/**
 * Sees that the home has a key-ring: made from the keys that are there, or
 * renewed when half of its time is over, or when the log has begun. A ring
 * that cannot be renewed now, since a root key is elsewhere, is left until it expires.
 */
export async function settleKeyRing(home: Home, options: KeyOptions, clock: Clock): Promise<OpenedRing> {
  const now = clock.now();
  const current = await readHomeRing(home.root);
  const log = await logPosition(home, current);
  if (current !== undefined && !isDue(current.ring, now) && hasLog(current.ring, log)) return current;
  try {
    const settled = await changeHomeRing(home.root, async (found) => {
      if (found === undefined) return await firstRing(home, options, clock, log);
      if (!isDue(found.ring, now) && hasLog(found.ring, log)) return undefined;
      const ring = withLog(nextRing(found.ring, now), log);
      return { ring, signers: await rootSigners(home, found.ring, options) };
    });
    if (settled !== undefined) return settled;
  } catch (error) {
    if (current === undefined || instantOf(current.ring.expires) <= now) throw error;
    if (!(error instanceof BitforbitError) || (error.code !== "outside" && error.code !== "refused")) throw error;
  }
  if (current !== undefined) return current;
  throw new BitforbitError("outside", `the key-ring of ${home.root} vanished while it was made`);
}

const isDue = (ring: KeyRing, now: number): boolean =>
  now >= (instantOf(ring.issued) + instantOf(ring.expires)) / 2 || now < instantOf(ring.issued) - DAY;

const hasLog = (ring: KeyRing, log: LogPosition | undefined): boolean =>
  log === undefined || ring.logs.some(({ origin }) => origin === log.origin);

function withLog(ring: KeyRing, log: LogPosition | undefined): KeyRing {
  if (log === undefined || hasLog(ring, log)) return ring;
  return { ...ring, logs: [...ring.logs, { origin: log.origin, key: activeKey(ring, "checkpoint").keyId }] };
}

/** The next version, with the same time to live unless `lifetime` (milliseconds) says another. */
export function nextRing(ring: KeyRing, now: number, lifetime?: number): KeyRing {
  const span = lifetime ?? instantOf(ring.expires) - instantOf(ring.issued);
  return { ...ring, version: ring.version + 1, issued: rfc3339(now), expires: rfc3339(now + span) };
}

async function firstRing(
  home: Home,
  options: KeyOptions,
  clock: Clock,
  log: LogPosition | undefined,
): Promise<{ ring: KeyRing; signers: Signer[] }> {
  const root = await openOrMakeKey(home.root, "root", USUAL.root, options);
  const now = clock.now();
  const entry = async (role: Role): Promise<RingKey> => {
    const { keyId, algorithm, pem } = await readPublic(home.root, role);
    // Files of a copied home may be younger than their keys, and a clock may be wrong: never in the future.
    const created = rfc3339(Math.min(now, await writtenAt(home.root, role)));
    return { keyId, role, algorithm, publicKey: pem, created, status: "active" };
  };
  const ring: KeyRing = {
    type: KEY_RING_TYPE,
    ring: hex((options.entropy ?? systemEntropy).bytes(16)),
    version: 1,
    issued: rfc3339(now),
    expires: rfc3339(now + LIFETIME),
    root: { threshold: 1, keys: [root.keyId] },
    rotation: ROTATION,
    keys: [await entry("root"), await entry("artifact"), await entry("checkpoint")],
    logs: [],
  };
  return { ring: withLog(ring, log), signers: [root] };
}

/** A threshold of the ring's root keys, opened. Throws `refused` when this home has too few of them. */
export async function rootSigners(home: Home, ring: KeyRing, options: KeyOptions): Promise<Signer[]> {
  const signers: Signer[] = [];
  let last: unknown;
  for (const id of ring.root.keys) {
    const key = ring.keys.find(({ keyId }) => keyId === id);
    if (key === undefined || signers.length >= ring.root.threshold) continue;
    try {
      signers.push(await openRingKey(home.root, key, options));
    } catch (error) {
      // A wrong passphrase or a service that is down is to be told; a key that is elsewhere is not at fault.
      if (!(error instanceof BitforbitError) || error.code !== "refused") throw error;
      last = error;
    }
  }
  if (signers.length >= ring.root.threshold) return signers;
  throw new BitforbitError(
    "refused",
    `the key-ring is signed by ${ring.root.threshold} of its root keys, and this home has ${signers.length}`,
    { cause: last, hint: "restore the root key from its copy: without it the key-ring cannot change" },
  );
}

/** How many entries the home's log has now, by its verified checkpoint; undefined where there is no log. */
export async function logPosition(home: Home, opened: OpenedRing | undefined): Promise<LogPosition | undefined> {
  try {
    const pem =
      opened === undefined
        ? (await publicKeys(home.root)).checkpoint.pem
        : activeKey(opened.ring, "checkpoint").publicKey;
    const { origin, size } = await (await openLogReader(join(home.root, "log"), pem)).checkpoint();
    return { origin, size };
  } catch (error) {
    // No log, or one that whoever opens it for writing will complain about.
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/** What happened to a key, for the ledger: M9 counts by it. */
export function keyEvent(
  ring: KeyRing,
  { keyId, algorithm, role }: RingKey,
  action: "create" | "rotate" | "retire" | "revoke" | "resign",
  clock: Clock,
  more: JsonObject = {},
): LedgerEvent {
  const data = { keyId, algorithm, action, role, maxAgeDays: ring.rotation[role], keyRing: ring.version, ...more };
  return { kind: "key", at: clock.now(), ok: true, data };
}

export async function recordKeys(home: Home, events: readonly LedgerEvent[]): Promise<void> {
  await withLedger(home, async (ledger) => {
    await ledger.recordAll(events);
  });
}
