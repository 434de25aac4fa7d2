import { cosignWith } from "../log/cosigners.ts";
import type { LogOptions } from "../log/writer.ts";
import { lockPlaceOf } from "../log/writer-lock.ts";
import type { Home } from "./home.ts";
import { witnessesOf } from "./witness-list.ts";

/**
 * How the home's log is written: with the witnesses that `<home>/witnesses`
 * names, and under the lock in PostgreSQL that `<home>/log.postgresql` does,
 * where there are such files.
 */
export async function logOptions(home: Home): Promise<LogOptions> {
  const witnesses = await witnessesOf(home);
  const place = await lockPlaceOf(home.log);
  const cosigned = witnesses === undefined ? {} : { cosign: cosignWith(witnesses) };
  if (place === undefined) return cosigned;
  const { PostgresLock } = await import("../log/postgres-lock.ts");
  const { parsePostgresPlace } = await import("../log/postgres-place.ts");
  return { ...cosigned, lock: new PostgresLock(parsePostgresPlace(place)) };
}
