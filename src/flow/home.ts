import { join } from "node:path";

/** Where state lives: DESIGN.md, "The command line". */
export interface Home {
  root: string;
  store: string;
  ledger: string;
  cache: string;
  scratch: string;
}

/** The layout of `$BITFORBIT_HOME`, or of `.bitforbit` in the project. */
export function homeAt(root: string): Home {
  return {
    root,
    store: join(root, "store"),
    ledger: join(root, "ledger.sqlite"),
    cache: join(root, "cache"),
    scratch: join(root, "scratch"),
  };
}
