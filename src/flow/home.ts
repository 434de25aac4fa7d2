import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createDurable } from "../durable.ts";

/** Where state lives: DESIGN.md, "The command line". */
export interface Home {
  root: string;
  store: string;
  ledger: string;
  cache: string;
  scratch: string;
  keys: string;
  log: string;
}

/** The layout of `$BITFORBIT_HOME`, or of `.bitforbit` in the project. */
export function homeAt(root: string): Home {
  return {
    root,
    store: join(root, "store"),
    ledger: join(root, "ledger.sqlite"),
    cache: join(root, "cache"),
    scratch: join(root, "scratch"),
    keys: join(root, "keys"),
    log: join(root, "log"),
  };
}

/** Makes the home, with a note to git that nothing in it, keys above all, is to be committed. */
export async function makeHome(home: Home): Promise<void> {
  await mkdir(home.root, { recursive: true });
  await createDurable(join(home.root, ".gitignore"), "*\n");
}
