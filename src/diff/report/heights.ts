/** Heights of a million things in a column: the place of each and what stands at a place, in a few steps (Fenwick's tree). */
export class Heights {
  readonly length: number;
  readonly #heights: Int32Array;
  readonly #sums: Float64Array;
  readonly #top: number;

  constructor(heights: Int32Array) {
    this.length = heights.length;
    this.#heights = heights;
    this.#sums = new Float64Array(heights.length + 1);
    for (let at = 1; at <= heights.length; at++) {
      this.#sums[at] = (this.#sums[at] ?? 0) + (heights[at - 1] ?? 0);
      const parent = at + (at & -at);
      if (parent <= heights.length) this.#sums[parent] = (this.#sums[parent] ?? 0) + (this.#sums[at] ?? 0);
    }
    this.#top = heights.length === 0 ? 0 : 2 ** Math.floor(Math.log2(heights.length));
  }

  height(at: number): number {
    return this.#heights[at] ?? 0;
  }

  /** Gives the thing `at` another height; by how much it changed. */
  set(at: number, height: number): number {
    const change = height - this.height(at);
    if (change === 0) return 0;
    this.#heights[at] = height;
    for (let index = at + 1; index <= this.length; index += index & -index)
      this.#sums[index] = (this.#sums[index] ?? 0) + change;
    return change;
  }

  /** Where the thing `at` begins; of `length`, where all end. */
  start(at: number): number {
    let sum = 0;
    for (let index = Math.min(at, this.length); index > 0; index -= index & -index) sum += this.#sums[index] ?? 0;
    return sum;
  }

  get total(): number {
    return this.start(this.length);
  }

  /** What stands at `place`; the last one for places beyond the end. */
  find(place: number): number {
    let at = 0;
    let left = place;
    for (let step = this.#top; step > 0; step >>= 1) {
      const next = at + step;
      if (next <= this.length && (this.#sums[next] ?? 0) <= left) {
        at = next;
        left -= this.#sums[next] ?? 0;
      }
    }
    return Math.max(0, Math.min(at, this.length - 1));
  }
}
