/**
 * A stream of choices that a number fixes: SplitMix64 (Steele, Lea and Flood, 2014).
 * The same number gives the same stream on every machine and Node.
 */
export interface Stream {
  /** An integer from 0 up to and without `limit`. */
  below(limit: number): number;
  /** One of `values`, which are not none. */
  pick<T>(values: readonly T[]): T;
  /** All of `values` in another order. */
  shuffled<T>(values: readonly T[]): T[];
}

const MASK = (1n << 64n) - 1n;

export function stream(seed: number): Stream {
  let state = BigInt(seed) & MASK;
  const next = (): bigint => {
    state = (state + 0x9e3779b97f4a7c15n) & MASK;
    let mixed = state;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK;
    return mixed ^ (mixed >> 31n);
  };
  const below = (limit: number): number => Number(next() % BigInt(limit));
  return {
    below,
    pick: (values) => {
      const value = values[below(values.length)];
      if (value === undefined) throw new RangeError("nothing to pick from");
      return value;
    },
    shuffled: (values) => {
      const left = [...values];
      const order: (typeof left)[number][] = [];
      while (left.length > 0) order.push(...left.splice(below(left.length), 1));
      return order;
    },
  };
}
