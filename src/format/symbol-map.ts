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
  /** 0 to 6; lower wins among several names of one address. `ANONYMOUS`: a place without a name. */
  rank: number;
  code: boolean;
}

export const ANONYMOUS = 7;
const MAX_PLACES = 4_000_000;

/** Places as they are found; what comes after the four millionth is not taken. */
export class PlaceList {
  addresses: Float64Array = new Float64Array(1024);
  sizes: Float64Array = new Float64Array(1024);
  /** Rank times two, and one for code. */
  kinds: Uint8Array = new Uint8Array(1024);
  /** What the name is made of. */
  references: Int32Array = new Int32Array(1024);
  count = 0;

  add({ address, size, rank, code }: Place, reference: number): boolean {
    if (this.count >= MAX_PLACES) return false;
    if (this.count === this.addresses.length) this.#grow();
    this.addresses[this.count] = address;
    this.sizes[this.count] = size;
    this.kinds[this.count] = rank * 2 + (code ? 1 : 0);
    this.references[this.count++] = reference;
    return true;
  }

  #grow(): void {
    const length = this.count * 2;
    const { addresses, sizes, kinds, references } = this;
    (this.addresses = new Float64Array(length)).set(addresses);
    (this.sizes = new Float64Array(length)).set(sizes);
    (this.kinds = new Uint8Array(length)).set(kinds);
    (this.references = new Int32Array(length)).set(references);
  }
}

/** Indexes by address, then by rank, then as they were found. */
function inOrder({ addresses, kinds, count }: PlaceList): Uint32Array {
  const order = new Uint32Array(count);
  let [least, most] = [Infinity, 0];
  for (let index = 0; index < count; index++) {
    order[index] = index;
    least = Math.min(least, addresses[index] ?? 0);
    most = Math.max(most, addresses[index] ?? 0);
  }
  const rank = (index: number): number => (kinds[index] ?? 0) >> 1;
  if ((most - least + 1) * 8 * count > Number.MAX_SAFE_INTEGER) {
    return order.sort(
      (one, two) => (addresses[one] ?? 0) - (addresses[two] ?? 0) || rank(one) - rank(two) || one - two,
    );
  }
  // All three in one number: sorted without a comparison in JavaScript, ten times as fast.
  const keys = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    keys[index] = (((addresses[index] ?? 0) - least) * 8 + rank(index)) * count + index;
  }
  keys.sort();
  for (let at = 0; at < count; at++) order[at] = (keys[at] ?? 0) % count;
  return order;
}

/** One place an address, in order; a size of 0 ends where the next place begins. */
export class SymbolMap {
  readonly #list: PlaceList;
  readonly #order: Uint32Array;
  readonly #addresses: Float64Array;
  readonly #resolve: (reference: number) => string;

  constructor(list: PlaceList, resolve: (reference: number) => string) {
    const { addresses, count } = list;
    const order = inOrder(list);
    let kept = 0;
    for (let at = 0; at < count; at++) {
      const index = order[at] ?? 0;
      if (kept > 0 && addresses[order[kept - 1] ?? 0] === addresses[index]) continue;
      order[kept++] = index;
    }
    this.#list = list;
    this.#order = order.subarray(0, kept);
    this.#addresses = new Float64Array(kept);
    for (let at = 0; at < kept; at++) this.#addresses[at] = addresses[order[at] ?? 0] ?? 0;
    this.#resolve = resolve;
  }

  get size(): number {
    return this.#order.length;
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
    return this.#list.sizes[this.#order[index] ?? 0] ?? 0;
  }

  isCode(index: number): boolean {
    return ((this.#list.kinds[this.#order[index] ?? 0] ?? 0) & 1) === 1;
  }

  /** Undefined for a place without a name. */
  name(index: number): string | undefined {
    if (index < 0 || index >= this.size) return undefined;
    const place = this.#order[index] ?? 0;
    if ((this.#list.kinds[place] ?? 0) >> 1 === ANONYMOUS) return undefined;
    return this.#resolve(this.#list.references[place] ?? 0);
  }

  /** The name that covers `address` and how far into it that is. */
  at(address: number): { name: string; offset: number } | undefined {
    const index = this.first(address + 1) - 1;
    if (index < 0) return undefined;
    const offset = address - this.address(index);
    if (offset !== 0 && offset >= this.sizeOf(index)) return undefined;
    const name = this.name(index);
    return name === undefined ? undefined : { name, offset };
  }
}
