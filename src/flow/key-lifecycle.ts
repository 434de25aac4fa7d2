/** What happens to a key between its making and its end: each step a new version of the home's key-ring. */
import { type Clock, rfc3339, systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import type { KeyAlgorithm } from "../format/spki.ts";
import { changeHomeRing, readHomeRing } from "../keys/home-ring.ts";
import { type KeyOptions, makeNamedKey, settleKeysFolder, USUAL } from "../keys/key-files.ts";
import { type KeyRing, type OpenedRing, type RingKey, type Role } from "../keys/key-ring.ts";
import { addPlace, FILE_SCHEME } from "../keys/places.ts";
import type { Signer } from "../keys/signer.ts";
import type { Home } from "./home.ts";
import { keyEvent, keyOptions, keysOf, logPosition, nextRing, recordKeys, rootSigners } from "./keys.ts";

export interface KeyHolder {
  home: Home;
  passphrase?: string;
  clock?: Clock;
}

export interface NewKey {
  role: Role;
  algorithm?: KeyAlgorithm;
  /** URI of a key in a device or a service; a key file otherwise. */
  place?: string;
}

/**
 * A new key for a role. With `replaces` the keys of that role and algorithm
 * that are active now retire: they sign no more, and what the log holds of
 * theirs stays good. A change of root is signed by the old root and the new.
 */
export async function addKey(
  holder: KeyHolder,
  { role, algorithm, place }: NewKey,
  replaces: boolean,
): Promise<{ opened: OpenedRing; made: RingKey; retired: RingKey[] }> {
  const { home, clock, options, ring: before } = await settled(holder);
  if (role === "checkpoint" && before.logs.length > 0) {
    throw new BitforbitError("refused", "the log's key cannot be replaced: it is the log's name to all who trust it", {
      hint: "a log with another key is another log: docs/runbooks/key-rotation-or-loss.md",
    });
  }
  const log = replaces ? await logPosition(home, await readHomeRing(home.root)) : undefined;
  let retired: RingKey[] = [];
  let made: RingKey | undefined;
  const opened = await changeRing(home, async (current) => {
    const signers = await rootSigners(home, current, options);
    const { signer, uri } = await newSigner(
      home,
      { role, ...(place === undefined ? {} : { place }) },
      algorithm,
      options,
    );
    if (current.keys.some(({ keyId }) => keyId === signer.keyId)) {
      throw new BitforbitError("conflict", `the key-ring has the key ${signer.keyId} already`, {
        hint: "make another key there, and name it",
      });
    }
    const now = rfc3339(clock.now());
    const { keyId, publicKeyPem: publicKey } = signer;
    made = { keyId, role, algorithm: signer.algorithm, publicKey, created: now, validFrom: now, status: "active" };
    const isOld = (key: RingKey): boolean =>
      replaces && key.role === role && key.status === "active" && key.algorithm === signer.algorithm;
    retired = current.keys.filter(isOld).map((key) => retire(key, now, log));
    const keys = [...current.keys.map((key) => retired.find(({ keyId: id }) => id === key.keyId) ?? key), made];
    await addPlace(home.root, keyId, uri);
    const next = { ...nextRing(current, clock.now()), keys };
    if (role !== "root") return { ring: next, signers };
    return { ring: withRoot(next, retired, keyId), signers: [...signers, signer] };
  });
  if (made === undefined) throw new BitforbitError("outside", "the key-ring was not changed");
  const first = retired[0];
  await recordKeys(home, [
    ...retired.map((key) => keyEvent(opened.ring, key, "retire", clock)),
    keyEvent(opened.ring, made, first === undefined ? "create" : "rotate", clock, replacedBy(first)),
  ]);
  return { opened, made, retired };
}

const replacedBy = (key: RingKey | undefined) => (key === undefined ? {} : { replaces: key.keyId });

function retire(key: RingKey, at: string, log: { origin: string; size: number } | undefined): RingKey {
  return { ...key, status: "retired", retired: { at, ...(log === undefined ? {} : { log }) } };
}

/** The new root key takes the place of those that retired; the threshold stays as far as there are keys for it. */
function withRoot(ring: KeyRing, retired: readonly RingKey[], keyId: string): KeyRing {
  const gone = new Set(retired.map((key) => key.keyId));
  const keys = [...ring.root.keys.filter((id) => !gone.has(id)), keyId];
  return { ...ring, root: { threshold: Math.min(ring.root.threshold, keys.length), keys } };
}

/** Retires one key without a successor. Throws `input` for a key that is not there, or not active. */
export async function retireKey(holder: KeyHolder, named: string): Promise<{ opened: OpenedRing; key: RingKey }> {
  const { home, clock, options } = await settled(holder);
  const log = await logPosition(home, await readHomeRing(home.root));
  let changed: RingKey | undefined;
  const opened = await changeRing(home, async (current) => {
    const key = findKey(current, named);
    requireNotRoot(current, key);
    if (key.status !== "active") throw new BitforbitError("input", `the key ${key.keyId} is ${key.status} already`);
    changed = retire(key, rfc3339(clock.now()), log);
    return { ring: replaced(current, changed, clock), signers: await rootSigners(home, current, options) };
  });
  return await finished(home, opened, changed, "retire", clock);
}

export interface Revocation {
  /** Milliseconds since 1970. */
  since: number;
  reason: string;
  /** Entries that the log had by then, as somebody knows who is to be believed. */
  logSize?: number;
}

/**
 * Revokes a key since a time: what it signed after, and what nothing proves to
 * be older, is denied from now on. Can be said again to move the time further
 * back, never forward. Throws `input` or `refused`.
 */
export async function revokeKey(
  holder: KeyHolder,
  named: string,
  { since, reason, logSize }: Revocation,
): Promise<{ opened: OpenedRing; key: RingKey }> {
  const { home, clock, options } = await settled(holder);
  if (since > clock.now()) {
    throw new BitforbitError("input", `${rfc3339(since)} is not over yet: a key is revoked since a time that is past`);
  }
  const log = await positionAt(home, logSize);
  let changed: RingKey | undefined;
  const opened = await changeRing(home, async (current) => {
    const key = findKey(current, named);
    requireNotRoot(current, key);
    if (key.revoked !== undefined && key.revoked.since < rfc3339(since)) {
      throw new BitforbitError("refused", `the key ${key.keyId} is revoked since ${key.revoked.since} already`, {
        hint: "a revocation moves back in time only: what was denied stays so",
      });
    }
    const at = rfc3339(clock.now());
    const revoked = { since: rfc3339(since), at, reason, ...(log === undefined ? {} : { log }) };
    changed = { ...key, status: "revoked", revoked };
    return { ring: replaced(current, changed, clock), signers: await rootSigners(home, current, options) };
  });
  return await finished(home, opened, changed, "revoke", clock, { since: rfc3339(since), reason });
}

async function positionAt(home: Home, size: number | undefined): Promise<{ origin: string; size: number } | undefined> {
  if (size === undefined) return undefined;
  const now = await logPosition(home, await readHomeRing(home.root));
  if (now !== undefined && size <= now.size) return { origin: now.origin, size };
  throw new BitforbitError("input", `the log has ${now?.size ?? 0} entries: it never had ${size}`);
}

/** Renews the key-ring: the same keys under a new number, with `days` to live from now on. */
export async function refreshRing(holder: KeyHolder, days: number | undefined): Promise<OpenedRing> {
  const { home, clock, options } = await settled(holder);
  const lifetime = days === undefined ? undefined : days * 86_400_000;
  return await changeRing(home, async (current) => ({
    ring: nextRing(current, clock.now(), lifetime),
    signers: await rootSigners(home, current, options),
  }));
}

/** The key with this id, or the only one whose id begins so. Throws `input`. */
export function findKey(ring: KeyRing, named: string): RingKey {
  const found = ring.keys.filter(({ keyId }) => keyId === named || (named.length >= 6 && keyId.startsWith(named)));
  const [key] = found;
  if (key !== undefined && found.length === 1) return key;
  throw new BitforbitError(
    "input",
    `${found.length === 0 ? "no key" : "more than one key"} has the id ${JSON.stringify(named)}`,
    {
      hint: "'bitforbit keys list' shows the ids; the first six characters or more will do",
    },
  );
}

/** What signs the ring cannot be ended by it: another root key must take its place first. */
function requireNotRoot(ring: KeyRing, { keyId }: RingKey): void {
  if (!ring.root.keys.includes(keyId)) return;
  throw new BitforbitError("refused", `the root key ${keyId} signs the key-ring`, {
    hint: "put another in its place first: 'bitforbit keys rotate --role root'",
  });
}

function replaced(ring: KeyRing, key: RingKey, clock: Clock): KeyRing {
  const keys = ring.keys.map((other) => (other.keyId === key.keyId ? key : other));
  return { ...nextRing(ring, clock.now()), keys };
}

/** Makes a key file, or opens the key that is kept at a place. Whoever calls adds the place. */
export async function newSigner(
  home: Home,
  { role, place }: NewKey,
  algorithm: KeyAlgorithm | undefined,
  options: KeyOptions,
): Promise<{ signer: Signer; uri: string }> {
  if (place === undefined) {
    const { name, signer } = await makeNamedKey(home.root, role, algorithm ?? USUAL[role], options);
    return { signer, uri: `${FILE_SCHEME}${name}` };
  }
  const { serviceSigner } = await import("../keys/services.ts");
  const signer = await serviceSigner(place, options.services);
  const wanted = algorithm ?? USUAL[role];
  if (signer.algorithm === wanted) return { signer, uri: place };
  throw new BitforbitError("input", `the key at ${place} is ${signer.algorithm}; the ${role} key is to be ${wanted}`);
}

async function finished(
  home: Home,
  opened: OpenedRing,
  key: RingKey | undefined,
  action: "retire" | "revoke",
  clock: Clock,
  more: { since?: string; reason?: string } = {},
): Promise<{ opened: OpenedRing; key: RingKey }> {
  if (key === undefined) throw new BitforbitError("outside", "the key-ring was not changed");
  await recordKeys(home, [keyEvent(opened.ring, key, action, clock, { ...more })]);
  return { opened, key };
}

async function changeRing(
  home: Home,
  change: (current: KeyRing) => Promise<{ ring: KeyRing; signers: readonly Signer[] }>,
): Promise<OpenedRing> {
  const opened = await changeHomeRing(home.root, async (current) => {
    if (current === undefined) throw new BitforbitError("outside", `the key-ring of ${home.root} is gone`);
    return await change(current.ring);
  });
  if (opened === undefined) throw new BitforbitError("outside", `the key-ring of ${home.root} is gone`);
  return opened;
}

/** The home with keys and a ring, made when they are not there. */
async function settled(holder: KeyHolder): Promise<{ home: Home; clock: Clock; options: KeyOptions; ring: KeyRing }> {
  const { home, passphrase, clock = systemClock } = holder;
  const options = keyOptions(home, passphrase);
  if ((await readHomeRing(home.root)) === undefined) await keysOf(home, passphrase, clock);
  await settleKeysFolder(home.root, options);
  const opened = await readHomeRing(home.root);
  if (opened === undefined) throw new BitforbitError("outside", `the key-ring of ${home.root} is gone`);
  return { home, clock, options, ring: opened.ring };
}
