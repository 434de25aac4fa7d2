/**
 * git, for a repository that we do not trust. Its configuration may name
 * programs: hooks, fsmonitor, filters, pagers, signature checkers, transports.
 * So: only commands that read objects and the index are run, never those that
 * compare or write working files (they run filters); every configuration key
 * that names a program of those commands is overridden; transports are off.
 */
import { lstat, realpath } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { utf8Text } from "../bytes.ts";
import { type Ran, run } from "../child.ts";
import { BitforbitError } from "../errors.ts";

/** Overrides of repository configuration; those of `-c` come last and win. */
const SAFE = [
  "safe.directory=*",
  "core.fsmonitor=false",
  "core.hooksPath=/dev/null",
  "core.attributesFile=/dev/null",
  "core.untrackedCache=false",
  "core.pager=cat",
  "core.quotePath=false",
  "core.alternateRefsCommand=true",
  "core.sshCommand=false",
  "core.askPass=true",
  "credential.helper=",
  "protocol.allow=never",
  "log.showSignature=false",
  "gpg.format=openpgp",
  "gpg.program=gpg",
  "gpg.openpgp.program=gpg",
  "gpg.x509.program=gpgsm",
  "gpg.ssh.program=ssh-keygen",
  "gpg.ssh.defaultKeyCommand=",
].flatMap((setting) => ["-c", setting]);

/** Variables that would turn git to another repository, configuration or program. */
export const GIT_ENVIRONMENT: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(
    (
      "DIR WORK_TREE INDEX_FILE OBJECT_DIRECTORY ALTERNATE_OBJECT_DIRECTORIES COMMON_DIR NAMESPACE CONFIG PREFIX " +
      "CONFIG_PARAMETERS CONFIG_COUNT EXTERNAL_DIFF SSH SSH_COMMAND PROXY_COMMAND TRACE TRACE2 TRACE2_EVENT " +
      "REPLACE_REF_BASE SHALLOW_FILE ATTR_SOURCE"
    )
      .split(" ")
      .map((name) => [`GIT_${name}`, undefined]),
  ),
  GIT_TERMINAL_PROMPT: "0",
  GIT_ASKPASS: "true",
  SSH_ASKPASS: "true",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_LAZY_FETCH: "1",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_ALLOW_PROTOCOL: "none",
  LC_ALL: "C",
};

const MAX_LISTING = 512 << 20;

export interface Repository {
  /** Root of the working tree, without links. */
  top: string;
  /** Path from `top` to the folder that was asked for; "" when they are the same. */
  prefix: string;
}

/** The repository whose working tree holds `folder`; undefined when there is none. */
export async function findRepository(folder: string): Promise<Repository | undefined> {
  const start = await realpath(folder);
  for (let top = start; ; top = dirname(top)) {
    const found = await lstat(join(top, ".git")).catch(() => undefined);
    if (found?.isDirectory() === true || found?.isFile() === true) return { top, prefix: relative(top, start) };
    if (dirname(top) === top) return undefined;
  }
}

/** Runs git in the repository at `top`, whatever its exit code. */
export async function tryGit(top: string, args: readonly string[], config: readonly string[] = []): Promise<Ran> {
  const extra = config.flatMap((setting) => ["-c", setting]);
  const place = [`--git-dir=${join(top, ".git")}`, `--work-tree=${top}`];
  return await run("git", [...SAFE, ...extra, "--no-pager", ...place, ...args], {
    cwd: top,
    env: GIT_ENVIRONMENT,
    maxBytes: MAX_LISTING,
    timeoutMilliseconds: 10 * 60_000,
  });
}

/** Output of git as text. Throws `input` with git's own words when it fails. */
export async function git(top: string, ...args: readonly string[]): Promise<string> {
  const ran = await tryGit(top, args);
  if (ran.exitCode !== 0) {
    const said = ran.stderr.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
    throw new BitforbitError("input", `git ${args[0]} failed in ${top}: ${said}`);
  }
  return textOf(ran, args[0] ?? "");
}

/** Output of git, trimmed; undefined when git fails or says nothing. */
export async function gitMaybe(top: string, ...args: readonly string[]): Promise<string | undefined> {
  const ran = await tryGit(top, args);
  const text = ran.exitCode === 0 ? textOf(ran, args[0] ?? "").trim() : "";
  return text === "" ? undefined : text;
}

function textOf(ran: Ran, what: string): string {
  const text = utf8Text(ran.stdout);
  if (text === undefined) throw new BitforbitError("input", `git ${what}: a path or name is not UTF-8`);
  return text;
}

export interface TreeItem {
  /** Octal as git writes it: 100644, 100755, 120000 (link), 160000 (submodule). */
  mode: string;
  oid: string;
  path: string;
}

/** All files, links and submodules of a commit below `prefix`, with paths relative to it. */
export async function listCommit(top: string, commit: string, prefix: string): Promise<TreeItem[]> {
  const treeish = prefix === "" ? commit : `${commit}:${prefix}`;
  const ran = await tryGit(top, ["ls-tree", "-r", "-z", "--full-tree", treeish]);
  if (ran.exitCode !== 0) {
    if (prefix !== "") return [];
    throw new BitforbitError("input", `git ls-tree failed in ${top}: ${ran.stderr.trim().slice(0, 300)}`);
  }
  return records(textOf(ran, "ls-tree")).map((record) => {
    const [, mode = "", oid = "", path = ""] = /^(\d+) \w+ ([0-9a-f]+)\t([^]*)$/.exec(record) ?? [];
    return { mode, oid, path: checkedPath(path) };
  });
}

/** What the index holds below `prefix`; entries in conflict have an empty `oid`. */
export async function listIndex(top: string, prefix: string): Promise<TreeItem[]> {
  const below = prefix === "" ? [] : ["--", `:(top,literal)${prefix}`];
  const text = await git(top, "ls-files", "-s", "-z", "--full-name", ...below);
  return records(text).map((record) => {
    const [, mode = "", oid = "", stage = "", path = ""] = /^(\d+) ([0-9a-f]+) (\d)\t([^]*)$/.exec(record) ?? [];
    const inside = prefix === "" ? path : path.slice(prefix.length + 1);
    return { mode, oid: stage === "0" ? oid : "", path: checkedPath(inside) };
  });
}

/** How many files below `prefix` git neither tracks nor ignores. */
export async function countUntracked(top: string, prefix: string): Promise<number> {
  const below = prefix === "" ? [] : ["--", `:(top,literal)${prefix}`];
  return records(await git(top, "ls-files", "--others", "--exclude-standard", "-z", "--full-name", ...below)).length;
}

function records(text: string): string[] {
  return text.split("\0").filter((record) => record !== "");
}

/** Tree objects can be made to hold any name: only those that stay inside are taken. Throws `refused`. */
export function checkedPath(path: string): string {
  const bad = path.split("/").some((part) => part === "" || part === "." || part === ".." || /^\.git$/i.test(part));
  if (bad || path.startsWith("/") || path.includes("\0")) {
    throw new BitforbitError(
      "refused",
      `a tracked path that leads out of the source: ${JSON.stringify(path.slice(0, 200))}`,
    );
  }
  return path;
}

/** A remote's URL without user, password, query or fragment; `git@host:path` keeps its user, which is no secret. */
export function withoutCredentials(url: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return url;
  try {
    const parsed = new URL(url);
    parsed.password = "";
    if (!/^(?:git\+)?ssh:$/.test(parsed.protocol)) parsed.username = "";
    parsed.search = "";
    parsed.hash = "";
    return parsed.href;
  } catch {
    return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, "$1");
  }
}
