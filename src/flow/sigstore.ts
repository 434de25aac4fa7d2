import { readFile, stat } from "node:fs/promises";
import { readTrustedRoot } from "../attest/read-trusted-root.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { parseVerifyingKey } from "../format/verifying-key.ts";
import { CertificatePaths } from "../policy/certificate-path.ts";
import type { Decision } from "../policy/decision.ts";
import { looseness } from "../policy/identity.ts";
import { type Accepted, rulesDigest, verifySigstore } from "../policy/sigstore.ts";
import type { Artifact } from "./evidence.ts";
import { readText } from "./trust.ts";

/** What a person named on the command line: files, and whom to accept. */
export interface SigstoreTrust {
  trustedRoot: string;
  key: string | undefined;
  identity: string | undefined;
  issuer: string | undefined;
}

/** Verifies bundles of anybody's with one trusted root; certificates are remembered between artifacts. */
export interface SigstoreJudge {
  /** Where the rules came from, for people. */
  from: string;
  /** Digest of root and accepted signer. */
  digest: string;
  judge(artifact: Artifact, bundles: readonly Uint8Array[]): Promise<Decision>;
}

/** A signature over an artifact itself is checked from these bytes; of larger ones, from the digest. */
const MAX_READ = 16 << 20;
const MAX_ROOT = 4 << 20;

export async function sigstoreJudge(trust: SigstoreTrust): Promise<SigstoreJudge> {
  const accept = await accepted(trust);
  const root = readTrustedRoot(await readRoot(trust.trustedRoot), trust.trustedRoot);
  const paths = new CertificatePaths(root);
  return {
    from: `${trust.trustedRoot} and ${accept.kind === "key" ? accept.name : trust.identity}`,
    digest: rulesDigest(root, accept),
    judge: async ({ digest, name, path }, bundles) => {
      const bytes = path === undefined ? undefined : await smallFile(path);
      const artifact = { digest, name, ...(bytes === undefined ? {} : { bytes }) };
      return verifySigstore({ artifact, bundles, root, paths, accept });
    },
  };
}

async function accepted({ key, identity, issuer }: SigstoreTrust): Promise<Accepted> {
  if (key !== undefined) {
    if (identity !== undefined || issuer !== undefined) {
      throw new BitforbitError("usage", "--key excludes --identity and --issuer: a bundle has one signer");
    }
    return { kind: "key", name: key, key: parseVerifyingKey(await readText(key), key) };
  }
  if (identity === undefined || issuer === undefined) {
    throw new BitforbitError("usage", "--trusted-root needs --identity and --issuer, or --key: who must have signed", {
      hint: "a certificate by anybody is good; only the name in it, and who vouched for it, say whose it is",
    });
  }
  if (identity.replaceAll("*", "") === "") throw new BitforbitError("usage", `--identity ${identity} accepts anybody`);
  const loose = looseness(identity);
  if (loose !== undefined) throw new BitforbitError("usage", `--identity ${identity} is too loose: ${loose}`);
  return { kind: "identities", identities: [{ subject: identity, issuer }] };
}

async function readRoot(path: string): Promise<Uint8Array> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    if (stats.size > MAX_ROOT) throw new BitforbitError("limit", `${path} is larger than ${MAX_ROOT} bytes`);
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}

async function smallFile(path: string): Promise<Uint8Array | undefined> {
  return (await stat(path)).size > MAX_READ ? undefined : new Uint8Array(await readFile(path));
}
