/** Keys that other programs and services keep, chosen by a URI as cosign spells it. Loaded only where a key-ring names one. */
import { BitforbitError } from "../errors.ts";
import type { ServiceOptions } from "./bounded-request.ts";
import { checkedSigner, type Signer } from "./signer.ts";
import type { PublicKey } from "./verifier.ts";

/** A private key that never leaves its place. */
export interface KeyService {
  publicKey(): Promise<PublicKey>;
  /** A signature in the form of `Signer.sign`, of which `key` is the public half. Throws `outside` when the place fails. */
  sign(bytes: Uint8Array, key: PublicKey): Promise<Uint8Array>;
}

type Open = (uri: string, options: ServiceOptions) => Promise<KeyService>;

/** Each is loaded when it is asked for. */
const SCHEMES: Readonly<Record<string, Open>> = {
  "pkcs11:": async (uri, options) => await (await import("./pkcs11.ts")).openPkcs11Key(uri, options),
  "ssh-agent:": async (uri, options) => (await import("./ssh-agent.ts")).openAgentKey(uri, options),
  "hashivault://": async (uri, options) => (await import("./vault.ts")).openVaultKey(uri, options),
  "openbao://": async (uri, options) => (await import("./vault.ts")).openVaultKey(uri, options),
  "awskms://": async (uri, options) => (await import("./aws-kms.ts")).openAwsKey(uri, options),
  "gcpkms://": async (uri, options) => (await import("./gcp-kms.ts")).openGcpKey(uri, options),
  "azurekms://": async (uri, options) => (await import("./azure-kms.ts")).openAzureKey(uri, options),
};

/** The key that `uri` names. Throws `usage` for a URI of no known kind, `input` for one that is malformed. */
export async function openService(uri: string, options: ServiceOptions = {}): Promise<KeyService> {
  const scheme = Object.keys(SCHEMES).find((start) => uri.startsWith(start));
  const open = scheme === undefined ? undefined : SCHEMES[scheme];
  if (open !== undefined) return await open(uri, options);
  throw new BitforbitError("usage", `no kind of key has a URI like ${JSON.stringify(uri.slice(0, 60))}`, {
    hint: `it begins with one of: ${Object.keys(SCHEMES).join(" ")}`,
  });
}

/** The same as a signer; the service is asked for the public key. */
export async function serviceSigner(uri: string, options: ServiceOptions = {}): Promise<Signer> {
  const service = await openService(uri, options);
  const key = await service.publicKey();
  return checkedSigner(key, uri, async (bytes) => await service.sign(bytes, key));
}
