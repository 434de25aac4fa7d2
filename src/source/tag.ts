import { run } from "../child.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { sortedBy } from "../order.ts";
import { gitMaybe, tryGit } from "./git.ts";

export type SignatureStatus = "good" | "bad" | "unsigned" | "unknown-key" | "unchecked";

export interface Tag {
  name: string;
  signature: SignatureStatus;
  /** Who signed, as the checker names them: an OpenPGP user id or an ssh principal. */
  signer?: string;
}

/**
 * The tag that names `commit`: an annotated one before a lightweight one, then
 * the last in byte order. Undefined when there is none.
 */
export async function tagOf(top: string, commit: string): Promise<Tag | undefined> {
  const format = "%(objecttype) %(refname:strip=2)";
  const text = await gitMaybe(top, "for-each-ref", `--points-at=${commit}`, `--format=${format}`, "refs/tags");
  if (text === undefined) return undefined;
  const tags = text
    .split("\n")
    .map((line) => ({ annotated: line.startsWith("tag "), name: line.replace(/^\w+ /, "") }));
  const best = sortedBy(tags, ({ annotated, name }) => `${annotated ? 1 : 0}${name}`).at(-1);
  if (best === undefined) return undefined;
  if (!best.annotated) return { name: best.name, signature: "unsigned" };
  return { name: best.name, ...(await verifyTag(top, best.name)) };
}

/**
 * Checks a tag's signature with gpg or ssh-keygen. Who may sign is the user's
 * own configuration: a list that the repository names for itself is not read.
 */
async function verifyTag(top: string, name: string): Promise<Omit<Tag, "name">> {
  const object = (await gitMaybe(top, "cat-file", "tag", `refs/tags/${name}`)) ?? "";
  const kind = /^-----BEGIN (PGP|SSH) (?:SIGNATURE|MESSAGE)-----$/m.exec(object)?.[1];
  if (kind === undefined) return { signature: "unsigned" };
  const signers = kind === "SSH" ? await allowedSigners() : undefined;
  const config = kind === "SSH" ? ["gpg.format=ssh", `gpg.ssh.allowedSignersFile=${signers ?? "/dev/null"}`] : [];
  if (!(await installed(kind === "SSH" ? "ssh-keygen" : "gpg"))) return { signature: "unchecked" };
  const ran = await tryGit(top, ["verify-tag", "--raw", `refs/tags/${name}`], config);
  const said = `${ran.stderr}\n${Buffer.from(ran.stdout).toString()}`;
  return kind === "SSH" ? sshStatus(said, ran.exitCode) : gpgStatus(said, ran.exitCode);
}

/** GnuPG's status lines (GnuPG doc/DETAILS, "Format of the --status-fd output"). */
export function gpgStatus(said: string, exitCode: number): Omit<Tag, "name"> {
  const line = (keyword: string): string | undefined =>
    new RegExp(`^\\[GNUPG:\\] ${keyword} (?:[0-9A-F]+ ?)?(.*)$`, "m").exec(said)?.[1];
  const good = line("GOODSIG");
  if (good !== undefined && line("VALIDSIG") !== undefined && exitCode === 0)
    return { signature: "good", signer: good };
  const bad = line("BADSIG") ?? line("REVKEYSIG") ?? line("EXPKEYSIG") ?? line("EXPSIG");
  if (bad !== undefined) return { signature: "bad", signer: bad };
  if (line("NO_PUBKEY") !== undefined || line("ERRSIG") !== undefined) return { signature: "unknown-key" };
  return { signature: said.includes("[GNUPG:]") ? "bad" : "unchecked" };
}

/** What ssh-keygen -Y verify says, as git passes it on. */
export function sshStatus(said: string, exitCode: number): Omit<Tag, "name"> {
  const signer = /^Good "git" signature for (.+) with \S+ key /m.exec(said)?.[1];
  if (signer !== undefined && exitCode === 0) return { signature: "good", signer };
  if (/^Good "git" signature with /m.test(said)) return { signature: "unknown-key" };
  if (/allowedSignersFile/.test(said)) return { signature: "unknown-key" };
  return { signature: "bad" };
}

async function allowedSigners(): Promise<string | undefined> {
  const ran = await run("git", ["config", "--global", "--type=path", "--get", "gpg.ssh.allowedSignersFile"], {
    cwd: "/",
    env: { GIT_DIR: undefined, GIT_CONFIG_PARAMETERS: undefined, GIT_CONFIG_COUNT: undefined },
  });
  const path = Buffer.from(ran.stdout).toString().trim();
  return ran.exitCode === 0 && path !== "" ? path : undefined;
}

async function installed(program: string): Promise<boolean> {
  try {
    await run(program, ["--version"]);
    return true;
  } catch (error) {
    if (error instanceof BitforbitError && error.code === "lacking") return false;
    throw new BitforbitError("lacking", `${program} does not start: ${messageOf(error)}`, { cause: error });
  }
}
