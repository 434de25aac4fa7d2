/** Whom a verifier believes: keys that sign artifacts, and logs. Handed in, never fetched. */
import { canonicalJson } from "../json.ts";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type NoteVerifier, noteVerifier } from "../format/note.ts";
import { type PublicKey, parsePublicKey } from "../keys/verifier.ts";
import { sortedBy } from "../order.ts";

export interface TrustedKey {
  name: string;
  key: PublicKey;
  /** Milliseconds since 1970; after it the key's signatures count no more, since they carry no trusted time. */
  validUntil?: number;
  revoked: boolean;
}

export interface TrustedLog {
  origin: string;
  verifier: NoteVerifier;
}

export interface Trust {
  keys: readonly TrustedKey[];
  logs: readonly TrustedLog[];
  /** Milliseconds since 1970 from when on this list is stale, and everything is denied. */
  expires?: number;
  /** Digest of all of it. */
  digest: string;
}

export interface TrustInput {
  keys: readonly { name: string; publicKeyPem: string; validUntil?: number; revoked?: boolean }[];
  logs: readonly { origin: string; publicKeyPem: string }[];
  expires?: number;
}

/** Parses keys once, for many verifications. Throws `input` for a key or log that cannot be used, or is named twice. */
export function makeTrust(input: TrustInput): Trust {
  const keys = input.keys.map(({ name, publicKeyPem, validUntil, revoked }): TrustedKey => {
    const key = parsePublicKey(publicKeyPem, `the key ${JSON.stringify(name)}`);
    if (key.algorithm !== "ecdsa-p256") {
      throw new BitforbitError(
        "input",
        `the key ${JSON.stringify(name)} is ${key.algorithm}: artifacts are signed with P-256`,
      );
    }
    return { name, key, revoked: revoked ?? false, ...(validUntil === undefined ? {} : { validUntil }) };
  });
  unique(
    keys.map(({ key }) => key.keyId),
    "key",
  );
  unique(
    input.logs.map(({ origin }) => origin),
    "log",
  );
  const logs = input.logs.map(({ origin, publicKeyPem }) => ({
    origin,
    verifier: noteVerifier(origin, publicKeyPem),
  }));
  const { expires } = input;
  return { keys, logs, digest: trustDigest(keys, input), ...(expires === undefined ? {} : { expires }) };
}

function trustDigest(keys: readonly TrustedKey[], input: TrustInput): string {
  return digestOf(
    canonicalJson({
      keys: sortedBy(keys, ({ key }) => key.keyId).map(({ key, validUntil, revoked }) => [
        key.keyId,
        validUntil ?? null,
        revoked,
      ]),
      logs: sortedBy(input.logs, ({ origin }) => origin).map(({ origin, publicKeyPem }) => [
        origin,
        publicKeyPem.trim(),
      ]),
      expires: input.expires ?? null,
    }),
  );
}

function unique(names: readonly string[], what: string): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new BitforbitError("input", `the ${what} ${twice} is trusted twice`);
}
