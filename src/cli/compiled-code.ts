/**
 * Compiled code of the bundle's chunks, kept from one run to the next: to
 * compile what verifies takes longer than to verify. Unlike Node's own compile
 * cache it has the functions that a run called, which are most of it.
 *
 * V8 believes what it is given, down to a crash. So a file counts only in a
 * folder of the user's own that nobody else may write to, and only under the
 * SHA-256 of source and code together.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Script } from "node:vm";

interface Ran {
  path: string;
  source: Buffer;
  script: Script;
}

const DIGEST_BYTES = 32;
/** Files of older bundles stay, up to so many: then the older half of them goes. */
export const MAX_FILES = 256;

/**
 * From now on chunks (`*.cjs` beside or below `entry`) are loaded from kept
 * code. Gives what keeps the code that was not there; undefined where there is no place for it.
 */
export function loadCompiled(entry: string, environment: NodeJS.ProcessEnv): (() => Promise<void>) | undefined {
  const folder = folderOf(environment);
  if (folder === undefined) return undefined;
  // Loaded here, because `--version` comes by, too.
  const { Script } = process.getBuiltinModule("node:vm");
  const { extensions } = process.getBuiltinModule("node:module").createRequire(entry);
  const ran: Ran[] = [];
  extensions[".cjs"] = (module, filename) => {
    const source = readFileSync(filename);
    const path = join(folder, `${basename(filename)}.code`);
    const code = codeFor(source, path);
    const wrapped = `(function (exports, require, module, __filename, __dirname) {${source.toString("utf8")}\n})`;
    const script = new Script(wrapped, { filename, ...(code === undefined ? {} : { cachedData: code }) });
    if (code === undefined || script.cachedDataRejected === true) ran.push({ path, source, script });
    const run = script.runInThisContext() as (...given: unknown[]) => void;
    const required = (id: string): unknown => module.require(id);
    run.call(module.exports, module.exports, required, module, filename, dirname(filename));
  };
  return async () => {
    delete extensions[".cjs"];
    if (ran.length > 0) await keep(folder, ran);
  };
}

/** Below the user's cache, by version and processor: code of another V8 is of no use. */
function folderOf({ HOME = "", XDG_CACHE_HOME = "", BITFORBIT_CACHE = "" }: NodeJS.ProcessEnv): string | undefined {
  const caches = XDG_CACHE_HOME !== "" ? XDG_CACHE_HOME : HOME === "" ? "" : join(HOME, ".cache");
  const cache = BITFORBIT_CACHE !== "" ? BITFORBIT_CACHE : caches === "" ? "" : join(caches, "bitforbit");
  return cache.startsWith("/") ? join(cache, `code-${process.version}-${process.arch}`) : undefined;
}

/** Whether it is a folder that is ours and that only we may write to. */
function isOurs(folder: string): boolean {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0;
}

function codeFor(source: Buffer, path: string): Buffer | undefined {
  try {
    if (!isOurs(dirname(path))) return undefined;
    const kept = readFileSync(path);
    const code = kept.subarray(DIGEST_BYTES);
    return kept.subarray(0, DIGEST_BYTES).equals(digestOfBoth(source, code)) ? code : undefined;
  } catch {
    // Not there, or not to be read: it is compiled anew.
    return undefined;
  }
}

/** Of the length of the one and then both: no byte of one passes for a byte of the other. */
function digestOfBoth(source: Buffer, code: Buffer): Buffer {
  const { createHash } = process.getBuiltinModule("node:crypto");
  return createHash("sha256").update(`${source.length}\n`).update(source).update(code).digest();
}

function removeOlderHalf(paths: readonly string[]): void {
  const written = new Map(paths.map((path) => [path, lstatSync(path).mtimeMs]));
  const byAge = paths.toSorted((a, b) => (written.get(a) ?? 0) - (written.get(b) ?? 0));
  for (const path of byAge.slice(0, byAge.length >> 1)) rmSync(path, { recursive: true, force: true });
}

/** To keep code is no part of the answer: where it cannot be, the next run compiles again. */
async function keep(folder: string, ran: readonly Ran[]): Promise<void> {
  try {
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isOurs(folder)) return;
    const { namesInNow } = await import("../tree.ts");
    const paths = namesInNow(folder).map((name) => join(folder, name));
    if (paths.length + ran.length > MAX_FILES) removeOlderHalf(paths);
    const { writeDurable } = await import("../durable.ts");
    for (const { path, source, script } of ran) {
      const code = script.createCachedData();
      await writeDurable(path, Buffer.concat([digestOfBoth(source, code), code]), { mode: 0o600 });
    }
  } catch {
    // A full disk, or one that is not ours to write to.
  }
}
