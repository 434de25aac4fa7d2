/** What a project's own lockfiles say that an artifact's bytes must be. */
import { goModHashes } from "../format/go-sum.ts";
import type { Checksums } from "../material.ts";
import type { Lockfile } from "./lockfiles.ts";

/** One artifact as a lockfile names it. */
export interface Pin {
  purl: string;
  /** The lockfile's path. */
  where: string;
  /** What it is called. */
  name: string;
  /** An artifact is right when all that it has in common with one of these is the same; [] when the lockfile gives none. */
  alternatives: Checksums[];
}

export interface Pins {
  artifacts: Pin[];
  /** From elsewhere: they say what bytes an artifact has, not that it is needed. */
  trusted: readonly Pin[];
  /** Go's hash of go.mod files, by `path version`. */
  goMods: Map<string, { h1: string; where: string }>;
  /** Lockfiles whose format is not known: nothing that they say is compared. */
  unread: string[];
}

/** The pins of all lockfiles together; `trusted` are pins from elsewhere. Throws `input` for broken lockfiles. */
export function pinsOf(lockfiles: readonly Lockfile[], trusted: readonly Pin[] = []): Pins {
  const pins: Pins = { artifacts: [], trusted, goMods: new Map(), unread: [] };
  for (const { path, text, reader, hashes, format } of lockfiles) {
    if (reader === undefined) pins.unread.push(path);
    const several = hashes?.(text, path);
    for (const material of reader?.(text, path) ?? []) {
      const { purl, checksums } = material;
      if (purl === undefined) continue;
      const alternatives = [...(several?.get(purl) ?? [])].map(checksumsOf);
      if (several === undefined && Object.keys(checksums).length > 0) alternatives.push(checksums);
      pins.artifacts.push({ purl, where: path, name: material.name, alternatives });
    }
    if (format !== "go.sum") continue;
    for (const [module, h1] of goModHashes(text, path)) pins.goMods.set(module, { h1, where: path });
  }
  return pins;
}

/** `algorithm:digits` as checksums. */
function checksumsOf(hash: string): Checksums {
  const [algorithm = "", digits = ""] = hash.split(":");
  return { [algorithm]: digits } as Checksums;
}

const ALGORITHMS = ["sha512", "sha384", "sha256", "goH1", "sha1"] as const;

/** How an artifact's checksums stand to one alternative: `weak` when only SHA-1 could be compared, `unknown` when nothing could. */
export type Agreement = "same" | "weak" | "other" | "unknown";

export function agreement(pinned: Checksums, found: Checksums): Agreement {
  const shared = ALGORITHMS.filter((name) => pinned[name] !== undefined && found[name] !== undefined);
  if (shared.some((name) => pinned[name] !== found[name])) return "other";
  if (shared.length === 0) return "unknown";
  return shared.every((name) => name === "sha1") ? "weak" : "same";
}

/** The best of several: one that is the same makes the artifact right. */
export function bestAgreement(alternatives: readonly Checksums[], found: Checksums): Agreement {
  const all = alternatives.map((pinned) => agreement(pinned, found));
  return (["same", "weak", "unknown", "other"] as const).find((kind) => all.includes(kind)) ?? "unknown";
}

/** The checksum that people compare: the strongest in which the two differ, or that both have, or that there is. */
export function checksumText(checksums: Checksums, other: Checksums = checksums): string {
  const known = ALGORITHMS.filter((name) => checksums[name] !== undefined);
  const shared = known.filter((item) => other[item] !== undefined);
  const name = shared.find((item) => other[item] !== checksums[item]) ?? shared[0] ?? known[0];
  if (name === undefined) return "no checksum";
  return name === "goH1" ? (checksums.goH1 ?? "") : `${name}:${checksums[name] ?? ""}`;
}
