/** Checkpoints that witnesses have cosigned. Pure: no clock, no network. */
import { hex } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { cosignatureTime, cosignatureVerifier } from "../format/cosignature.ts";
import { type NoteVerifier, type VerifierKey, openNote } from "../format/note.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";

export interface Witnessed {
  checkpoint: Checkpoint;
  /** Who cosigned it, with the times that they say, in milliseconds since 1970. */
  cosignedBy: { name: string; at: number }[];
  /**
   * By when the tree was there, in milliseconds since 1970, as long as fewer
   * than `quorum` of the witnesses lie: the quorum'th earliest of their times,
   * since one of the witnesses up to it is honest. Undefined for a quorum of 0.
   */
  at: number | undefined;
}

/**
 * Verifies a checkpoint: signed by `log`, cosigned by at least `quorum` of
 * `witnesses`, of whom each key counts once. A bad signature by any key that is
 * known rejects it. With `now` (milliseconds), a cosignature from the future
 * does not count. Throws `input` or `refused`, naming who is missing.
 */
export function verifyCheckpoint(
  note: string,
  log: NoteVerifier,
  witnesses: readonly VerifierKey[],
  quorum: number,
  now?: number,
): Witnessed {
  const checkpoint = openCheckpoint(note, log);
  const distinct = [...new Map(witnesses.map((key) => [hex(key.publicKey), key])).values()];
  if (!Number.isSafeInteger(quorum) || quorum < 0 || quorum > distinct.length) {
    throw new BitforbitError("input", `a quorum of ${quorum} of ${distinct.length} witnesses cannot be`);
  }
  const { signedBy, signatures } = openNote(note, distinct.map(cosignatureVerifier));
  const cosignedBy = signedBy
    .map(({ name }, at) => ({ name, at: (cosignatureTime(signatures[at] ?? new Uint8Array()) ?? 0) * 1000 }))
    .filter(({ at }) => now === undefined || at <= now + CLOCKS_DIFFER)
    .sort((a, b) => a.at - b.at);
  if (cosignedBy.length < quorum) {
    const missing = distinct.map(({ name }) => name).filter((name) => !cosignedBy.some((one) => one.name === name));
    throw new BitforbitError(
      "refused",
      `${cosignedBy.length} of the ${quorum} witnesses that are needed cosigned the checkpoint of ${checkpoint.size} entries; not ${missing.join(", ")}`,
      { hint: "take a newer checkpoint of the log; a log that shows this one to nobody else would look the same" },
    );
  }
  return { checkpoint, cosignedBy, at: cosignedBy[quorum - 1]?.at };
}

/** What clocks of honest machines may differ by. */
const CLOCKS_DIFFER = 5 * 60_000;
