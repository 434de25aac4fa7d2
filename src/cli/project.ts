import { lstatSync, statSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { BitforbitError, systemCode } from "../errors.ts";
import { type Home, homeAt } from "../flow/home.ts";
import type { Options } from "./program.ts";

/** The project's folder that a verb was given, or the current one; its real path. */
export async function projectFolder(argument: string | undefined): Promise<string> {
  const folder = resolve(argument ?? ".");
  try {
    if ((await stat(folder)).isDirectory()) return await realpath(folder);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new BitforbitError("input", `no such folder: ${folder}`, { cause: error });
  }
  throw new BitforbitError("input", `not a folder: ${folder}`);
}

/** Where state lives: `--home`, else $BITFORBIT_HOME, else `.bitforbit` in the project. */
export function homeFor(folder: string, options: Options): Home {
  const chosen = text(options, "home") ?? process.env["BITFORBIT_HOME"];
  if (chosen !== undefined && chosen !== "") return homeAt(resolve(chosen));
  const home = homeAt(join(folder, ".bitforbit"));
  requireOwn(home);
  return home;
}

/**
 * A `.bitforbit` that came with a project is the project's, not the user's:
 * links in it would have us write to, and tidy up, folders elsewhere, and one
 * of another user's holds that user's keys. Root may work for others.
 */
function requireOwn(home: Home): void {
  for (const path of [home.root, home.scratch, home.cache, home.store, home.keys, home.log, home.ledger]) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    const user = process.geteuid?.() ?? stats.uid;
    if (stats.isSymbolicLink()) {
      throw new BitforbitError("input", `${path} is a link: state that came with a project is not trusted`, {
        hint: "remove it, or name a folder of your own with --home",
      });
    }
    if (user !== 0 && stats.uid !== user && stats.uid !== 0) {
      throw new BitforbitError("input", `${path} belongs to another user (${stats.uid}), whose keys it would trust`, {
        hint: "name a folder of your own with --home",
      });
    }
  }
}

/**
 * Where state lives for a verb that has no project: as `homeFor`, with the
 * nearest folder upwards that holds a `.bitforbit`, beginning at `start`.
 */
export async function nearestHome(start: string, options: Options): Promise<Home> {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    const home = homeFor(folder, options);
    if (isFolder(home.root)) return home;
    if (dirname(folder) === folder) return homeFor(resolve("."), options);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

export function text(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** The passphrase of the signing keys, from $BITFORBIT_PASSPHRASE; never from the command line, where others could see it. */
export function passphrase(): string | undefined {
  const value = process.env["BITFORBIT_PASSPHRASE"];
  return value === undefined || value === "" ? undefined : value;
}
