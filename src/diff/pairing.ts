/**
 * Members of a container by name, in its order. A name may occur several
 * times: the first is paired with the other side's first, the second with its
 * second. Kept small, since a container may have a million members.
 */
export class Names {
  readonly list: string[] = [];
  readonly #occurrences: number[] = [];
  readonly #places = new Map<string, number | number[]>();

  add(name: string): void {
    const place = this.list.length;
    const before = this.#places.get(name);
    if (before === undefined) this.#places.set(name, place);
    else if (typeof before === "number") this.#places.set(name, [before, place]);
    else before.push(place);
    this.#occurrences.push(before === undefined ? 0 : typeof before === "number" ? 1 : before.length - 1);
    this.list.push(name);
  }

  /** Where the member stands in `other` that is paired with this side's member at `place`. */
  partner(place: number, other: Names): number | undefined {
    const found = other.#places.get(this.list[place] ?? "");
    const occurrence = this.#occurrences[place] ?? 0;
    return typeof found === "number" ? (occurrence === 0 ? found : undefined) : found?.[occurrence];
  }

  /** How the member at `place` is shown: its name, with a number from the second of that name on. */
  shown(place: number): string {
    const occurrence = this.#occurrences[place] ?? 0;
    return `${this.list[place] ?? ""}${occurrence === 0 ? "" : ` (${occurrence + 1})`}`;
  }

  /** Names that tell members of the same name apart. */
  keys(): string[] {
    return this.list.map((name, place) => ((this.#occurrences[place] ?? 0) === 0 ? name : `${this.shown(place)}\0`));
  }
}
