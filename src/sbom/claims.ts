/** A bill set against what a build was seen to read. */
import type { Bom } from "./bom.ts";

/** One dependency that was locked for a build, and whether it was read. */
export interface ObservedRead {
  purl?: string;
  name: string;
  sha256?: string;
  sha512?: string;
  read: boolean;
}

export interface Claims {
  /** Names (purls, where there are) of what was read, in the order given. */
  read: string[];
  /** Read, and not in the bill. */
  missing: string[];
  /** In the bill, and never read: purls or refs. */
  unread: string[];
}

/** `observed`: every dependency of the build, read or not. Matched by purl without qualifiers, else by digest. */
export function claimsOf(bom: Bom, observed: readonly ObservedRead[]): Claims {
  const purls = new Set(bom.components.flatMap(({ purl }) => (purl === undefined ? [] : [plainPurl(purl)])));
  const digests = new Set(bom.components.flatMap(({ hashes }) => hashes.map(({ value }) => value)));
  const isListed = ({ purl, sha256, sha512 }: ObservedRead): boolean =>
    (purl !== undefined && purls.has(plainPurl(purl))) || has(digests, sha256) || has(digests, sha512);
  const read = observed.filter((one) => one.read);
  const readPurls = new Set(read.flatMap(({ purl }) => (purl === undefined ? [] : [plainPurl(purl)])));
  const readDigests = new Set(read.flatMap(({ sha256, sha512 }) => [sha256 ?? "", sha512 ?? ""]));
  // The product and its files are made, not read.
  const product = new Set(
    bom.components.filter(({ ref, partOf }) => ref === bom.root || partOf === bom.root).map(({ ref }) => ref),
  );
  const unread = bom.components.filter(
    ({ ref, purl, hashes }) =>
      !product.has(ref) &&
      !(purl !== undefined && readPurls.has(plainPurl(purl))) &&
      !hashes.some(({ value }) => readDigests.has(value)),
  );
  return {
    read: read.map(nameOf),
    missing: read.filter((one) => !isListed(one)).map(nameOf),
    unread: unread.map(({ purl, ref }) => purl ?? ref),
  };
}

const has = (set: ReadonlySet<string>, value: string | undefined): boolean => value !== undefined && set.has(value);
const nameOf = ({ purl, name }: ObservedRead): string => purl ?? name;

/** Without qualifiers and subpath, the type in lower case and an npm scope written one way. */
function plainPurl(purl: string): string {
  const plain = purl.replace(/[?#][^]*$/, "").replace(/^pkg:[^/]*/, (type) => type.toLowerCase());
  return plain.replace("pkg:npm/@", "pkg:npm/%40");
}
