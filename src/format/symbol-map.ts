/**
 * Which names stand where in a program: functions and data by address, from
 * whatever tells them (symbol tables, unwind tables, Go's function table).
 * Numbers in typed arrays, names made only when asked for: a large program has
 * some hundred thousand.
 */
export interface Place {
  address: number;
  /** 0 when unknown. */
  size: number;
  /** Lower wins among several names of one address; `ANONYMOUS`: a place without a name. */
  rank: number;
  code: boolean;
}

export const ANONYMOUS = 9;
/** Several names stand at one address; a size of 0 ends where the next place begins. */
export class SymbolMap {
  readonly #addresses: Float64Array;
  readonly #sizes: Float64Array;
  readonly #code: Uint8Array;
  readonly #anonymous: Uint8Array;
  readonly #nameOf: Int32Array;
  readonly #resolve: (reference: number) => string;

  /** `references`: of each place, what `resolve` makes a name of. */
  constructor(places: readonly Place[], references: readonly number[], resolve: (reference: number) => string) {
    const order = Uint32Array.from(places, (_, index) => index);
    const at = (index: number): Place => places[index] ?? NOWHERE;
    order.sort((one, two) => {
      const left = at(one);
      const right = at(two);
      return left.address - right.address || left.rank - right.rank || one - two;
    });
    let kept = 0;
    for (const index of order) {
      if (kept > 0 && at(order[kept - 1] ?? 0).address === at(index).address) continue;
      order[kept++] = index;
    }
    const chosen = order.subarray(0, kept);
    this.#addresses = Float64Array.from(chosen, (index) => at(index).address);
    this.#sizes = Float64Array.from(chosen, (index) => at(index).size);
    this.#code = Uint8Array.from(chosen, (index) => (at(index).code ? 1 : 0));
    this.#anonymous = Uint8Array.from(chosen, (index) => (at(index).rank === ANONYMOUS ? 1 : 0));
    this.#nameOf = Int32Array.from(chosen, (index) => references[index] ?? 0);
    this.#resolve = resolve;
  }

  get size(): number {
    return this.#addresses.length;
  }

  /** Index of the first place at or after `address`. */
  first(address: number): number {
    let low = 0;
    let high = this.#addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#addresses[middle] ?? 0) < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  address(index: number): number {
    return this.#addresses[index] ?? Infinity;
  }

  sizeOf(index: number): number {
    return this.#sizes[index] ?? 0;
  }

  isCode(index: number): boolean {
    return this.#code[index] === 1;
  }

  /** Undefined for a place without a name. */
  name(index: number): string | undefined {
    if (index < 0 || index >= this.size || this.#anonymous[index] === 1) return undefined;
    return this.#resolve(this.#nameOf[index] ?? 0);
  }

  /** The name that covers `address` and how far into it that is. */
  at(address: number): { name: string; offset: number } | undefined {
    const index = this.first(address + 1) - 1;
    if (index < 0) return undefined;
    const offset = address - this.address(index);
    const size = this.sizeOf(index);
    if (offset !== 0 && offset >= size) return undefined;
    const name = this.name(index);
    return name === undefined ? undefined : { name, offset };
  }
}

const NOWHERE: Place = { address: 0, size: 0, rank: 0, code: false };
