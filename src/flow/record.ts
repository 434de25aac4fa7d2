import { type Clock, systemClock } from "../clock.ts";
import type { JsonObject } from "../json.ts";
import { type Ledger, openLedger } from "../ledger/ledger.ts";
import { enterSpooled } from "../ledger/spool.ts";
import { environmentWords } from "../lock/environment.ts";
import type { Home } from "./home.ts";
import type { Prepared } from "./prepare.ts";

/** Opens the ledger of `home` for the time of `work`. */
export async function withLedger<T>(home: Home, work: (ledger: Ledger) => Promise<T>): Promise<T> {
  const ledger = await openLedger(home.ledger);
  try {
    await enterSpooled(ledger);
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

/** The source as events and pages name it. */
export function sourceData({ source }: Prepared): JsonObject {
  return {
    uri: source.uri,
    tree: source.treeDigest,
    ...(source.commit === undefined ? {} : { commit: source.commit }),
    ...(source.tag === undefined ? {} : { tag: source.tag.name, tagSignature: source.tag.signature }),
  };
}

/** Enters that a lock was made. */
export async function recordLock(prepared: Prepared, clock: Clock = systemClock): Promise<void> {
  await withLedger(prepared.home, async (ledger) => {
    await ledger.record({
      kind: "lock",
      at: clock.now(),
      project: prepared.recipe.name,
      ok: true,
      data: lockData(prepared),
    });
  });
}

export function lockData(prepared: Prepared): JsonObject {
  return {
    materials: prepared.lock.materials.length,
    lockfiles: prepared.lock.lockfiles.map(({ path, sha256 }) => ({ path, sha256 })),
    environment: environmentWords(prepared.lock.environment),
    recipe: prepared.recipeDigest,
    source: sourceData(prepared),
  };
}
