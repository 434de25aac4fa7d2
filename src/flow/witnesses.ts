import { join } from "node:path";
import { cosignWith, parseWitnesses } from "../log/cosigners.ts";
import { readIfThere } from "../log/folder.ts";
import type { LogOptions } from "../log/writer.ts";
import type { Home } from "./home.ts";

/** How the home's log is written: with the witnesses that `<home>/witnesses` names, where there is such a file. */
export async function logOptions(home: Home): Promise<LogOptions> {
  const file = join(home.root, "witnesses");
  const content = await readIfThere(file);
  return content === undefined ? {} : { cosign: cosignWith(parseWitnesses(content, file)) };
}
