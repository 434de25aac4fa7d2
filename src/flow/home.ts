import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { createDurable } from "../durable.ts";

/** Where state lives: DESIGN.md, "The command line". */
export interface Home {
  root: string;
  store: string;
  ledger: string;
  cache: string;
  /** Of all projects of this user: roots of environments, by digest. */
  shared: string;
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
    shared: sharedCache(),
    scratch: join(root, "scratch"),
    keys: join(root, "keys"),
    log: join(root, "log"),
  };
}

/** `$BITFORBIT_CACHE`, else the user's own cache folder: roots are large, and the same for many projects. */
export function sharedCache(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const { BITFORBIT_CACHE: chosen, XDG_CACHE_HOME: caches } = environment;
  if (chosen !== undefined && chosen !== "") return resolve(chosen);
  if (process.geteuid?.() === 0) return "/var/cache/bitforbit";
  return join(caches !== undefined && caches !== "" ? caches : join(homedir(), ".cache"), "bitforbit");
}

/** Makes the home, with a note to git that nothing in it, keys above all, is to be committed. */
export async function makeHome(home: Home): Promise<void> {
  await mkdir(home.root, { recursive: true });
  await createDurable(join(home.root, ".gitignore"), "*\n");
}
