/** The tiles of a log on a web server or in a bucket, read over HTTP: C2SP tlog-tiles, "APIs". */
import { setTimeout as pause } from "node:timers/promises";
import { utf8Text } from "../bytes.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { MAX_CHECKPOINT_BYTES, type TileSource, maxTileBytes } from "./source.ts";
import { TILE_WIDTH, tilePath } from "./tile.ts";

const TRIES = 4;
const FIRST_PAUSE = 250;

export interface AddressOptions {
  /** For one request, its body included; 20,000 when not given. */
  timeoutMilliseconds?: number;
  /** Before the second try, doubling after it; 250 when not given. */
  pauseMilliseconds?: number;
}

export class LogAddress implements TileSource {
  readonly name: string;
  readonly #timeout: number;
  readonly #pause: number;

  /** `prefix`: an http or https URL without user, query or fragment; tiles are below it. Throws `input`. */
  constructor(prefix: string, options: AddressOptions = {}) {
    const url = URL.canParse(prefix) ? new URL(prefix) : undefined;
    const plain = url !== undefined && url.username + url.password + url.search + url.hash === "";
    if (url === undefined || !plain || !/^https?:$/.test(url.protocol)) {
      throw new BitforbitError("input", `not the address of a log: ${JSON.stringify(prefix.slice(0, 200))}`, {
        hint: "an http or https URL below which /checkpoint and /tile/ are, without user, query or fragment",
      });
    }
    this.name = url.href.replace(/\/+$/, "");
    this.#timeout = options.timeoutMilliseconds ?? 20_000;
    this.#pause = options.pauseMilliseconds ?? FIRST_PAUSE;
  }

  async checkpointNote(): Promise<string | undefined> {
    return await this.#text("checkpoint", MAX_CHECKPOINT_BYTES);
  }

  async searchNotes(): Promise<string | undefined> {
    // A bucket that may not be listed says 403 of what is not there; this file need not be.
    return await this.#text("search.json", 2 * MAX_CHECKPOINT_BYTES, [403, 404, 410]);
  }

  async tile(level: number | "entries", index: number, width: number): Promise<Uint8Array | undefined> {
    const most = maxTileBytes(level);
    const exact = await this.#get(tilePath(level, index, width), most);
    // "MAY delete any partial tile once the corresponding full tile is available"
    if (exact !== undefined || width === TILE_WIDTH) return exact;
    return await this.#get(tilePath(level, index, TILE_WIDTH), most);
  }

  async #text(path: string, most: number, absent?: readonly number[]): Promise<string | undefined> {
    const bytes = await this.#get(path, most, absent);
    if (bytes === undefined) return undefined;
    const text = utf8Text(bytes);
    if (text === undefined) throw new BitforbitError("input", `${this.name}/${path} is not UTF-8`);
    return text;
  }

  /** Undefined for what is `absent`. What may pass (no answer, 429, 5xx) is tried again. Throws `outside` or `limit`. */
  async #get(path: string, most: number, absent: readonly number[] = [404, 410]): Promise<Uint8Array | undefined> {
    const url = `${this.name}/${path}`;
    let why = "";
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries > 0) await pause(this.#pause * 2 ** (tries - 1));
      try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(this.#timeout) });
        if (answer.status === 200) return await boundedBody(answer, most, url);
        await answer.body?.cancel();
        if (absent.includes(answer.status)) return undefined;
        why = `answers ${answer.status}`;
        if (answer.status !== 429 && answer.status < 500) break;
      } catch (error) {
        if (error instanceof BitforbitError) throw error;
        const { cause } = error as { cause?: unknown };
        why = `cannot be read: ${messageOf(cause ?? error)}`;
      }
    }
    throw new BitforbitError("outside", `${url} ${why}`, { hint: "try again later; what was read before is kept" });
  }
}

/** The body of an answer, never more of it in memory than `most` bytes. Throws `limit`. */
export async function boundedBody(answer: Response, most: number, what: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of answer.body ?? []) {
    length += part.length;
    if (length > most) throw new BitforbitError("limit", `${what} is larger than ${most} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
