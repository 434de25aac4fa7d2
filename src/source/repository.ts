import { BitforbitError } from "../errors.ts";
import { run } from "../child.ts";
import { walkTree } from "../tree.ts";
import { GIT_ENVIRONMENT } from "./git.ts";

/** Author, tag and branch that occur nowhere by chance; made 2009-02-13T23:31:30Z. */
export const STRANGE_COMMIT = {
  author: "Ulmgard Vexnitroy",
  email: "ulmgard@vexnitroy.invalid",
  message: "skelworth the plindrome",
  tag: "v0.0.0-drisquel",
  branch: "morvanthic",
  epoch: 1_234_567_890,
} as const;

/**
 * Makes a git repository of the files in `tree`, with one commit, and gives
 * its hash; undefined where git is not installed. The files are a stranger's:
 * no configuration but ours is read, so no attribute of theirs names a program;
 * for the same reason it is undefined for a tree that brings a repository.
 */
export async function makeRepository(tree: string): Promise<string | undefined> {
  for await (const { path } of walkTree(tree)) if (/(?:^|\/)\.git(?:\/|$)/i.test(path)) return undefined;
  const { author, email, message, tag, branch, epoch } = STRANGE_COMMIT;
  const env = {
    ...GIT_ENVIRONMENT,
    GIT_DEFAULT_HASH: "sha1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: author,
    GIT_AUTHOR_EMAIL: email,
    GIT_AUTHOR_DATE: `${epoch} +0000`,
    GIT_COMMITTER_NAME: author,
    GIT_COMMITTER_EMAIL: email,
    GIT_COMMITTER_DATE: `${epoch} +0000`,
  };
  const git = async (...args: string[]): Promise<string> => {
    const place = ["-C", tree, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"];
    const { exitCode, stdout, stderr } = await run("git", [...place, ...args], { env });
    if (exitCode !== 0) throw new BitforbitError("build", `no repository for the build: git ${args[0]}: ${stderr}`);
    return Buffer.from(stdout).toString().trim();
  };
  try {
    await git("init", "--quiet", "--template=", `--initial-branch=${branch}`);
  } catch (error) {
    if (error instanceof BitforbitError && error.code === "lacking") return undefined;
    throw error;
  }
  await git("add", "--all", "--force", ".");
  await git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", `--message=${message}`);
  await git("tag", tag);
  return await git("rev-parse", "HEAD");
}
