/** Causes as people read them: by name, the most important first, with what follows from them. */
import { byteOrder } from "../order.ts";
import type { CauseName } from "../world.ts";
import type { Cause, Writer } from "./cause.ts";
import { asTyped } from "./commands.ts";

export interface CauseGroup {
  name: CauseName;
  /** Further variations without which it does not differ. */
  with: readonly CauseName[];
  /** The surest first. */
  places: readonly Cause[];
  /** Differences that only follow from these. */
  consequences: readonly Cause[];
  /** Who wrote the bytes, the command of most places first. */
  commands: readonly Writer[];
  /** Distinct, of the places. */
  remedies: readonly string[];
  tried: readonly string[];
}

const RANK = { certain: 0, likely: 1, possible: 2 } as const;

/** Groups by name; `loose` are consequences of nothing that is listed. */
export function causeGroups(causes: readonly Cause[]): { groups: CauseGroup[]; loose: Cause[] } {
  const primary = causes.filter(({ name }) => name !== "consequence");
  const byKey = Map.groupBy(primary, (cause) => [cause.name, ...(cause.with ?? [])].join("+"));
  const ranked = [...byKey].map(([key, places]) => ({ key, group: groupOf(places, []) }));
  ranked.sort((a, b) => byImportance(a.group, b.group));
  const following = new Map<string, Cause[]>(ranked.map(({ key }) => [key, []]));
  const keys = placeKeys(ranked);
  const loose: Cause[] = [];
  for (const cause of causes) {
    if (cause.name !== "consequence") continue;
    const owner = keys.get(JSON.stringify(cause.from)) ?? keys.get(cause.from?.[0] ?? cause.artifact);
    (owner === undefined ? loose : (following.get(owner) ?? loose)).push(cause);
  }
  const groups = ranked.map(({ key, group }) => ({ ...group, consequences: following.get(key) ?? [] }));
  return { groups: groups.sort(byImportance), loose };
}

/** The group of each place and of each artifact: the first that has one there. */
function placeKeys(ranked: readonly { key: string; group: CauseGroup }[]): Map<string, string> {
  const keys = new Map<string, string>();
  for (const { key, group } of ranked) {
    const { places } = group;
    for (const { artifact, leaf } of places) {
      for (const place of [JSON.stringify([artifact, ...leaf]), artifact]) if (!keys.has(place)) keys.set(place, key);
    }
  }
  return keys;
}

function groupOf(places: readonly Cause[], consequences: readonly Cause[]): CauseGroup {
  const sorted = places.toSorted((a, b) => RANK[a.confidence] - RANK[b.confidence]);
  const written = Map.groupBy(
    sorted.map(({ command }) => command).filter((command) => command !== undefined),
    commandWords,
  );
  const [first] = sorted;
  return {
    name: first?.name ?? "unknown",
    with: first?.with ?? [],
    places: sorted,
    consequences,
    commands: [...written.values()]
      .sort((a, b) => b.length - a.length)
      .map(([one]) => one)
      .filter((one) => one !== undefined),
    remedies: [...new Set(sorted.map(({ remedy }) => remedy))].filter((remedy) => remedy !== ""),
    tried: [...new Set(sorted.flatMap(({ tried }) => tried ?? []))],
  };
}

/** What is known before what is not, the surest first, what explains most before the others. */
function byImportance(a: CauseGroup, b: CauseGroup): number {
  const [unknownA, unknownB] = [a, b].map(({ name }) => Number(name === "unknown"));
  const weight = ({ places, consequences }: CauseGroup): number => places.length + consequences.length;
  const rank = ({ places }: CauseGroup): number => RANK[places[0]?.confidence ?? "possible"];
  return (unknownA ?? 0) - (unknownB ?? 0) || rank(a) - rank(b) || weight(b) - weight(a) || byteOrder(a.name, b.name);
}

/** `date > out.txt (Makefile:8)`: a command as one would type it, and where the build script asks for it. */
export function commandWords({ argv, script }: Writer): string {
  return `${asTyped({ argv })}${script === undefined ? "" : ` (${script.path}:${script.line})`}`;
}

const WHY: Readonly<Record<NonNullable<Cause["basis"]>, string>> = {
  watermark: "one world's own value stands there",
  field: "the field itself says so",
  experiment: "builds that differ in nothing else differ there",
  digest: "it holds the digest of what differs",
};

/** How sure a cause is, and why. */
export function surenessWords({ confidence, basis }: Cause): string {
  if (basis === undefined) return confidence;
  const both = basis === "watermark" && confidence === "certain";
  return `${confidence}: ${both ? "each world's own value stands there" : WHY[basis]}`;
}
