/** Checkpoints (C2SP tlog-checkpoint): a signed note of origin, size and root hash, a line each. */
import { base64, fromBase64 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { type NoteVerifier, openNote } from "../format/note.ts";
import { HASH_BYTES } from "./tile.ts";

export interface Checkpoint {
  /** The log's name; for Sigstore verifiers, the host name of its URL. */
  origin: string;
  size: number;
  /** RFC 6962 root hash, 32 bytes. */
  root: Uint8Array;
}

/** The text that is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${base64(root)}\n`;
}

/** Parses a checkpoint's text (not its signatures). Extension lines are allowed, empty ones are not. Throws `input`. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split("\n");
  const [origin = "", size = "", root = ""] = lines;
  if (lines.length < 4 || lines.pop() !== "" || lines.includes("")) {
    throw new BitforbitError("input", "a checkpoint needs an origin, a size and a root hash, a line each");
  }
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new BitforbitError("input", `not a tree size: ${JSON.stringify(size.slice(0, 40))}`);
  }
  const hash = fromBase64(root);
  if (hash.length !== HASH_BYTES) throw new BitforbitError("input", `a root hash has ${hash.length} bytes, not 32`);
  return { origin, size: Number(size), root: hash };
}

/**
 * Opens a signed checkpoint that `log` must have signed, and whose origin must
 * be its name. What it returns may be relied on. Throws `input` or `refused`.
 */
export function openCheckpoint(note: string, log: NoteVerifier): Checkpoint {
  const { text, signedBy } = openNote(note, [log]);
  if (signedBy.length === 0) throw new BitforbitError("refused", `the checkpoint is not signed by ${log.name}`);
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== log.name) {
    throw new BitforbitError("refused", `the checkpoint is of ${checkpoint.origin}, not of ${log.name}`);
  }
  return checkpoint;
}

/** Everything before the signatures of a note, unverified. */
export function noteText(note: string): string {
  return note.slice(0, note.lastIndexOf("\n\n") + 1);
}
