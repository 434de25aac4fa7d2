/** Runs bitforbit as a user would, in a project made for the test. */
import { spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { digestOf } from "../src/digest.ts";
import type { Lock } from "../src/lock/lock.ts";
import { lockToml, parseLock } from "../src/lock/lock-toml.ts";
import { parseRecipe } from "../src/recipe/recipe.ts";

const MAIN = resolve(import.meta.dirname, "../src/cli/main.ts");

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A folder that goes with the test. */
export function scratchFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
  t.after(() => spawnSync("sh", ["-c", 'chmod -R u+rwX "$1" && rm -rf "$1"', "sh", folder]));
  return folder;
}

export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/**
 * A pinned environment for recipes whose builds are to be canonical: shell, C compiler, make. The same as
 * examples/hello-debian has, so that one root serves all.
 */
export const PINNED = `[environment]
type = "debian"
suite = "bookworm"
packages = ["gcc", "libc6-dev", "make"]
`;

/**
 * A git checkout with one commit of `files`, dated 2024-03-02. Where its recipe
 * has the pinned environment and nothing to fetch, its lock is there already.
 */
export function project(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = scratchFolder(t);
  writeFiles(folder, files);
  if (files["bitforbit.toml"]?.includes(PINNED) === true) lockPinned(folder);
  git(folder, "init", "--quiet", "--initial-branch=main");
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message=first");
  return folder;
}

/** Writes the lock that `bitforbit lock` would, without asking an archive each time what it has today. */
export function lockPinned(folder: string): void {
  const text = readFileSync(join(folder, "bitforbit.toml"), "utf8");
  const { name } = parseRecipe(text, "bitforbit.toml");
  const { environment } = pinnedLock();
  const lock: Lock = {
    version: 2,
    name,
    recipe: digestOf(text),
    environment,
    tools: [],
    lockfiles: [],
    materials: [],
  };
  writeFileSync(join(folder, "bitforbit.lock"), lockToml(lock));
}

const HALF_A_DAY = 43_200_000;

/** The pinned environment as the archive has it, resolved by the command line, at most twice a day. */
function pinnedLock(): Lock {
  const kept = join(tmpdir(), `bitforbit-test-pinned-${process.getuid?.() ?? 0}.lock`);
  const age = Date.now() - (statSync(kept, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  if (age > HALF_A_DAY) {
    const folder = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
    try {
      writeFileSync(join(folder, "bitforbit.toml"), `name = "pinned"\ncommand = "true"\noutputs = ["x"]\n${PINNED}`);
      const made = spawnSync(process.execPath, [MAIN, "lock", "--quiet"], { cwd: folder, encoding: "utf8" });
      if (made.status !== 0) throw new Error(`the tests' environment cannot be locked: ${made.stderr}`);
      renameSync(copied(join(folder, "bitforbit.lock"), `${kept}.${process.pid}`), kept);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return parseLock(readFileSync(kept, "utf8"), kept);
}

function copied(from: string, to: string): string {
  copyFileSync(from, to);
  return to;
}

export function git(folder: string, ...args: string[]): string {
  const ran = spawnSync(
    "git",
    ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false", ...args],
    {
      cwd: folder,
      encoding: "utf8",
      env: {
        ...process.env,
        GIT_AUTHOR_DATE: "2024-03-02T10:20:30Z",
        GIT_COMMITTER_DATE: "2024-03-02T10:20:30Z",
        GIT_CONFIG_GLOBAL: "/dev/null",
      },
    },
  );
  if (ran.status !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`);
  return ran.stdout.trim();
}

export async function bitforbit(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  return await new Promise((done, fail) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", fail);
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}

export function removeAll(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
