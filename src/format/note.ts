/**
 * Signed notes (C2SP signed-note): text that ends in a newline, an empty line,
 * then one line a signature, `— NAME SP base64(key id[4] ‖ signature) LF`. The
 * key id is the start of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ Ed25519 public key).
 *
 *     log.example
 *     15368405
 *     31JQUq8EyQx5lpqtKRqryJzA+77WD2xmTyuB4uIlXeE=
 *
 *     — log.example Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
 */
import { createPublicKey, verify } from "node:crypto";
import { base64, concat, equalBytes, fromBase64, hex, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { parseSpki } from "./spki.ts";

const MAX_NOTE = 64 << 10;
const MAX_SIGNATURES = 64;
export const ED25519 = 0x01;

export interface NoteVerifier {
  name: string;
  /** All 32 bytes; the note carries the first four. Sigstore's `logId.keyId` is all of them. */
  keyHash: Uint8Array;
  verify(text: Uint8Array, signature: Uint8Array): boolean;
}

/** SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key) for a raw Ed25519 public key of 32 bytes. */
export function noteKeyHash(name: string, publicKey: Uint8Array): Uint8Array {
  return typedKeyHash({ name, type: ED25519, publicKey });
}

/** A verifier for one name and one Ed25519 key (PEM, SubjectPublicKeyInfo). Throws `input`. */
export function noteVerifier(name: string, publicKeyPem: string): NoteVerifier {
  checkName(name);
  const { algorithm, der } = parseSpki(publicKeyPem, `the note key of ${name}`);
  if (algorithm !== "ed25519")
    throw new BitforbitError("input", `the note key of ${name} is ${algorithm}, not ed25519`);
  const key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  return {
    name,
    keyHash: noteKeyHash(name, der.subarray(-32)),
    verify: (text, signature) => signature.length === 64 && verify(null, text, key, signature),
  };
}

/** A verifier key (C2SP signed-note, "Verifier keys"): `NAME+hash+base64(type ‖ key)`, in one line. */
export interface VerifierKey {
  name: string;
  /** 0x01 Ed25519 notes, 0x04 Ed25519 cosignatures. */
  type: number;
  /** 32 bytes. */
  publicKey: Uint8Array;
}

/** The key id hash over `name`, signature type and public key; notes carry its first four bytes. */
export function typedKeyHash({ name, type, publicKey }: VerifierKey): Uint8Array {
  return sha256(concat([utf8(name), Uint8Array.of(0x0a, type), publicKey]));
}

export function verifierKeyText(key: VerifierKey): string {
  checkName(key.name);
  const id = hex(typedKeyHash(key).subarray(0, 4));
  return `${key.name}+${id}+${base64(concat([Uint8Array.of(key.type), key.publicKey]))}`;
}

/** Parses a verifier key of an Ed25519 type. Throws `input`, also where its hash is of another name or key. */
export function parseVerifierKey(text: string): VerifierKey {
  const match = /^([^+\s]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,100})$/.exec(text.trim());
  if (match === null) {
    throw new BitforbitError("input", `not a verifier key: ${JSON.stringify(text.slice(0, 80))}`, {
      hint: "NAME+hash+base64, in one line: C2SP signed-note",
    });
  }
  const [, name = "", id = "", encoded = ""] = match;
  checkName(name);
  const bytes = fromBase64(encoded);
  const key = { name, type: bytes[0] ?? 0, publicKey: bytes.subarray(1) };
  if (key.publicKey.length !== 32) throw new BitforbitError("input", `the verifier key of ${name} is not Ed25519`);
  if (hex(typedKeyHash(key).subarray(0, 4)) !== id) {
    throw new BitforbitError("input", `the verifier key of ${name} has the hash ${id} of another name or key`);
  }
  return key;
}

/** The note with one signature by `sign`, an Ed25519 key whose hash under `name` is `keyHash`. */
export async function signNote(
  text: string,
  signer: { name: string; keyHash: Uint8Array; sign(bytes: Uint8Array): Promise<Uint8Array> },
): Promise<string> {
  checkName(signer.name);
  checkText(text);
  const signature = await signer.sign(utf8(text));
  return `${text}\n— ${signer.name} ${base64(concat([signer.keyHash.subarray(0, 4), signature]))}\n`;
}

/**
 * Opens a note: its text, and which of the `known` keys signed it (none is
 * possible: the caller decides). A signature by a key that is not known is left
 * aside; a bad one by a known key rejects the note, as does any malformed line.
 * `signatures` are those of `signedBy`, without their key ids.
 */
export function openNote(
  note: string,
  known: readonly NoteVerifier[],
): { text: string; signedBy: NoteVerifier[]; signatures: Uint8Array[] } {
  if (note.length > MAX_NOTE) throw new BitforbitError("limit", `a signed note is larger than ${MAX_NOTE} characters`);
  const split = note.lastIndexOf("\n\n");
  if (split < 0) throw new BitforbitError("input", "a signed note has no empty line before its signatures");
  const text = note.slice(0, split + 1);
  checkText(text);
  const lines = note.slice(split + 2).split("\n");
  if (lines.pop() !== "") throw new BitforbitError("input", "a signed note does not end in a newline");
  if (lines.length === 0 || lines.length > MAX_SIGNATURES) {
    throw new BitforbitError(
      "limit",
      `a signed note has ${lines.length} signatures; 1 to ${MAX_SIGNATURES} are allowed`,
    );
  }
  const bytes = utf8(text);
  const signedBy: NoteVerifier[] = [];
  const signatures: Uint8Array[] = [];
  for (const line of lines) {
    const { name, id, signature } = parseSignature(line);
    const key = known.find((candidate) => candidate.name === name && equalBytes(candidate.keyHash.subarray(0, 4), id));
    if (key === undefined || signedBy.includes(key)) continue;
    if (!key.verify(bytes, signature)) throw new BitforbitError("refused", `bad signature by ${name} on a note`);
    signedBy.push(key);
    signatures.push(signature);
  }
  return { text, signedBy, signatures };
}

function parseSignature(line: string): { name: string; id: Uint8Array; signature: Uint8Array } {
  const match = /^— ([^ +]+) ([A-Za-z0-9+/=]+)$/.exec(line);
  if (match === null) throw new BitforbitError("input", `not a note signature: ${JSON.stringify(line.slice(0, 80))}`);
  const [, name = "", encoded = ""] = match;
  const bytes = fromBase64(encoded);
  if (bytes.length < 5) throw new BitforbitError("input", `the note signature of ${name} is too short`);
  return { name, id: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

function checkName(name: string): void {
  if (name === "" || /[\s+\p{Cc}]/u.test(name) || !name.isWellFormed()) {
    throw new BitforbitError("input", `not a note key name: ${JSON.stringify(name)}`);
  }
}

function checkText(text: string): void {
  if (!text.endsWith("\n") || /[\u0000-\u0009\u000b-\u001f\u007f]/.test(text) || !text.isWellFormed()) {
    throw new BitforbitError("input", "the text of a note must end in a newline and have no control characters");
  }
}
