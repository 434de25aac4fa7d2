/**
 * Cosignatures (C2SP tlog-cosignature, Ed25519): a witness says that, as of a
 * time, this is the largest tree of the log that it has seen, consistent with
 * all before. A note signature whose content is the time, eight bytes, and the
 * signature over
 *
 *     cosignature/v1
 *     time 1679315147
 *     <the text of the checkpoint>
 */
import { createPublicKey, verify } from "node:crypto";
import { base64, concat, utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { type NoteVerifier, type VerifierKey, typedKeyHash } from "./note.ts";
import { ed25519Pem } from "./spki.ts";

/** The signature type of Ed25519 cosignatures. */
export const COSIGNATURE = 0x04;
const TIME_BYTES = 8;

function cosigned(text: string, seconds: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${seconds}\n${text}`);
}

/** A verifier of cosignatures by one witness. Throws `input` for a key of another type. */
export function cosignatureVerifier(key: VerifierKey): NoteVerifier {
  if (key.type !== COSIGNATURE) {
    throw new BitforbitError("input", `the key of ${key.name} is of type ${key.type}; a witness's is of type 4`);
  }
  const publicKey = createPublicKey(ed25519Pem(key.publicKey));
  return {
    name: key.name,
    keyHash: typedKeyHash(key),
    verify: (text, signature) => {
      const seconds = cosignatureTime(signature);
      if (seconds === undefined) return false;
      const message = cosigned(Buffer.from(text).toString("utf8"), seconds);
      return verify(null, message, publicKey, signature.subarray(TIME_BYTES));
    },
  };
}

/** The time that a cosignature is of, in seconds since 1970; undefined when it is none. */
export function cosignatureTime(signature: Uint8Array): number | undefined {
  if (signature.length !== TIME_BYTES + 64) return undefined;
  const seconds = Number(Buffer.from(signature.subarray(0, TIME_BYTES)).readBigUInt64BE());
  return Number.isSafeInteger(seconds) ? seconds : undefined;
}

/** One signature line over `text`, the text of a checkpoint, by the key whose typed hash is of `key`. */
export async function cosignatureLine(
  text: string,
  seconds: number,
  key: VerifierKey,
  sign: (bytes: Uint8Array) => Promise<Uint8Array>,
): Promise<string> {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(seconds));
  const id = typedKeyHash(key).subarray(0, 4);
  return `— ${key.name} ${base64(concat([id, time, await sign(cosigned(text, seconds))]))}\n`;
}
