/**
 * A key-ring on its way: the next version, before enough root keys have signed
 * it. A draft is the line that it will be in the key-ring file, an envelope with
 * as many signatures as there are by now, so that signing adds to it and
 * changes nothing. By TUF's rules (specification 1.0, 5.3.4) a change of root
 * needs the old root's threshold and the new root's.
 */
import { base64, equalBytes } from "../bytes.ts";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { preAuthEncoding } from "../format/dsse.ts";
import { canonicalJson, type Json } from "../json.ts";
import {
  KEY_RING_PAYLOAD,
  type KeyRing,
  type OpenedRing,
  readRing,
  readUnfinished,
  type RingSigner,
} from "./key-ring.ts";
import { parsePublicKey } from "./verifier.ts";

export interface Draft {
  ring: KeyRing;
  /** Exactly what is signed. */
  payload: Uint8Array;
  /** Of the payload: who signs compares it by another way. */
  digest: Digest;
  /** By key id, in the order in which they came. */
  signatures: ReadonlyMap<string, Uint8Array>;
}

/** Whose threshold it needs, and how far it is. */
export interface Need {
  /** The root that is trusted now, or the one that the draft brings. */
  root: "present" | "next";
  threshold: number;
  signed: string[];
  missing: string[];
  met: boolean;
}

/** A draft that nobody has signed. Throws as `openKeyRing` does for a ring that is not sound. */
export function newDraft(ring: KeyRing): Draft {
  const payload = canonicalJson(ring as unknown as Json);
  return { ring: readRing(payload, "the draft"), payload, digest: digestOf(payload), signatures: new Map() };
}

/** Reads a draft; its signatures are not looked at. Throws `input` or `limit`. */
export function readDraft(text: string, what: string): Draft {
  const { payload, signatures } = readUnfinished(text.replace(/\n$/, ""), what);
  const ring = readRing(payload, what);
  return {
    ring,
    payload,
    digest: digestOf(payload),
    signatures: new Map(signatures.map((one) => [one.keyid, one.sig])),
  };
}

export function draftText({ payload, signatures }: Draft): string {
  const list = [...signatures].map(([keyid, sig]) => ({ keyid, sig: base64(sig) }));
  return `${JSON.stringify({ payload: base64(payload), payloadType: KEY_RING_PAYLOAD, signatures: list })}\n`;
}

/**
 * Holds a draft against the key-ring that is trusted: it must be the very next
 * version of it, and every signature a good one, by a root key of either.
 * Says what is missing. Throws `refused`.
 */
export function checkDraft({ ring, payload, signatures }: Draft, present: OpenedRing, what: string): Need[] {
  const { ring: now } = present;
  if (ring.ring !== now.ring) throw refused(`${what} is of another key-ring than the one that is trusted`);
  if (ring.version !== now.version + 1) {
    throw refused(
      `${what} is version ${ring.version}, and the trusted key-ring has version ${now.version}: the next one is ${now.version + 1}`,
      ring.version <= now.version
        ? "it is an old draft: have the change proposed anew"
        : "take the newest key-ring first: 'bitforbit keys trust FILE'",
    );
  }
  const encoding = preAuthEncoding(KEY_RING_PAYLOAD, payload);
  for (const [keyId, signature] of signatures) {
    const by = [now, ring].find(({ root }) => root.keys.includes(keyId));
    if (by === undefined) throw refused(`${what} is signed by ${keyId}, which is no root key`);
    const key = by.keys.find((candidate) => candidate.keyId === keyId);
    if (!parsePublicKey(key?.publicKey ?? "", `the key ${keyId}`).verify(encoding, signature)) {
      throw refused(
        `${what} has a bad signature by the root key ${keyId}`,
        "it was changed after it was signed, or damaged: ask for it again",
      );
    }
  }
  const need = (root: Need["root"], { threshold, keys }: KeyRing["root"]): Need => {
    const signed = keys.filter((id) => signatures.has(id));
    const missing = keys.filter((id) => !signatures.has(id));
    return { root, threshold, signed, missing, met: signed.length >= threshold };
  };
  return [need("present", now.root), need("next", ring.root)];
}

/** Adds signatures to a draft; a key that signed already signs no more. Says which signed. */
export async function signDraft(draft: Draft, signers: readonly RingSigner[]): Promise<Draft> {
  const encoding = preAuthEncoding(KEY_RING_PAYLOAD, draft.payload);
  const signatures = new Map(draft.signatures);
  for (const signer of signers) {
    if (!signatures.has(signer.keyId)) signatures.set(signer.keyId, await signer.sign(encoding));
  }
  return { ...draft, signatures };
}

/** One draft with the signatures of all. Throws `refused` when they are not of the same bytes. */
export function joinDrafts(drafts: readonly { draft: Draft; what: string }[]): Draft {
  const [first, ...others] = drafts;
  if (first === undefined) throw new BitforbitError("usage", "no draft was given");
  const signatures = new Map(first.draft.signatures);
  for (const { draft, what } of others) {
    if (!equalBytes(draft.payload, first.draft.payload)) {
      throw refused(
        `${what} (${draft.digest}) is another draft than ${first.what} (${first.draft.digest})`,
        "somebody was given another one to sign: compare what each of you signed",
      );
    }
    for (const [keyId, signature] of draft.signatures) {
      const known = signatures.get(keyId);
      if (known === undefined) signatures.set(keyId, signature);
    }
  }
  return { ...first.draft, signatures };
}

/** What a draft changes, a sentence each: what whoever signs is to read. */
export function changesOf(before: KeyRing, after: KeyRing): string[] {
  const changes: string[] = [];
  const { root: old } = before;
  const { root } = after;
  for (const id of root.keys) if (!old.keys.includes(id)) changes.push(`the root key ${id} comes in`);
  for (const id of old.keys) if (!root.keys.includes(id)) changes.push(`the root key ${id} goes`);
  if (old.threshold !== root.threshold || old.keys.length !== root.keys.length) {
    changes.push(
      `${root.threshold} of ${root.keys.length} root keys sign, instead of ${old.threshold} of ${old.keys.length}`,
    );
  }
  const known = new Map(before.keys.map((key) => [key.keyId, key]));
  for (const key of after.keys) {
    const was = known.get(key.keyId);
    known.delete(key.keyId);
    if (was === undefined) {
      if (!root.keys.includes(key.keyId)) changes.push(`the ${key.role} key ${key.keyId} is added, ${key.status}`);
    } else if (!equalBytes(canonicalJson(was as unknown as Json), canonicalJson(key as unknown as Json))) {
      changes.push(
        was.status === key.status
          ? `what is said of the ${key.role} key ${key.keyId} changes`
          : `the ${key.role} key ${key.keyId} is ${key.status}${key.revoked === undefined ? "" : ` since ${key.revoked.since}: ${key.revoked.reason}`}`,
      );
    }
  }
  for (const { role, keyId } of known.values()) changes.push(`the ${role} key ${keyId} is taken out altogether`);
  for (const field of ["rotation", "logs"] as const) {
    if (!equalBytes(canonicalJson(before[field] as unknown as Json), canonicalJson(after[field] as unknown as Json))) {
      changes.push(`${field} change${field === "rotation" ? "s" : ""}`);
    }
  }
  changes.push(`it is good until ${after.expires}, instead of ${before.expires}`);
  return changes;
}

function refused(message: string, hint?: string): BitforbitError {
  return new BitforbitError("refused", message, hint === undefined ? {} : { hint });
}
