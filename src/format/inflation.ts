import { BitforbitError } from "../errors.ts";

/** How much decompressed data is believed: archives come from outside. */
export interface InflationLimits {
  /** Decompressed bytes of one stream. */
  maxBytes: number;
  /** Decompressed bytes for each compressed one, counted once `freeBytes` are out. */
  maxRatio: number;
  freeBytes: number;
}

export const INFLATION_LIMITS: InflationLimits = { maxBytes: 4 * 2 ** 30, maxRatio: 250, freeBytes: 64 << 20 };

/** Takes decompressed bytes in order; the chunk is the taker's to keep. */
export type Sink = (chunk: Uint8Array) => void;

/** Counts what comes out of one decompressor, and throws `limit` when it is a bomb. */
export class InflationGuard {
  readonly #name: string;
  readonly #compressed: number;
  readonly #limits: InflationLimits;
  bytes = 0;

  /** `compressed`: the bytes that go in. */
  constructor(name: string, compressed: number, limits: InflationLimits) {
    this.#name = name;
    this.#compressed = compressed;
    this.#limits = limits;
  }

  add(count: number): void {
    this.bytes += count;
    if (this.bytes > this.#limits.maxBytes) {
      throw new BitforbitError("limit", `${this.#name}: decompresses to more than ${this.#limits.maxBytes} bytes`);
    }
    if (this.bytes > this.#limits.freeBytes && this.bytes > this.#compressed * this.#limits.maxRatio) {
      throw new BitforbitError(
        "limit",
        `${this.#name}: ${this.#compressed} bytes decompress to over ${this.bytes}, more than ${this.#limits.maxRatio} to one`,
      );
    }
  }
}
