/** The keys that a home signs with: two files, made at first use, or what its key-ring names. */
import { join } from "node:path";
import { openKeyFile, openOrMakeKey, type KeyOptions, readPublic, settleKeysFolder, USUAL } from "./key-files.ts";
import { readHomeRing } from "./home-ring.ts";
import type { KeyRing, RingKey, Role } from "./key-ring.ts";
import { FILE_SCHEME, placeOf, readPlaces } from "./places.ts";
import { checkedSigner, type Signer } from "./signer.ts";
import { BitforbitError } from "../errors.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

export interface Keys {
  /** Signs statements: P-256, which every Sigstore verifier takes. */
  artifact: Signer;
  /** Signs checkpoints of the log: Ed25519, as signed notes want it. */
  checkpoint: Signer;
}

/**
 * Opens the two keys, making them when there are none. Throws `refused` for a
 * key that others may read or a role whose keys are all retired or revoked,
 * `input` for a wrong passphrase or a damaged file, `outside` for a key service
 * that fails; no error carries a private key.
 */
export async function openKeys(home: string, options: KeyOptions = {}): Promise<Keys> {
  await settleKeysFolder(home, options);
  const opened = await readHomeRing(home);
  if (opened === undefined) {
    return {
      artifact: await openOrMakeKey(home, "artifact", USUAL.artifact, options),
      checkpoint: await openOrMakeKey(home, "checkpoint", USUAL.checkpoint, options),
    };
  }
  return {
    artifact: await openRingKey(home, activeKey(opened.ring, "artifact"), options),
    checkpoint: await openRingKey(home, activeKey(opened.ring, "checkpoint"), options),
  };
}

/** The signer for one key of the home's ring, wherever its private half is. */
export async function openRingKey(home: string, key: RingKey, options: KeyOptions): Promise<Signer> {
  const publicKey = parsePublicKey(key.publicKey, `the key ${key.keyId}`);
  const place = await placeOf(home, key, await readPlaces(home));
  if (place.startsWith(FILE_SCHEME)) {
    return await openKeyFile(home, place.slice(FILE_SCHEME.length), publicKey, options);
  }
  const { openService } = await import("./services.ts");
  const service = await openService(place, { cache: join(home, "cache"), ...options.services });
  return checkedSigner(publicKey, place, async (bytes) => await service.sign(bytes, publicKey));
}

/** The public halves, without a passphrase. Throws `input` when there are none yet. */
export async function publicKeys(home: string): Promise<{ artifact: PublicKey; checkpoint: PublicKey }> {
  const opened = await readHomeRing(home);
  if (opened === undefined) {
    return { artifact: await readPublic(home, "artifact"), checkpoint: await readPublic(home, "checkpoint") };
  }
  const of = (role: Role): PublicKey => parsePublicKey(activeKey(opened.ring, role).publicKey);
  return { artifact: of("artifact"), checkpoint: of("checkpoint") };
}

/** One public key as PEM text, to hand to others. */
export async function exportPublic(home: string, role: "artifact" | "checkpoint"): Promise<string> {
  return (await publicKeys(home))[role].pem;
}

/** The key that signs for a role: the newest active one of the algorithm that the role's signatures have. Throws `refused`. */
export function activeKey(ring: KeyRing, role: Role): RingKey {
  const active = ring.keys.filter(
    (key) => key.role === role && key.status === "active" && key.algorithm === USUAL[role],
  );
  const newest = active.reduce<RingKey | undefined>(
    (best, key) => (best === undefined || key.created >= best.created ? key : best),
    undefined,
  );
  if (newest !== undefined) return newest;
  throw new BitforbitError("refused", `the key-ring has no active ${role} key`, {
    hint: `make one with 'bitforbit keys rotate --role ${role}'`,
  });
}
