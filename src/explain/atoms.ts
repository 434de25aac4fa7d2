import type { Leaf } from "../diff/difference.ts";
import type { Place } from "./group-testing.ts";
import { type Ranges, type Span, type Spots, touches, translated, WHOLE } from "./regions.ts";

interface Atom {
  /** What group testing calls it. */
  id: Place;
  span: Span;
}

/** The parts of places that experiments ask for: spans of the control that differ by themselves. */
export class Atoms {
  readonly #at = new Map<Place, Atom[]>();

  /** Takes in what differs and is not known yet; gives the new ones. */
  discover(spots: Spots): Set<Place> {
    const fresh = new Set<Place>();
    for (const [place, spans] of spots) {
      const known = this.#at.get(place) ?? [];
      for (const span of spans) {
        if (known.some((atom) => touches(atom.span, span))) continue;
        const id = span.to === Infinity ? place : `${place}\0@${span.from}`;
        known.push({ id, span });
        fresh.add(id);
      }
      if (known.length > 0) this.#at.set(place, known);
    }
    return fresh;
  }

  /** Those that `spots` touch. */
  touched(spots: Spots): Set<Place> {
    const found = new Set<Place>();
    for (const [place, spans] of spots) {
      for (const { id, span } of this.#at.get(place) ?? []) if (spans.some((one) => touches(one, span))) found.add(id);
    }
    return found;
  }

  /** Those of which nothing is left but noise. */
  within(noise: Spots): Set<Place> {
    const found = new Set<Place>();
    for (const [place, spans] of noise) {
      for (const { id, span } of this.#at.get(place) ?? []) {
        if (spans.some((one) => one.from <= span.from && span.to <= one.to)) found.add(id);
      }
    }
    return found;
  }

  /** Those of a place that these spans touch; without spans, all there. */
  touchedBy(place: Place, spans: readonly Span[] | undefined): Place[] {
    const there = this.#at.get(place) ?? [];
    return there.filter(({ span }) => spans?.some((one) => touches(one, span)) ?? true).map(({ id }) => id);
  }

  /** Where an atom is. */
  where(id: Place): { place: Place; span: Span } | undefined {
    for (const [place, atoms] of this.#at) {
      const found = atoms.find((atom) => atom.id === id);
      if (found !== undefined) return { place, span: found.span };
    }
    return undefined;
  }
}

/** Where a leaf of another comparison lies in the control. */
export function spansIn(leaf: Leaf, differing: Ranges): Span[] {
  const counted = leaf.what === "text" || leaf.what === "bytes" || leaf.what === "order";
  if (!counted || leaf.ranges.length === 0) return [WHOLE];
  return leaf.ranges.map(({ a }) => translated({ from: a.offset, to: a.offset + a.length }, differing));
}
