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
  return homeAt(chosen === undefined || chosen === "" ? join(folder, ".bitforbit") : resolve(chosen));
}

/**
 * Where state lives for a verb that has no project: as `homeFor`, with the
 * nearest folder upwards that holds a `.bitforbit`, beginning at `start`.
 */
export async function nearestHome(start: string, options: Options): Promise<Home> {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    const home = homeFor(folder, options);
    if (await isFolder(home.root)) return home;
    if (dirname(folder) === folder) return homeFor(resolve("."), options);
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return false;
    throw error;
  }
}

export function text(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

export function texts(options: Options, name: string): string[] {
  const value = options[name];
  return Array.isArray(value) ? value.map(String) : [];
}

/** The passphrase of the signing keys, from $BITFORBIT_PASSPHRASE; never from the command line, where others could see it. */
export function passphrase(): string | undefined {
  const value = process.env["BITFORBIT_PASSPHRASE"];
  return value === undefined || value === "" ? undefined : value;
}
