import { BitforbitError } from "../errors.ts";
import type { Checksums, Material } from "../material.ts";
import { byteOrder, sortedBy } from "../order.ts";

/** Most dependencies that one lockfile may name. */
export const MAX_MATERIALS = 200_000;

/** What a lockfile names more than once, or in two lists, becomes one material. */
const ALGORITHMS = ["sha1", "sha256", "sha384", "sha512", "goH1"] as const;

/**
 * One material a purl, in byte order, `dependsOn` sorted and without itself.
 * The same purl with two different checksums is two contents under one name:
 * throws `input`, naming it and `what`.
 */
export function materialList(materials: Iterable<Material>, what: string): Material[] {
  const byPurl = new Map<string, Material>();
  for (const material of materials) {
    const key = material.purl ?? `${material.name}@${material.version ?? ""}`;
    const known = byPurl.get(key);
    byPurl.set(key, known === undefined ? material : joined(known, material, what));
    if (byPurl.size > MAX_MATERIALS)
      throw new BitforbitError("limit", `${what}: more than ${MAX_MATERIALS} dependencies`);
  }
  return sortedBy(byPurl.values(), (material) => material.purl ?? material.name).map((material) => {
    if (material.dependsOn === undefined) return material;
    const { dependsOn, ...rest } = material;
    const others = [...new Set(dependsOn)].filter((purl) => purl !== material.purl).sort(byteOrder);
    return others.length === 0 ? rest : { ...rest, dependsOn: others };
  });
}

function joined(a: Material, b: Material, what: string): Material {
  const checksums: Checksums = { ...a.checksums };
  for (const algorithm of ALGORITHMS) {
    const [mine, other] = [a.checksums[algorithm], b.checksums[algorithm]];
    if (mine !== undefined && other !== undefined && mine !== other) {
      throw new BitforbitError("input", `${what}: ${a.purl ?? a.name} has two ${algorithm}: ${mine} and ${other}`, {
        hint: "one name with two contents: find out which one is right, then make the lockfile anew",
      });
    }
    if (other !== undefined) checksums[algorithm] = other;
  }
  // Needed at run time once is needed; not known once is not known to be build-only.
  const runtime =
    a.runtime === true || b.runtime === true ? true : a.runtime === false && b.runtime === false ? false : undefined;
  const { runtime: _a, ...first } = a;
  const { runtime: _b, ...second } = b;
  return {
    ...second,
    ...first,
    checksums,
    ...(runtime === undefined ? {} : { runtime }),
    ...(a.dependsOn === undefined && b.dependsOn === undefined
      ? {}
      : { dependsOn: (a.dependsOn ?? []).concat(b.dependsOn ?? []) }),
  };
}
