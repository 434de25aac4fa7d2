/**
 * Checkpoints whose signature has been verified, remembered by their text and
 * the log's key: what is signed together shares one, and verifying Ed25519 is
 * half of a keyed bundle's time. A good signature stays one, so a verdict found
 * here is the one that would be found again; refusals are not kept.
 */
import { openNote, type NoteVerifier } from "../format/note.ts";
import { parseCheckpoint, type Checkpoint } from "../log/checkpoint.ts";
import { BitforbitError } from "../errors.ts";

const MOST = 256;
const MAX_TEXT = 4096;
const opened = new WeakMap<NoteVerifier, Map<string, Checkpoint>>();

/** The checkpoint in `note`, which `log` must have signed; its origin is for the caller to judge. Throws `input` or `refused`. */
export function signedCheckpoint(note: string, log: NoteVerifier): Checkpoint {
  const known = opened.get(log) ?? new Map<string, Checkpoint>();
  const found = known.get(note);
  if (found !== undefined) return found;
  const { text, signedBy } = openNote(note, [log]);
  if (signedBy.length === 0) throw new BitforbitError("refused", `the checkpoint is not signed by ${log.name}`);
  const checkpoint = parseCheckpoint(text);
  const oldest = known.size < MOST ? undefined : known.keys().next().value;
  if (oldest !== undefined) known.delete(oldest);
  if (note.length <= MAX_TEXT) known.set(note, checkpoint);
  opened.set(log, known);
  return checkpoint;
}
