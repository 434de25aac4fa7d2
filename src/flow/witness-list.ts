import { join } from "node:path";
import { readIfThere } from "../log/folder.ts";
import { parseWitnesses, type Witnesses } from "../log/witness-list.ts";
import type { Home } from "./home.ts";

/** The witnesses of the home's log, where `<home>/witnesses` names some: asked when it is written, believed when it is verified. */
export async function witnessesOf(home: Home): Promise<Witnesses | undefined> {
  const file = join(home.root, "witnesses");
  const content = await readIfThere(file);
  return content === undefined ? undefined : parseWitnesses(content, file);
}
