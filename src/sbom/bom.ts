/**
 * A bill of materials as both CycloneDX 1.4–1.6 and SPDX 2.3 can say it. What
 * one of them has a field for and the other has not is carried there under a
 * name of its own (CycloneDX: properties `spdx:…`; SPDX: annotations), so that
 * a document comes back as it was. What neither way can carry is named by the
 * reader or writer that leaves it out.
 */
import { BitforbitError } from "../errors.ts";
import { sortedBy } from "../order.ts";

export interface Party {
  kind: "person" | "organization";
  name: string;
  email?: string;
  url?: string;
}

export type Creator = Party | { kind: "tool"; name: string; version?: string };

/** An algorithm as CycloneDX names it, and the digest in lower-case hexadecimal. */
export interface Hash {
  algorithm: string;
  value: string;
}

/** Where more is to be found; `type` is one of CycloneDX's. */
export interface Reference {
  type: string;
  url: string;
  comment?: string;
}

export interface Property {
  name: string;
  value: string;
}

/** The text of a licence that SPDX does not list. */
export interface ExtractedLicence {
  /** `LicenseRef-…`, as expressions name it. */
  id: string;
  name?: string;
  text?: string;
}

/** How far a list of dependencies or of parts goes: CycloneDX `compositions.aggregate`. */
export interface Completeness {
  of: string;
  what: "dependencies" | "parts";
  is: string;
}

export interface Component {
  /** Names it within the document. */
  ref: string;
  /** As CycloneDX names types. */
  type: string;
  group?: string;
  name: string;
  version?: string;
  supplier?: Party;
  /** Who made it, where that is somebody else than who supplies it. */
  originator?: Party;
  description?: string;
  comment?: string;
  copyright?: string;
  purl?: string;
  cpe?: string;
  /** Name of the file in which it came. */
  fileName?: string;
  scope?: "required" | "optional" | "excluded";
  hashes: Hash[];
  /** SPDX licence expressions, or NONE. */
  declared?: string;
  concluded?: string;
  homepage?: string;
  download?: string;
  references: Reference[];
  properties: Property[];
  /** Refs; an empty list says that there are none, no list that nothing is said. */
  dependsOn?: string[];
  /** The ref of what it is a part of. */
  partOf?: string;
}

export interface Bom {
  /** Unique in the world: `urn:uuid:…`, or another URI. */
  id?: string;
  name?: string;
  /** RFC 3339, UTC, whole seconds. */
  created?: string;
  creators: Creator[];
  /** CycloneDX's phases, such as `build`. */
  lifecycles: string[];
  comment?: string;
  /** The ref of what the document is about. */
  root?: string;
  components: Component[];
  extracted: ExtractedLicence[];
  completeness: Completeness[];
  properties: Property[];
}

/** A document read, with what of it could not be kept: a path or a sentence each. */
export interface ReadBom {
  bom: Bom;
  format: "CycloneDX" | "SPDX";
  specVersion: string;
  lost: string[];
}

const MOST_COMPONENTS = 200_000;
const MOST_LOST = 2000;

/** Names what is left out, up to a bound; one more line says how many there were beyond it. */
export class Lost {
  readonly #lines: string[] = [];
  #more = 0;

  add(line: string): void {
    if (this.#lines.length < MOST_LOST) this.#lines.push(line);
    else this.#more += 1;
  }

  lines(): string[] {
    return this.#more === 0 ? [...this.#lines] : [...this.#lines, `and ${this.#more} more`];
  }
}

/**
 * The bill in one order, so that equal bills are equal values: components by
 * ref, lists of sets sorted, hashes by algorithm. Throws `input` for two
 * components of one ref and `limit` for too many; edges that lead nowhere go
 * to `lost`.
 */
export function settled(bom: Bom, lost: Lost): Bom {
  if (bom.components.length > MOST_COMPONENTS) {
    throw new BitforbitError("limit", `the SBOM has ${bom.components.length} components, over ${MOST_COMPONENTS}`);
  }
  const refs = new Set<string>();
  for (const { ref } of bom.components) {
    if (refs.has(ref)) throw new BitforbitError("input", `two components of the SBOM are called ${shown(ref)}`);
    refs.add(ref);
  }
  const known = (from: string, to: string): boolean => {
    if (refs.has(to)) return true;
    lost.add(`${shown(from)} names ${shown(to)}, which is not in the document`);
    return false;
  };
  const components = sortedBy(bom.components, ({ ref }) => ref).map((component) => {
    const { dependsOn, partOf, ...rest } = component;
    return {
      ...rest,
      hashes: sortedBy(component.hashes, ({ algorithm, value }) => `${algorithm}\0${value}`),
      references: sortedBy(component.references, ({ type, url, comment }) => `${type}\0${url}\0${comment ?? ""}`),
      properties: sortedBy(component.properties, ({ name, value }) => `${name}\0${value}`),
      ...(dependsOn === undefined
        ? {}
        : { dependsOn: sortedSet(dependsOn.filter((to) => to !== component.ref && known(component.ref, to))) }),
      ...(partOf === undefined || !known(component.ref, partOf) ? {} : { partOf }),
    };
  });
  requireNoLoop(components);
  const { root, ...rest } = bom;
  return {
    ...rest,
    creators: sortedBy(bom.creators, creatorKey),
    components,
    ...(root === undefined || !known("the document", root) ? {} : { root }),
    extracted: sortedBy(bom.extracted, ({ id }) => id),
    completeness: sortedBy(
      bom.completeness.filter(({ of }) => known("a statement of completeness", of)),
      ({ of, what, is }) => `${of}\0${what}\0${is}`,
    ),
    properties: sortedBy(bom.properties, ({ name, value }) => `${name}\0${value}`),
  };
}

/** Tools, then people, then organisations: each format has a place of its own for each. */
function creatorKey(creator: Creator): string {
  const place = ["tool", "person", "organization"].indexOf(creator.kind);
  const more = creator.kind === "tool" ? [creator.version] : [creator.email, creator.url];
  return [place, creator.name, ...more].join("\0");
}

/** A part of itself, by however many steps, cannot be written as parts within parts. */
function requireNoLoop(components: readonly Component[]): void {
  const parents = new Map(components.map(({ ref, partOf }) => [ref, partOf]));
  const sound = new Set<string>();
  for (const { ref } of components) {
    const way: string[] = [];
    for (let at: string | undefined = ref; at !== undefined && !sound.has(at); at = parents.get(at)) {
      way.push(at);
      if (way.length > 40) throw new BitforbitError("limit", `${shown(ref)} is a part of parts of parts, over 40 deep`);
    }
    for (const one of way) sound.add(one);
  }
}

export function sortedSet(items: Iterable<string>): string[] {
  return sortedBy(new Set(items), (item) => item);
}

/** A value of a foreign document, as a message shows it. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
