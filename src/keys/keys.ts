/** Signing keys in files: `<home>/keys/`, folder 0700, private keys 0600, made at first use. */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { lstat, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDurable, writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { privateKeyPem, readPrivateKey } from "./encrypted.ts";
import { type Signer, signerOf } from "./signer.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

export interface Keys {
  /** Signs statements: P-256, which every Sigstore verifier takes. */
  artifact: Signer;
  /** Signs checkpoints of the log: Ed25519, as signed notes want it. */
  checkpoint: Signer;
}

const ROLES = { artifact: "ecdsa-p256", checkpoint: "ed25519" } as const;
type Role = keyof typeof ROLES;

const privatePath = (home: string, role: Role): string => join(home, "keys", `${role}.key`);
const publicPath = (home: string, role: Role): string => join(home, "keys", `${role}.pub`);

/**
 * Opens the two keys, making them when there are none. `entropy` gives salts
 * and file names; the keys themselves are drawn by OpenSSL. Throws `refused`
 * for a key that others may read, `input` for a wrong passphrase or a damaged
 * file; no error carries a private key.
 */
export async function openKeys(home: string, options: { passphrase?: string; entropy?: Entropy } = {}): Promise<Keys> {
  if (options.passphrase === "") {
    throw new BitforbitError("input", "the passphrase is empty", { hint: "unset BITFORBIT_PASSPHRASE to have none" });
  }
  const folder = join(home, "keys");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const mode = (await lstat(folder)).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new BitforbitError(
      "refused",
      `the keys folder ${folder} has mode 0${mode.toString(8)}: others may enter it`,
      {
        hint: `chmod 700 ${folder}`,
      },
    );
  }
  return { artifact: await openKey(home, "artifact", options), checkpoint: await openKey(home, "checkpoint", options) };
}

/** The public halves, without a passphrase. Throws `input` when there are none yet. */
export async function publicKeys(home: string): Promise<{ artifact: PublicKey; checkpoint: PublicKey }> {
  return { artifact: await readPublic(home, "artifact"), checkpoint: await readPublic(home, "checkpoint") };
}

/** One public key as PEM text, to hand to others. */
export async function exportPublic(home: string, role: "artifact" | "checkpoint"): Promise<string> {
  return (await readPublic(home, role)).pem;
}

async function openKey(home: string, role: Role, options: { passphrase?: string; entropy?: Entropy }): Promise<Signer> {
  const path = privatePath(home, role);
  const pem = (await readPrivate(path)) ?? (await makeKey(home, role, options));
  const key = readPrivateKey(pem, options.passphrase, path);
  const publicKey = parsePublicKey(createPublicKey(key).export({ format: "pem", type: "spki" }).toString(), path);
  if (publicKey.algorithm !== ROLES[role]) {
    throw new BitforbitError("input", `the key file ${path} is ${publicKey.algorithm}, not ${ROLES[role]}`);
  }
  await settlePublic(home, role, publicKey);
  return signerOf(key, path);
}

async function makeKey(
  home: string,
  role: Role,
  { passphrase, entropy = systemEntropy }: { passphrase?: string; entropy?: Entropy },
): Promise<string> {
  const path = privatePath(home, role);
  if (await exists(publicPath(home, role))) {
    throw new BitforbitError("refused", `${publicPath(home, role)} is there but its private key ${path} is not`, {
      hint: "restore the private key; to start anew, move the whole keys folder away",
    });
  }
  const { privateKey } =
    role === "artifact" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
  const pem = privateKeyPem(privateKey, passphrase, entropy);
  if (await createDurable(path, pem, { mode: 0o600, entropy })) return pem;
  // Another process was first: its key is the key.
  return (await readPrivate(path)) ?? pem;
}

/** The private key's text, or undefined when there is no file. Throws `refused` when others may read it. */
async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const stats = await lstat(path);
    if (!stats.isFile()) throw new BitforbitError("refused", `the key file ${path} is not a regular file`);
    if ((stats.mode & 0o077) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
      throw new BitforbitError("refused", `the key file ${path} has mode ${mode}: others could use the key`, {
        hint: `chmod 600 ${path}, and consider the key as known to others`,
      });
    }
    if (stats.size > 16 << 10) throw new BitforbitError("limit", `the key file ${path} is larger than a key`);
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes the public key beside the private one, or checks that it belongs to it. */
async function settlePublic(home: string, role: Role, key: PublicKey): Promise<void> {
  const path = publicPath(home, role);
  if (!(await exists(path))) {
    await writeDurable(path, key.pem, { mode: 0o644 });
    return;
  }
  if ((await readPublic(home, role)).keyId !== key.keyId) {
    throw new BitforbitError("conflict", `${path} is not the public key of ${privatePath(home, role)}`, {
      hint: "one of the two was replaced: restore both from the same copy",
    });
  }
}

async function readPublic(home: string, role: Role): Promise<PublicKey> {
  const path = publicPath(home, role);
  try {
    return parsePublicKey(await readFile(path, "utf8"), path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new BitforbitError("input", `there are no keys in ${join(home, "keys")}`, {
      cause: error,
      hint: "'bitforbit build' makes them at first use",
    });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}
