import { openLog } from "../log/writer.ts";
import { logOptions } from "./witnesses.ts";
import { openStore } from "../store/store.ts";
import type { Home } from "./home.ts";
import { haveKeys, keysOf } from "./keys.ts";
import { withLedger } from "./record.ts";

/**
 * Opens what the end of a build writes to, before the build: a wrong
 * passphrase, or a store, log or ledger that was cut off, is told within
 * a second and not after an hour of building.
 */
export async function preflight(home: Home, passphrase: string | undefined): Promise<void> {
  if (await haveKeys(home)) {
    const keys = await keysOf(home, passphrase);
    await openLog(home.log, keys.checkpoint, await logOptions(home));
  }
  await openStore(home.store);
  await withLedger(home, async () => {});
}
