/** Runs bitforbit as a user would, in a project made for the test. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { TestContext } from "node:test";

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

/** A git checkout with one commit of `files`, dated 2024-03-02. */
export function project(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = scratchFolder(t);
  writeFiles(folder, files);
  git(folder, "init", "--quiet", "--initial-branch=main");
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message=first");
  return folder;
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
