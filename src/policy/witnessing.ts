/**
 * What a policy's witnesses say of the checkpoints that come along: whether
 * enough of them saw the tree, and by when. One for each decision, in which
 * many bundles share a checkpoint.
 */
import { BitforbitError } from "../errors.ts";
import type { NoteVerifier, VerifierKey } from "../format/note.ts";
import { verifyCheckpoint, type Witnessed } from "../log/witnessed.ts";

/** A checkpoint that its log has signed. */
export interface LoggedCheckpoint {
  log: { verifier: NoteVerifier };
  /** The whole note. */
  checkpoint: string;
}

export class Witnessing {
  readonly #witnesses: readonly VerifierKey[];
  readonly #quorum: number;
  readonly #now: number;
  readonly #known = new Map<string, Witnessed | BitforbitError>();

  /** `now`: milliseconds since 1970; a cosignature of later does not count. */
  constructor(witnesses: readonly VerifierKey[], quorum: number, now: number) {
    this.#witnesses = witnesses;
    this.#quorum = quorum;
    this.#now = now;
  }

  /** Who cosigned. Throws `refused` where the quorum is not there, or a cosignature is no good. */
  of({ log, checkpoint }: LoggedCheckpoint): Witnessed {
    const name = `${log.verifier.name} ${checkpoint}`;
    const found = this.#known.get(name) ?? this.#verified(log.verifier, checkpoint);
    this.#known.set(name, found);
    if (found instanceof BitforbitError) throw found;
    return found;
  }

  /** By when the tree was there, in milliseconds since 1970; undefined where too few say so. */
  time(checkpoint: LoggedCheckpoint): number | undefined {
    if (this.#quorum === 0) return undefined;
    try {
      return this.of(checkpoint).at;
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
      return undefined;
    }
  }

  #verified(log: NoteVerifier, checkpoint: string): Witnessed | BitforbitError {
    if (this.#quorum > this.#witnesses.length) {
      const named = this.#witnesses.length === 0 ? "none are named" : `${this.#witnesses.length} are named`;
      return new BitforbitError("refused", `${this.#quorum} witnesses are demanded, and ${named}`, {
        hint: "name them in the policy's witnesses: 'bitforbit witness key' prints a witness's key",
      });
    }
    try {
      return verifyCheckpoint(checkpoint, log, this.#witnesses, this.#quorum, this.#now);
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
      return error;
    }
  }
}
