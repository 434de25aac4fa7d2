/** What of two bills differs, component by component. */
import { purlWithoutVersion } from "../purl.ts";
import { byteOrder } from "../order.ts";
import type { Bom, Component } from "./bom.ts";

export interface BomDifference {
  added: string[];
  removed: string[];
  changed: { component: string; fields: { field: string; a: string; b: string }[] }[];
}

const FIELDS = [
  "type",
  "version",
  "scope",
  "declared",
  "concluded",
  "copyright",
  "cpe",
  "fileName",
  "download",
] as const;

/** Components are paired by purl without version, else by group and name; several of one name by version, in order. */
export function compareBoms(a: Bom, b: Bom): BomDifference {
  const [left, right] = [byKey(a), byKey(b)];
  const difference: BomDifference = { added: [], removed: [], changed: [] };
  for (const key of [...new Set([...left.keys(), ...right.keys()])].sort(byteOrder)) {
    const [ours, theirs] = [left.get(key) ?? [], right.get(key) ?? []];
    const versions = new Set(theirs.map(({ version }) => version));
    // The same version on both sides is one pair, before others of that name are taken for a change of version.
    const pairs = ours.flatMap((one) => {
      const same = versions.has(one.version) ? theirs.find(({ version }) => version === one.version) : undefined;
      return same === undefined ? [] : [[one, same] as const];
    });
    const [goneRest, newRest] = [
      ours.filter((one) => !pairs.some(([it]) => it === one)),
      theirs.filter((one) => !pairs.some(([, it]) => it === one)),
    ];
    const count = Math.min(goneRest.length, newRest.length);
    for (let at = 0; at < count; at++) {
      const [one, other] = [goneRest[at], newRest[at]];
      if (one !== undefined && other !== undefined) pairs.push([one, other]);
    }
    difference.removed.push(...goneRest.slice(count).map(shownName));
    difference.added.push(...newRest.slice(count).map(shownName));
    for (const [one, other] of pairs) {
      const fields = fieldsOf(one, other, a, b);
      if (fields.length > 0) difference.changed.push({ component: shownName(one), fields });
    }
  }
  return difference;
}

function byKey(bom: Bom): Map<string, Component[]> {
  return Map.groupBy(bom.components, keyOf);
}

const keyOf = ({ purl, group, name, partOf }: Component): string =>
  purl === undefined ? `${partOf === undefined ? "" : "part "}${group ?? ""}/${name}` : purlWithoutVersion(purl);

const shownName = ({ purl, name, version }: Component): string =>
  purl ?? (version === undefined ? name : `${name}@${version}`);

function texts(component: Component, bom: Bom): [string, string][] {
  return [
    ...FIELDS.map((field): [string, string] => [field, component[field] ?? ""]),
    ["supplier", component.supplier?.name ?? ""],
    ["hashes", component.hashes.map(({ algorithm, value }) => `${algorithm}:${value}`).join(" ")],
    ["dependsOn", dependenciesText(component, bom)],
  ];
}

function fieldsOf(one: Component, other: Component, a: Bom, b: Bom): { field: string; a: string; b: string }[] {
  const theirs = new Map(texts(other, b));
  return texts(one, a).flatMap(([field, text]) => {
    const now = theirs.get(field) ?? "";
    return text === now ? [] : [{ field, a: text, b: now }];
  });
}

/** Refs mean nothing outside their document: names do. */
function dependenciesText({ dependsOn }: Component, bom: Bom): string {
  if (dependsOn === undefined) return "not said";
  const wanted = new Set(dependsOn);
  const names = bom.components.filter(({ ref }) => wanted.has(ref)).map(shownName);
  return names.length === 0 ? "none" : names.sort(byteOrder).join(" ");
}
