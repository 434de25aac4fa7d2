import { type Clock, systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import type { Decision } from "../policy/decision.ts";
import { openStore } from "../store/store.ts";
import { decideBy } from "./decide.ts";
import { type Artifact, gatherBundles } from "./evidence.ts";
import type { Home } from "./home.ts";
import { withLedger } from "./record.ts";
import type { Rules } from "./trust.ts";

/**
 * Lets an artifact of the store into an environment, if and only if it passes
 * verification now. Granted or denied, the ledger knows and why.
 */
export async function promote(
  home: Home,
  artifact: Artifact,
  environment: string,
  rules: Rules,
  clock: Clock = systemClock,
): Promise<Decision> {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(environment)) {
    throw new BitforbitError("input", `not an environment: ${JSON.stringify(environment)}`, {
      hint: "lower-case letters, digits and '-', as dev, staging, prod",
    });
  }
  const stored = await (await openStore(home.store)).artifact(artifact.digest);
  if (stored === undefined) {
    throw new BitforbitError("input", `${artifact.digest} is not in the store, so it cannot be promoted`, {
      hint: "'bitforbit store list' shows what is",
    });
  }
  const started = clock.elapsed();
  const bundles = await gatherBundles(home, artifact, []);
  const decision = await decideBy(rules, artifact, bundles, clock.now());
  const milliseconds = clock.elapsed() - started;
  await withLedger(home, async (ledger) => {
    const [made] = await ledger.events({ artifact: artifact.digest, kinds: ["store"], last: 1 });
    const reasons = decision.reasons.map((reason) => ({ ...reason }));
    const common = {
      at: clock.now(),
      artifact: artifact.digest,
      ok: decision.ok,
      ...(made?.project === undefined ? {} : { project: made.project }),
    };
    await ledger.recordAll([
      { ...common, kind: "verify", milliseconds, data: { name: stored.name, reasons } },
      { ...common, kind: "promote", environment, data: { name: stored.name, reasons } },
    ]);
  });
  return decision;
}
