/** `lock --check`: what an upstream serves now, set against what was locked. Nothing is written. */
import { neutralised } from "../bytes.ts";
import type { Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import type { Exchange, Recording } from "../record/recording.ts";
import type { Lock } from "./lock.ts";
import { KEY } from "./lock-issues.ts";
import { agreement, checksumText } from "./pins.ts";
import { isDownload, shownUrl } from "./recorded-url.ts";

export interface UpstreamChange {
  kind:
    | "other-bytes" // the same name or address has another content
    | "not-served" // the address answers with an error
    | "not-fetched" // the fetch no longer asks for it
    | "also-fetched"; // the fetch asks for something that is not locked
  /** purl; the address where there is none. */
  what: string;
  /** Without credentials and query. */
  url?: string;
  /** Checksums, `algorithm:digits`. */
  before?: string;
  after?: string;
  /** Of the answer, where it is an error. */
  status?: number;
}

/** Order of importance. */
const KINDS = ["other-bytes", "not-served", "also-fetched", "not-fetched"] as const;

/**
 * What changed upstream between a lock (with its recording, where that is still
 * there) and a lock made afresh with the recording of its fetch. One change an
 * artifact, the gravest. [] when a registry serves what it served. Answers
 * about packages (indexes, metadata) change every day and do not count.
 */
export function upstreamChanges(
  before: { lock: Lock; recording?: Recording },
  now: { lock: Lock; recording: Recording },
): UpstreamChange[] {
  const addresses = before.recording === undefined ? [] : addressChanges(before.recording, now.recording);
  const gravest = new Map<string, UpstreamChange>();
  for (const change of [...addresses, ...materialChanges(before.lock, now.lock)]) {
    const known = gravest.get(change.what);
    if (known === undefined || KINDS.indexOf(change.kind) < KINDS.indexOf(known.kind)) gravest.set(change.what, change);
  }
  return sortedBy(gravest.values(), (change) => `${KINDS.indexOf(change.kind)} ${change.what}`);
}

/** As lines for people: what, then both sides. */
export function upstreamLines(changes: readonly UpstreamChange[]): string[] {
  return changes.flatMap(({ kind, what, url, before, after, status }) => {
    const from = url === undefined ? "" : ` (${url})`;
    const sides = [
      ...(before === undefined ? [] : [`    locked ${before}`]),
      ...(after === undefined ? [] : [`    served ${after}`]),
    ];
    return [`${what}: ${SAID[kind]}${status === undefined ? "" : `, status ${status}`}${from}`, ...sides].map(
      neutralised,
    );
  });
}

const SAID = {
  "other-bytes": "same name, other bytes",
  "not-served": "no longer served",
  "also-fetched": "fetched now, and not in the lock",
  "not-fetched": "in the lock, and no longer fetched",
} as const;

function addressChanges(before: Recording, now: Recording): UpstreamChange[] {
  const answers = new Map(now.exchanges.map((exchange) => [keyOf(exchange), exchange]));
  return before.exchanges.flatMap((was): UpstreamChange[] => {
    if (was.status !== 200 || (was.purl === undefined && !isDownload(was.url))) return [];
    const is = answers.get(keyOf(was));
    if (is === undefined || is.digest === was.digest) return [];
    const what = was.purl ?? shownUrl(was.url);
    const common = { what, url: shownUrl(was.url), before: was.digest };
    // A redirect only leads elsewhere: what is served there is compared.
    if (is.status >= 300 && is.status < 400) return [];
    return is.status >= 400
      ? [{ kind: "not-served", ...common, status: is.status }]
      : [{ kind: "other-bytes", ...common, after: is.digest }];
  });
}

const keyOf = ({ method, url }: Exchange): string => `${method} ${url}`;

function materialChanges(before: Lock, now: Lock): UpstreamChange[] {
  const fresh = new Map(now.materials.map((item) => [KEY.material(item), item]));
  const old = new Set(before.materials.map(KEY.material));
  const come = now.materials.filter((item) => !old.has(KEY.material(item)));
  return [
    ...before.materials.flatMap((was): UpstreamChange[] => {
      const is = fresh.get(KEY.material(was));
      if (is === undefined) return [{ kind: "not-fetched", what: KEY.material(was), ...sums({ before: was }) }];
      if (agreement(was.checksums, is.checksums) !== "other") return [];
      const [locked, served] = [checksumText(was.checksums, is.checksums), checksumText(is.checksums, was.checksums)];
      return [{ kind: "other-bytes", what: KEY.material(was), before: locked, after: served }];
    }),
    ...come.map((item): UpstreamChange => ({
      kind: "also-fetched",
      what: KEY.material(item),
      ...sums({ after: item }),
    })),
  ];
}

function sums(sides: { before?: Material; after?: Material }): { before?: string; after?: string } {
  const known = Object.entries(sides).filter(([, item]) => Object.keys(item.checksums).length > 0);
  return Object.fromEntries(known.map(([side, item]) => [side, checksumText(item.checksums)]));
}
