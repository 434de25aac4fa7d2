import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { BitforbitError, systemCode } from "../errors.ts";
import { publicKeys } from "../keys/keys.ts";
import { parsePublicKey } from "../keys/verifier.ts";
import { openLogReader } from "../log/reader.ts";
import { defaultPolicy, parsePolicy, type Policy, policyToml } from "../policy/policy.ts";
import type { Trust } from "../policy/trust.ts";
import { BUILDER_ID } from "./builder.ts";
import type { Home } from "./home.ts";

export interface Rules {
  policy: Policy;
  trust: Trust;
  /** Where they came from, for people. */
  from: string;
}

/** The rules by which to decide: a policy file, or the home's own trust in itself. */
export async function rulesFor(home: Home, policyFile: string | undefined): Promise<Rules> {
  if (policyFile !== undefined) return { ...parsePolicy(await readText(policyFile), policyFile), from: policyFile };
  const own = await ownTrust(home).catch((error: unknown) => {
    if (!(error instanceof BitforbitError) || error.code !== "input") throw error;
    throw new BitforbitError("input", `nobody to trust: ${error.message}`, {
      cause: error,
      hint: "run it in the project that built, or give --home, or the builder's --policy file ('bitforbit policy show')",
    });
  });
  return { ...defaultPolicy({ ...own, builder: BUILDER_ID }), from: "this home's own key and log" };
}

/**
 * A home that git tracks came with the repository: its keys are whoever's who
 * wrote them, and trusting them would let a repository vouch for itself. Git's
 * index names tracked paths in plain text, so asking costs one read.
 */
async function requireOwnHome(home: Home): Promise<void> {
  const index = await readFile(join(dirname(home.root), ".git", "index")).catch(() => undefined);
  if (index === undefined || !index.includes(`${basename(home.root)}/keys/`)) return;
  throw new BitforbitError("input", `${home.root} is tracked by git, so its keys came with the repository`, {
    hint: `git rm -r --cached ${basename(home.root)}; trust a builder by its --policy file instead`,
  });
}

async function ownTrust(home: Home) {
  await requireOwnHome(home);
  const keys = await publicKeys(home.root);
  const reader = await openLogReader(join(home.root, "log"), keys.checkpoint.pem);
  return { artifactKey: keys.artifact, log: { origin: reader.identity.origin, publicKeyPem: keys.checkpoint.pem } };
}

/** Rules that trust one key and one log that were handed over as PEM files. */
export async function rulesForKeys(keyFile: string, logKeyFile: string, origin: string): Promise<Rules> {
  const artifactKey = parsePublicKey(await readText(keyFile), keyFile);
  const logKey = parsePublicKey(await readText(logKeyFile), logKeyFile);
  const log = { origin, publicKeyPem: logKey.pem };
  return { ...defaultPolicy({ artifactKey, log, builder: BUILDER_ID }), from: `${keyFile} and ${logKeyFile}` };
}

/** The home's own rules as a policy file, to hand to whoever verifies. */
export async function ownPolicyFile(home: Home): Promise<string> {
  const { artifactKey, log } = await ownTrust(home);
  const { policy } = defaultPolicy({ artifactKey, log, builder: BUILDER_ID });
  const keys = [{ name: "builder", publicKeyPem: artifactKey.pem }];
  return policyToml(policy, { keys, logs: [log] });
}

/** A policy or a key; both are small. */
const MAX_TEXT_BYTES = 1 << 20;

export async function readText(path: string, most: number = MAX_TEXT_BYTES): Promise<string> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    if (stats.size > most) throw new BitforbitError("limit", `${path} is larger than ${most} bytes`);
    return await readFile(path, "utf8");
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}
