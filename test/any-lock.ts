/** Locks made up at random, as `parseLock` gives them: lists sorted, nothing twice. */
import * as fc from "fast-check";
import type { Digest } from "../src/digest.ts";
import type { EnvironmentPackage, LockedEnvironment } from "../src/lock/environment.ts";
import type { Lock, LockedTool } from "../src/lock/lock.ts";
import { KEY } from "../src/lock/lock-issues.ts";
import type { Material } from "../src/material.ts";
import { byteOrder, sortedBy } from "../src/order.ts";

/** Objects as parsers make them, not without a prototype. */
const plain = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;

const digits = (length: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const digest = digits(64).map((hex): Digest => `sha256:${hex}`);
const text = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" });
const word = fc.constantFrom("a", "b", "c2", "lib-x", "zz");
const size = fc.nat();

function sorted<T>(item: fc.Arbitrary<T>, key: (item: T) => string, maxLength = 5): fc.Arbitrary<T[]> {
  return fc.uniqueArray(item, { selector: key, maxLength }).map((items) => sortedBy(items, key));
}

const debPackage: fc.Arbitrary<EnvironmentPackage> = plain({
  name: word.map((name) => `${name}0`),
  version: fc.constantFrom("1.0-1", "1:1.0-1", "1.0~rc1-1", "2.0+b1"),
  architecture: fc.constantFrom("amd64", "all"),
  size,
  sha256: digits(64),
});

const environment: fc.Arbitrary<LockedEnvironment> = fc.oneof(
  fc.constant({ type: "host", pinned: false } as const),
  plain({
    type: fc.constant("debian" as const),
    pinned: fc.constant(true as const),
    suite: fc.constantFrom("bookworm", "trixie/updates"),
    components: fc.constantFrom<string[][]>(["main"], ["main", "contrib"]),
    architecture: fc.constantFrom("amd64", "arm64"),
    packages: sorted(debPackage, KEY.package),
    root: digest,
  }),
  plain({
    type: fc.constant("oci" as const),
    pinned: fc.constant(true as const),
    image: text,
    platform: fc.constantFrom("linux/amd64", "linux/arm64/v8"),
    manifest: digest,
    layers: fc.array(digest, { maxLength: 3 }),
    root: digest,
  }),
);

const tool: fc.Arbitrary<LockedTool> = plain({
  name: text,
  path: text.map((path) => `/${path}`),
  version: text,
  sha256: digits(64),
});

const purl = fc
  .tuple(fc.constantFrom("npm", "cargo", "pypi"), word, fc.constantFrom("1.0.0", "1.1.0", "2.0.0-rc.1"))
  .map(([type, name, version]) => ({ purl: `pkg:${type}/${name}@${version}`, name, version }));

const checksums = fc.record(
  { sha1: digits(40), sha256: digits(64), sha384: digits(96), sha512: digits(128) },
  { requiredKeys: [], noNullPrototype: true },
);

const others = fc.record(
  { runtime: fc.boolean(), licence: text, uri: text, size },
  { requiredKeys: [], noNullPrototype: true },
);

const material: fc.Arbitrary<Material> = fc
  .tuple(
    fc.oneof(
      { weight: 4, arbitrary: purl },
      fc.record({ name: text, version: text }, { requiredKeys: ["name"], noNullPrototype: true }),
    ),
    checksums,
    others,
    fc.uniqueArray(purl, { selector: (item) => item.purl, maxLength: 2 }),
  )
  .map(([named, sums, rest, wanted]) => {
    const own = "purl" in named ? named.purl : "";
    const refs = wanted.map((item) => item.purl).filter((ref) => ref !== own);
    return {
      kind: "dependency" as const,
      ...named,
      checksums: sums,
      ...rest,
      ...(refs.length === 0 ? {} : { dependsOn: refs.sort(byteOrder) }),
    };
  });

export const anyLock: fc.Arbitrary<Lock> = fc.record(
  {
    version: fc.constant(2 as const),
    name: text,
    recipe: digest,
    environment,
    tools: sorted(tool, KEY.tool),
    source: fc.record(
      { purl: text, url: text, sha256: digits(64) },
      { requiredKeys: ["sha256"], noNullPrototype: true },
    ),
    lockfiles: sorted(plain({ path: text, sha256: digits(64) }), KEY.lockfile),
    materials: sorted(material, KEY.material),
    deps: plain({ digest, files: size, bytes: size }),
  },
  {
    requiredKeys: ["version", "name", "recipe", "environment", "tools", "lockfiles", "materials"],
    noNullPrototype: true,
  },
);
