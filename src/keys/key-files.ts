/** Key files: `<home>/keys/`, folder 0700, private keys 0600, public ones beside them. */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { lstat, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDurable, writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import type { KeyAlgorithm } from "../format/spki.ts";
import { privateKeyPem, readPrivateKey } from "./encrypted.ts";
import type { Role } from "./key-ring.ts";
import type { ServiceOptions } from "./bounded-request.ts";
import { type Signer, signerOf } from "./signer.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

export interface KeyOptions {
  passphrase?: string;
  /** For salts and file names; keys are drawn by OpenSSL. */
  entropy?: Entropy;
  /** How services are asked. */
  services?: ServiceOptions;
}

/** What a role signs with unless somebody chose otherwise. */
export const USUAL: Readonly<Record<Role, KeyAlgorithm>> = {
  artifact: "ecdsa-p256",
  checkpoint: "ed25519",
  root: "ed25519",
};

const privatePath = (home: string, name: string): string => join(home, "keys", `${name}.key`);
const publicPath = (home: string, name: string): string => join(home, "keys", `${name}.pub`);

/** Makes the keys folder, or sees that others may not enter it. Throws `refused`, or `input` for an empty passphrase. */
export async function settleKeysFolder(home: string, { passphrase }: KeyOptions): Promise<void> {
  if (passphrase === "") {
    throw new BitforbitError("input", "the passphrase is empty", { hint: "unset BITFORBIT_PASSPHRASE to have none" });
  }
  const folder = join(home, "keys");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const mode = (await lstat(folder)).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new BitforbitError("refused", `the keys folder ${folder} has mode 0${mode.toString(8)}: others may enter it`, {
    hint: `chmod 700 ${folder}`,
  });
}

/** Opens the key file `name`, making it when there is none. Throws `input` for another algorithm than `algorithm`. */
export async function openOrMakeKey(
  home: string,
  name: string,
  algorithm: KeyAlgorithm,
  options: KeyOptions,
): Promise<Signer> {
  const pem = (await readPrivate(privatePath(home, name))) ?? (await makeKey(home, name, algorithm, options));
  const signer = await signerOfPem(home, name, pem, algorithm, options);
  await settlePublic(home, name, parsePublicKey(signer.publicKeyPem));
  return signer;
}

/** Opens the key file `name`, which must be the private half of `key`. Throws `refused` when it is gone, `conflict` when it is another's. */
export async function openKeyFile(home: string, name: string, key: PublicKey, options: KeyOptions): Promise<Signer> {
  const path = privatePath(home, name);
  const pem = await readPrivate(path);
  if (pem === undefined) {
    throw new BitforbitError(
      "refused",
      `the key-ring has the key ${key.keyId}, but its private key ${path} is not there`,
      {
        hint: "restore the file from a copy, or have a new key with 'bitforbit keys rotate'",
      },
    );
  }
  const signer = await signerOfPem(home, name, pem, key.algorithm, options);
  if (signer.keyId === key.keyId) return signer;
  throw new BitforbitError("conflict", `${path} is not the private key of ${key.keyId}, which the key-ring has`, {
    hint: "one of the two was replaced: restore both from the same copy",
  });
}

/** A name no other key file has; the part before it says what the key is for. */
function fileName(role: Role, keyId: string): string {
  return `${role}-${Buffer.from(keyId, "base64").toString("hex").slice(0, 16)}`;
}

/** Makes a key under a name of its own; the file is durable when this returns. */
export async function makeNamedKey(
  home: string,
  role: Role,
  algorithm: KeyAlgorithm,
  options: KeyOptions,
): Promise<{ name: string; signer: Signer }> {
  const { entropy = systemEntropy, passphrase } = options;
  const privateKey = generate(algorithm);
  const signer = signerOf(privateKey, `the new ${role} key`);
  const name = fileName(role, signer.keyId);
  await createDurable(privatePath(home, name), privateKeyPem(privateKey, passphrase, entropy), {
    mode: 0o600,
    entropy,
  });
  return { name, signer };
}

function generate(algorithm: KeyAlgorithm) {
  switch (algorithm) {
    case "ecdsa-p256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    case "ed25519":
      return generateKeyPairSync("ed25519").privateKey;
    case "ml-dsa-44":
      return generateMlDsa();
  }
}

function generateMlDsa() {
  try {
    return generateKeyPairSync("ml-dsa-44").privateKey;
  } catch (error) {
    throw new BitforbitError("lacking", "this Node does not know ML-DSA-44", {
      cause: error,
      hint: "use Node 24.6 or newer with OpenSSL 3.5",
    });
  }
}

async function signerOfPem(
  home: string,
  name: string,
  pem: string,
  algorithm: KeyAlgorithm,
  options: KeyOptions,
): Promise<Signer> {
  const path = privatePath(home, name);
  const key = readPrivateKey(pem, options.passphrase, path);
  const { algorithm: found } = parsePublicKey(
    createPublicKey(key).export({ format: "pem", type: "spki" }).toString(),
    path,
  );
  if (found !== algorithm) throw new BitforbitError("input", `the key file ${path} is ${found}, not ${algorithm}`);
  return signerOf(key, path);
}

async function makeKey(
  home: string,
  name: string,
  algorithm: KeyAlgorithm,
  { passphrase, entropy = systemEntropy }: KeyOptions,
): Promise<string> {
  const path = privatePath(home, name);
  if (await exists(publicPath(home, name))) {
    throw new BitforbitError("refused", `${publicPath(home, name)} is there but its private key ${path} is not`, {
      hint: "restore the private key; to start anew, move the whole keys folder away",
    });
  }
  const pem = privateKeyPem(generate(algorithm), passphrase, entropy);
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
async function settlePublic(home: string, name: string, key: PublicKey): Promise<void> {
  const path = publicPath(home, name);
  if (!(await exists(path))) {
    await writeDurable(path, key.pem, { mode: 0o644 });
    return;
  }
  if ((await readPublic(home, name)).keyId !== key.keyId) {
    throw new BitforbitError("conflict", `${path} is not the public key of ${privatePath(home, name)}`, {
      hint: "one of the two was replaced: restore both from the same copy",
    });
  }
}

/** The public key file `name`. Throws `input` when there are no keys. */
export async function readPublic(home: string, name: string): Promise<PublicKey> {
  const path = publicPath(home, name);
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

/** When the public key file `name` was last written, in milliseconds since 1970. */
export async function writtenAt(home: string, name: string): Promise<number> {
  return Math.floor((await lstat(publicPath(home, name))).mtimeMs);
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
