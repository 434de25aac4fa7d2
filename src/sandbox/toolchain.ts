import { accessSync, constants, existsSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { run } from "../child.ts";

export interface ToolPaths {
  /** Paths outside the system folders to show read-only at their own place, sorted. */
  hostPaths: string[];
  /** Value of PATH inside the sandbox. */
  path: string;
  /** Tools that this machine does not have, as they were asked for. */
  missing: string[];
}

/** PATH of a system without additions. */
export const SYSTEM_PATH: readonly string[] = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
];

/** Every sandbox shows these; other places must be asked for. */
const isShown = (path: string): boolean => /^\/(?:usr|opt|bin|sbin|lib\w*)\//.test(path);

/** Version managers put a stand-in on PATH that picks the real tool by the caller's own settings. */
const SHIM_OWNERS = ["pyenv", "rbenv", "nodenv", "goenv", "jenv"];

/**
 * Finds where the named programs really are: on PATH, through links, through
 * rustup's proxies and pyenv-like shims. A toolchain outside the system folders
 * is shown whole (the folder that holds its bin/), but never a home folder.
 */
export async function toolPaths(
  tools: readonly string[],
  searchPath: string = process.env["PATH"] ?? "",
): Promise<ToolPaths> {
  const folders = [...searchPath.split(delimiter).filter((folder) => isAbsolute(folder)), ...SYSTEM_PATH];
  const hostPaths = new Set<string>();
  const path: string[] = [];
  const missing: string[] = [];
  for (const tool of tools) {
    const found = folders.map((folder) => join(folder, tool)).find((file) => isProgram(file));
    const real = found === undefined ? undefined : await behindShim(tool, found);
    if (real === undefined) {
      missing.push(tool);
      continue;
    }
    const target = realpathSync(real);
    if (!isShown(target)) hostPaths.add(prefixOf(target));
    // By the target's own folder when the tool has its name there: that folder is the toolchain's.
    const folder = isShown(real)
      ? dirname(real)
      : existsSync(join(dirname(target), tool))
        ? dirname(target)
        : dirname(real);
    if (!isShown(real) && folder !== dirname(target)) hostPaths.add(real);
    if (!SYSTEM_PATH.includes(folder)) path.push(folder);
    else if (path.some((earlier) => existsSync(join(earlier, tool)))) path.unshift(folder);
  }
  return {
    hostPaths: [...hostPaths].sort(),
    path: [...new Set([...path, ...SYSTEM_PATH])].join(":"),
    missing,
  };
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

async function behindShim(tool: string, found: string): Promise<string | undefined> {
  const folder = dirname(found);
  if (isSame(found, join(folder, "rustup")) && tool !== "rustup") {
    return await asked(join(folder, "rustup"), ["which", tool]);
  }
  if (basename(folder) !== "shims") return found;
  for (const owner of SHIM_OWNERS) {
    const manager = join(dirname(folder), "bin", owner);
    if (isProgram(manager)) return await asked(manager, ["which", tool]);
  }
  return found;
}

/** rustup's proxies are links to rustup, symbolic or hard. */
function isSame(a: string, b: string): boolean {
  try {
    const [left, right] = [statSync(a), statSync(b)];
    return left.dev === right.dev && left.ino === right.ino;
  } catch {
    return false;
  }
}

async function asked(program: string, args: string[]): Promise<string | undefined> {
  const answer = await run(program, args, { env: { RUSTUP_AUTO_INSTALL: "0" }, timeoutMilliseconds: 20_000 });
  const path = Buffer.from(answer.stdout).toString().trim().split("\n").at(-1) ?? "";
  return answer.exitCode === 0 && isProgram(path) ? path : undefined;
}

/**
 * What to show for a program: the toolchain that its bin/ belongs to; or the
 * file alone, where that would be a home folder or a folder of one's settings.
 */
function prefixOf(program: string): string {
  const bin = dirname(program);
  const prefix = dirname(bin);
  const home = homedir();
  if (basename(bin) !== "bin") return program;
  if (prefix === "/" || prefix === home || `${home}/`.startsWith(`${prefix}/`)) return program;
  if (dirname(prefix) === home) return program;
  if (dirname(dirname(prefix)) === "/home" || dirname(prefix) === "/home" || dirname(prefix) === "/root")
    return program;
  return prefix;
}
