/**
 * A witness (C2SP tlog-witness): it remembers the largest tree of each log that
 * it has seen, and cosigns only what is consistent with it. What it cosigns is
 * on the disk before it answers, so no crash makes it forget.
 */
import { join } from "node:path";
import { fromBase64, hex, utf8, utf8Text } from "../bytes.ts";
import type { Clock } from "../clock.ts";
import { sha256 } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { cosignatureLine, cosignatureTime, cosignatureVerifier } from "../format/cosignature.ts";
import { type NoteVerifier, type VerifierKey, openNote } from "../format/note.ts";
import { type Checkpoint, noteText, parseCheckpoint } from "./checkpoint.ts";
import { readIfThere } from "./folder.ts";
import { verifyConsistency } from "./proof.ts";
import { emptyRoot, sameRoot } from "./tile.ts";

/** A checkpoint and 63 hashes. */
export const MAX_WITNESS_REQUEST: number = 128 << 10;
const MAX_PROOF = 63;

export interface WitnessAnswer {
  status: 200 | 400 | 403 | 404 | 409 | 422;
  type: string;
  body: string;
}

export interface WitnessOptions {
  /** Where it remembers; nothing else may write there. */
  folder: string;
  key: VerifierKey;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /** Keys of the logs that it witnesses; several may be of one origin. */
  logs: readonly NoteVerifier[];
  clock: Clock;
  /** Told when a log that it knows shows two trees, with where the second checkpoint is kept. */
  alarm(message: string): void;
  /** After each step that reached the disk: tests end the process there. */
  step?: (what: string) => void;
}

export class Witness {
  readonly #options: WitnessOptions;

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  /** `POST /add-checkpoint`. Throws only where the disk or the key fails. */
  async addCheckpoint(body: Uint8Array): Promise<WitnessAnswer> {
    let asked: { old: number; proof: Uint8Array[]; note: string; claimed: Checkpoint };
    try {
      asked = parseRequest(body);
    } catch (error) {
      return refused(400, messageOf(error));
    }
    const { old, proof, note, claimed } = asked;
    const keys = this.#options.logs.filter(({ name }) => name === claimed.origin);
    if (keys.length === 0) return refused(404, `${claimed.origin} is not a log that is witnessed here`);
    try {
      if (openNote(note, keys).signedBy.length === 0) return refused(403, `not signed by a key of ${claimed.origin}`);
    } catch (error) {
      return refused(403, messageOf(error));
    }
    if (old > claimed.size) return refused(400, `the old size ${old} is larger than the checkpoint's ${claimed.size}`);
    // What was seen is compared and replaced in one piece, or two requests at once could roll it back.
    return await exclusively(join(this.#options.folder, ".lock"), async () => {
      return await this.#advance(old, proof, note, claimed);
    });
  }

  async #advance(old: number, proof: readonly Uint8Array[], note: string, asked: Checkpoint): Promise<WitnessAnswer> {
    const { folder, key, clock, step } = this.#options;
    const path = join(folder, `${hex(sha256(utf8(asked.origin))).slice(0, 32)}.checkpoint`);
    const held = await this.#held(path, asked.origin);
    const size = held?.checkpoint.size ?? 0;
    const root = held?.checkpoint.root ?? emptyRoot();
    const conflict: WitnessAnswer = { status: 409, type: "text/x.tlog.size", body: `${size}\n` };
    if (old !== size) return conflict;
    if (size === asked.size) {
      if (!sameRoot(root, asked.root)) {
        await this.#contradiction(path, note, asked);
        return conflict;
      }
      if (proof.length > 0) return refused(422, "a proof between trees of one size is empty");
    } else if (size === 0 ? proof.length > 0 : !verifyConsistency(size, asked.size, root, asked.root, proof)) {
      // Not a proof of two trees by itself: whoever relays the request may have written the hashes.
      return refused(422, `the proof from ${size} to ${asked.size} does not verify`);
    }
    // A clock that was set back does not make cosignatures older than those given out.
    const seconds = Math.max(Math.floor(clock.now() / 1000), held?.seconds ?? 0);
    const line = await cosignatureLine(noteText(note), seconds, key, this.#options.sign);
    await writeDurable(path, `${withoutSignatures(note, this.#options.logs)}${line}`);
    step?.("remembered");
    return { status: 200, type: "text/plain; charset=utf-8", body: line };
  }

  /** The last checkpoint of a log that was cosigned here. Throws `input` when its file is damaged: forgetting would be worse. */
  async #held(path: string, origin: string): Promise<{ checkpoint: Checkpoint; seconds: number } | undefined> {
    const note = await readIfThere(path);
    if (note === undefined) return undefined;
    const { text, signatures } = openNote(note, [cosignatureVerifier(this.#options.key)]);
    const seconds = cosignatureTime(signatures[0] ?? new Uint8Array());
    const checkpoint = parseCheckpoint(text);
    if (seconds === undefined || checkpoint.origin !== origin) {
      throw new BitforbitError("input", `${path} is not a checkpoint that this witness cosigned`, {
        hint: "restore it from a copy; it says which tree was seen last, and must not be made up",
      });
    }
    return { checkpoint, seconds };
  }

  async #contradiction(path: string, note: string, { origin, size }: Checkpoint): Promise<void> {
    const kept = `${path.slice(0, -".checkpoint".length)}.contradiction`;
    await writeDurable(kept, note);
    this.#options.alarm(`${origin} signed two trees of ${size} entries: bitforbit log judge ${path} ${kept}`);
  }
}

/** The note with the signatures of its log alone: what others put in is not kept. */
function withoutSignatures(note: string, logs: readonly NoteVerifier[]): string {
  const text = noteText(note);
  const lines = note
    .slice(text.length + 1)
    .split("\n")
    .filter((line) => line !== "");
  const own = lines.filter((line) => openNote(`${text}\n${line}\n`, logs).signedBy.length > 0);
  return `${text}\n${own.map((line) => `${line}\n`).join("")}`;
}

/** `old SIZE`, hashes, an empty line, the checkpoint: "add-checkpoint". Throws `input` or `limit`. */
function parseRequest(body: Uint8Array): { old: number; proof: Uint8Array[]; note: string; claimed: Checkpoint } {
  const text = body.length > MAX_WITNESS_REQUEST ? undefined : utf8Text(body);
  if (text === undefined) throw new BitforbitError("input", "the request is too large or not UTF-8");
  const end = text.indexOf("\n\n");
  if (end < 0) throw new BitforbitError("input", "the request has no empty line before its checkpoint");
  const [first = "", ...hashes] = text.slice(0, end).split("\n");
  const old = /^old (0|[1-9][0-9]{0,15})$/.exec(first)?.[1];
  if (old === undefined || !Number.isSafeInteger(Number(old))) {
    throw new BitforbitError("input", `the first line is not "old SIZE": ${JSON.stringify(first.slice(0, 80))}`);
  }
  if (hashes.length > MAX_PROOF) throw new BitforbitError("limit", `the proof has more than ${MAX_PROOF} hashes`);
  const proof = hashes.map(fromBase64);
  if (proof.some(({ length }) => length !== 32))
    throw new BitforbitError("input", "a hash of the proof has not 32 bytes");
  const note = text.slice(end + 2);
  openNote(note, []);
  return { old: Number(old), proof, note, claimed: parseCheckpoint(noteText(note)) };
}

function refused(status: WitnessAnswer["status"], reason: string): WitnessAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${reason}\n` };
}

/** That the folder of a witness can be read, for each log: before it says that it is there. */
export async function requireMemory(folder: string, key: VerifierKey, logs: readonly NoteVerifier[]): Promise<void> {
  for (const { name } of logs) {
    const note = await readIfThere(join(folder, `${hex(sha256(utf8(name))).slice(0, 32)}.checkpoint`));
    if (note !== undefined) openCosigned(note, key);
  }
}

function openCosigned(note: string, key: VerifierKey): void {
  if (openNote(note, [cosignatureVerifier(key)]).signedBy.length > 0) return;
  throw new BitforbitError("refused", `the witness's memory was not cosigned by ${key.name}`, {
    hint: "its key or its folder was replaced: restore both from one copy",
  });
}
