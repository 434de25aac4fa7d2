import { type Clock, systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { type Keys, openKeys, publicKeys } from "../keys/keys.ts";
import { type Home, makeHome } from "./home.ts";
import { withLedger } from "./record.ts";

/** The home's signing keys, made at first use; the ledger knows when. */
export async function keysOf(home: Home, passphrase: string | undefined, clock: Clock = systemClock): Promise<Keys> {
  await makeHome(home);
  const fresh = !(await haveKeys(home));
  const keys = await openKeys(home.root, passphrase === undefined ? {} : { passphrase });
  if (fresh) {
    await withLedger(home, async (ledger) => {
      await ledger.recordAll(
        [keys.artifact, keys.checkpoint].map(({ keyId, algorithm }) => ({
          kind: "key" as const,
          at: clock.now(),
          ok: true,
          data: { keyId, algorithm, action: "create" },
        })),
      );
    });
  }
  return keys;
}

export async function haveKeys(home: Home): Promise<boolean> {
  try {
    await publicKeys(home.root);
    return true;
  } catch (error) {
    if (error instanceof BitforbitError && error.code === "input") return false;
    throw error;
  }
}
