/** Asking witnesses to cosign a checkpoint: the client's side of C2SP tlog-witness. */
import { base64 } from "../bytes.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { cosignatureVerifier } from "../format/cosignature.ts";
import { type NoteVerifier, openNote } from "../format/note.ts";
import { boundedBody } from "./address.ts";
import { noteText } from "./checkpoint.ts";
import type { WitnessAt, Witnesses } from "./witness-list.ts";
import type { Cosign } from "./writer.ts";

const MAX_ANSWER = 16 << 10;
export interface CosignersOptions {
  /** How long all of them may take; 5,000 when not given. */
  timeoutMilliseconds?: number;
  /** How long to wait for the others once the quorum is there; 200 when not given. */
  graceMilliseconds?: number;
}

/** Asks all witnesses at once; gives the note with their cosignatures when the quorum is there. Throws `outside` when it is not. */
export function cosignWith({ witnesses, quorum }: Witnesses, options: CosignersOptions = {}): Cosign {
  const timeout = options.timeoutMilliseconds ?? 5000;
  const grace = options.graceMilliseconds ?? 200;
  const asked = witnesses.map((witness) => new Asked(witness));
  return async ({ note, size }, consistency) => {
    const abort = new AbortController();
    const lines: string[] = [];
    const reasons: string[] = [];
    const late = setTimeout(() => abort.abort(new Error(`no answer in ${timeout} ms`)), timeout);
    let graced: ReturnType<typeof setTimeout> | undefined;
    const enough = new Promise<void>((resolve) => {
      const heard = (): void => {
        if (lines.length >= quorum) graced ??= setTimeout(resolve, grace);
      };
      const all = asked.map(async (one) => {
        try {
          lines.push(await one.cosigned(note, size, consistency, abort.signal));
          heard();
        } catch (error) {
          reasons.push(`${one.name}: ${messageOf((error as { cause?: unknown }).cause ?? error)}`);
        }
      });
      void Promise.all(all).then(() => resolve());
    });
    await enough;
    clearTimeout(late);
    clearTimeout(graced);
    abort.abort(new Error("the others were enough"));
    const had = [...lines];
    if (had.length < quorum) {
      throw new BitforbitError(
        "outside",
        `${quorum} of ${witnesses.length} witnesses are needed, ${had.length} cosigned; ${reasons.join("; ")}`,
        {
          hint: "the entries are kept and are published with the next checkpoint that the witnesses cosign: run again",
        },
      );
    }
    return note + had.join("");
  };
}

/** One witness, and the size of the tree that it saw last, as far as is known. */
class Asked {
  readonly name: string;
  readonly #url: string;
  readonly #verifier: NoteVerifier;
  #seen = 0;

  constructor({ key, url }: WitnessAt) {
    this.name = key.name;
    this.#url = `${url}/add-checkpoint`;
    this.#verifier = cosignatureVerifier(key);
  }

  /** Its signature line. Throws with what it said. */
  async cosigned(
    note: string,
    size: number,
    consistency: (from: number) => Promise<Uint8Array[]>,
    signal: AbortSignal,
  ): Promise<string> {
    // A second time when it has seen another size than we knew, a third when another process was in between.
    for (let tries = 0; tries < 3; tries++) {
      const proof = this.#seen === 0 || this.#seen === size ? [] : await consistency(this.#seen);
      const body = `old ${this.#seen}\n${proof.map((hash) => `${base64(hash)}\n`).join("")}\n${note}`;
      const answer = await fetch(this.#url, { method: "POST", body, signal, redirect: "error" });
      const text = Buffer.from(await boundedBody(answer, MAX_ANSWER, this.#url)).toString("utf8");
      if (answer.status === 200) return this.#accept(note, size, text);
      if (answer.status !== 409) throw new Error(`answers ${answer.status}: ${text.trim().slice(0, 200)}`);
      const seen = Number(/^(0|[1-9][0-9]{0,15})\n$/.exec(text)?.[1] ?? Number.NaN);
      if (Number.isNaN(seen)) throw new Error("answers 409 without a size");
      if (seen > size)
        throw new Error(`has seen ${seen} entries of this log, which has ${size}: was an older copy restored?`);
      if (seen === this.#seen) throw new Error(`has seen another tree of ${seen} entries of this log`);
      this.#seen = seen;
    }
    throw new Error("has seen another size each time it was asked");
  }

  /** The one line of the answer that is this witness's, verified. */
  #accept(note: string, size: number, text: string): string {
    const body = noteText(note);
    for (const line of text.split("\n").filter((one) => one !== "")) {
      const { signedBy } = openNote(`${body}\n${line}\n`, [this.#verifier]);
      if (signedBy.length === 0) continue;
      this.#seen = size;
      return `${line}\n`;
    }
    throw new Error("answers without a cosignature by its key");
  }
}
