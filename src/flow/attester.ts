/** Who signs a home's statements, and which log takes them: the home's own key, or a certificate for this job. */
import { attestAll, type AppendingLog } from "../attest/sign.ts";
import type { Statement } from "../attest/statement.ts";
import type { Clock } from "../clock.ts";
import { openLog } from "../log/writer.ts";
import type { SignerIdentity } from "../policy/identity.ts";
import type { Home } from "./home.ts";
import type { Keyless } from "./keyless.ts";
import { keyOptions, keysOf, settleKeyRing } from "./keys.ts";
import { logOptions } from "./witnesses.ts";

export interface SigningOptions {
  passphrase?: string;
  /** Instead of the home's artifact key. */
  keyless?: Keyless;
}

export interface Evidence {
  /** One for each statement, in their order. */
  bundles: Uint8Array[];
  keyId: string;
  /** Of a certificate's holder. */
  identity?: SignerIdentity;
  /** Where the bundles are logged. */
  log: { origin: string; indexes: number[] };
}

/** Signs and logs statements. Opens what it needs at once, so that what is wrong there is told before anything is signed. */
export async function openAttester(
  home: Home,
  { passphrase, keyless }: SigningOptions,
  clock: Clock,
): Promise<(statements: readonly Statement[]) => Promise<Evidence>> {
  if (keyless !== undefined && keyless.logs.length > 0) {
    // Nothing of this home signs: it needs no keys.
    return async (statements) => await keylessly(statements, keyless, undefined);
  }
  const keys = await keysOf(home, passphrase, clock);
  const log = await openLog(home.log, keys.checkpoint, await logOptions(home));
  await settleKeyRing(home, keyOptions(home, passphrase), clock); // which names the log, now that there is one
  if (keyless !== undefined) return async (statements) => await keylessly(statements, keyless, log);
  return async (statements) => {
    const bundles = await attestAll(statements, keys.artifact, log);
    const { origin } = log.identity;
    return { bundles, keyId: keys.artifact.keyId, log: { origin, indexes: bundles.map(logIndexOf) } };
  };
}

/** Loaded when it is asked for. */
async function keylessly(
  statements: readonly Statement[],
  keyless: Keyless,
  own: AppendingLog | undefined,
): Promise<Evidence> {
  return await (await import("./keyless.ts")).attestKeyless(statements, keyless, own);
}

function logIndexOf(bundle: Uint8Array): number {
  const parsed = JSON.parse(Buffer.from(bundle).toString()) as {
    verificationMaterial: { tlogEntries: { logIndex: string }[] };
  };
  return Number(parsed.verificationMaterial.tlogEntries[0]?.logIndex);
}
