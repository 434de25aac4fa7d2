/**
 * The auditor's question: was any evidence dropped too early? The log has an
 * entry of everything that was ever signed. For each, the evidence is there and
 * is what was signed, or a statement in the log says that it was dropped, and
 * the witnesses' times in that statement show that its retention was over.
 * Nothing else is believed, and no network is asked.
 */
import { DROPPING_V1, type Dropping, type DroppedPiece, readDropping } from "../attest/dropping.ts";
import { readStatement } from "../attest/read.ts";
import { rfc3339 } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import type { LogReader } from "../log/reader.ts";
import { type RetentionPolicy, yearsAfter, yearsFor } from "../store/retention-policy.ts";
import type { Store } from "../store/store.ts";
import {
  entriesBy,
  type Evidence,
  evidenceIn,
  notBefore,
  type OwnEntry,
  type TimeKeepers,
  witnessedOrNot,
} from "./retained.ts";

export interface RetentionProblem {
  /** `missing`: nothing permits its absence. `early`: what says that it was dropped does not show that it was time. */
  what: "missing" | "early";
  index: number;
  /** Of the bytes that were signed. */
  signed: string;
  reason: string;
}

export interface RetentionCheck {
  ok: boolean;
  origin: string;
  size: number;
  /** Entries by the keys that are asked about: all of these are judged; and those by others, which are not. */
  own: number;
  others: number;
  present: number;
  dropped: { index: number; predicateType: string; logged: number; until: number; droppedAfter: number }[];
  problems: RetentionProblem[];
}

export interface RetentionQuestion {
  log: LogReader;
  store: Store;
  /** Whose entries are judged, and who may say that they were dropped. */
  keyIds: ReadonlySet<string>;
  keepers: TimeKeepers;
  policy: RetentionPolicy;
}

export async function checkRetention(question: RetentionQuestion): Promise<RetentionCheck> {
  const { log, store, keyIds } = question;
  const { tree } = await log.newest();
  const { own, others } = await entriesBy(tree, keyIds);
  const { evidence, damaged } = await evidenceIn(store, own);
  const present = new Set(evidence.map(({ bundle }) => bundle.entry.logIndex));
  const sayings = sayingsOf(evidence, log.verifier.name);
  const dropped: RetentionCheck["dropped"] = [];
  const problems: RetentionProblem[] = [];
  for (const entry of own.values()) {
    if (present.has(entry.index)) continue;
    const judged = judge(entry, sayings.get(entry.index) ?? [], question);
    if ("reason" in judged) {
      const hint = damaged.length === 0 ? "" : `; ${damaged.length} blobs of the store are damaged`;
      problems.push({ ...judged, reason: judged.reason + (judged.what === "missing" ? hint : "") });
    } else dropped.push(judged);
  }
  const ok = problems.length === 0;
  const counts = { size: tree.size, own: own.size, others, present: present.size };
  return { ok, origin: log.verifier.name, ...counts, dropped, problems };
}

interface Saying {
  dropping: Dropping;
  piece: DroppedPiece;
}

/** What statements that are in the log themselves say of each entry. */
function sayingsOf(evidence: readonly Evidence[], origin: string): Map<number, Saying[]> {
  const sayings = new Map<number, Saying[]>();
  for (const { predicateType, bundle } of evidence) {
    if (predicateType !== DROPPING_V1) continue;
    let dropping: Dropping;
    try {
      dropping = readDropping(readStatement(bundle.payload).predicate);
    } catch (error) {
      if (error instanceof BitforbitError) continue;
      throw error;
    }
    if (dropping.origin !== origin) continue;
    for (const piece of dropping.dropped) {
      sayings.set(piece.index, [...(sayings.get(piece.index) ?? []), { dropping, piece }]);
    }
  }
  return sayings;
}

function judge(
  { index, digest }: OwnEntry,
  sayings: readonly Saying[],
  { keepers, policy }: RetentionQuestion,
): RetentionProblem | RetentionCheck["dropped"][number] {
  const about = sayings.filter(({ piece }) => piece.signed === digest);
  let problem: RetentionProblem = {
    what: "missing",
    index,
    signed: digest,
    reason: "its evidence is not here, and nothing in the log permits that",
  };
  for (const { dropping, piece } of about) {
    const early = (reason: string): void => void (problem = { what: "early", index, signed: digest, reason });
    const first = witnessedOrNot(piece.checkpoint, keepers);
    const last = witnessedOrNot(dropping.now, keepers);
    const droppedAfter = last === undefined ? undefined : notBefore(last, keepers.quorum);
    if (first?.at === undefined || droppedAfter === undefined) {
      early("the checkpoints of the statement that it was dropped are not cosigned by the witnesses");
      continue;
    }
    if (first.checkpoint.size <= index) {
      early(`the checkpoint that is to date it has ${first.checkpoint.size} entries, and not this one`);
      continue;
    }
    const until = yearsAfter(first.at, yearsFor(policy, piece.predicateType));
    if (droppedAfter < until) {
      early(
        `dropped early: it was to be kept until ${rfc3339(until)}, and nothing shows that it was after ${rfc3339(droppedAfter)}`,
      );
      continue;
    }
    return { index, predicateType: piece.predicateType, logged: first.at, until, droppedAfter };
  }
  return problem;
}
