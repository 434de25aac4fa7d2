/**
 * Node's cache of compiled code, in a folder of the user's own. What lies there
 * runs, so it must be one that nobody else can write to: never the shared
 * temporary folder, which is Node's default.
 */
import { lstatSync, mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { isAbsolute, join } from "node:path";

/** Turns the cache on where that is safe; otherwise everything is compiled anew, as it is without a cache. */
export function useCompileCache(environment: NodeJS.ProcessEnv = process.env): void {
  const folder = cacheFolder(environment);
  if (folder === undefined) return;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (isOurs(folder)) enableCompileCache(folder);
  } catch {
    // A home that cannot be written to: start as without a cache.
  }
}

/** Where the cache lies, by the XDG base directory specification; undefined where there is no home. */
function cacheFolder(environment: NodeJS.ProcessEnv): string | undefined {
  const base = environment["XDG_CACHE_HOME"] ?? "";
  if (isAbsolute(base)) return join(base, "bitforbit", "compiled");
  const home = environment["HOME"] ?? "";
  return isAbsolute(home) ? join(home, ".cache", "bitforbit", "compiled") : undefined;
}

/** A real folder that belongs to this user and that nobody else may write to. */
function isOurs(folder: string): boolean {
  const stats = lstatSync(folder);
  return stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0;
}
