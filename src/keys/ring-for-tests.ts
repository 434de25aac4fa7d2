/** Key-rings with real keys, for tests of several rooms. */
import { generateKeyPairSync } from "node:crypto";
import { rfc3339 } from "../clock.ts";
import {
  KEY_RING_TYPE,
  type KeyRing,
  type OpenedRing,
  openKeyRing,
  type RingKey,
  type Role,
  signKeyRing,
} from "./key-ring.ts";
import { type Signer, signerOf } from "./signer.ts";

export interface TestKey {
  signer: Signer;
  entry: RingKey;
}

/** A new key of a role: P-256 for artifacts, Ed25519 otherwise. */
export function testKey(role: Role, created: number, changes: Partial<RingKey> = {}): TestKey {
  const { privateKey } =
    role === "artifact" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
  const signer = signerOf(privateKey, `a test's ${role} key`);
  const { keyId, algorithm, publicKeyPem: publicKey } = signer;
  const entry: RingKey = { keyId, role, algorithm, publicKey, created: rfc3339(created), status: "active" };
  return { signer, entry: { ...entry, ...changes } };
}

/** Version 1 of a ring that ends a year after `now`, with these keys; every root key is one of the root's. */
export function testRing(keys: readonly TestKey[], now: number, changes: Partial<KeyRing> = {}): KeyRing {
  const roots = keys.filter(({ entry }) => entry.role === "root").map(({ entry }) => entry.keyId);
  return {
    type: KEY_RING_TYPE,
    ring: "0123456789abcdef0123456789abcdef",
    version: 1,
    issued: rfc3339(now),
    expires: rfc3339(now + 365 * 86_400_000),
    root: { threshold: 1, keys: roots },
    rotation: { root: 1825, artifact: 365, checkpoint: 1825 },
    keys: keys.map(({ entry }) => entry),
    logs: [],
    ...changes,
  };
}

/** Signed by each of `by`, and opened as a stranger would. */
export async function openedRing(ring: KeyRing, by: readonly TestKey[]): Promise<OpenedRing> {
  const line = await signKeyRing(
    ring,
    by.map(({ signer }) => signer),
  );
  return openKeyRing(line, "the test's key-ring");
}
