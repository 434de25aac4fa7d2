import { cosignWith } from "../log/cosigners.ts";
import type { LogOptions } from "../log/writer.ts";
import type { Home } from "./home.ts";
import { witnessesOf } from "./witness-list.ts";

/** How the home's log is written: with the witnesses that `<home>/witnesses` names, where there is such a file. */
export async function logOptions(home: Home): Promise<LogOptions> {
  const witnesses = await witnessesOf(home);
  return witnesses === undefined ? {} : { cosign: cosignWith(witnesses) };
}
