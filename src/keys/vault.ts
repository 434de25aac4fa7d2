/**
 * Keys in the transit engine of HashiCorp Vault or OpenBao: `hashivault://NAME`.
 * Environment, as their own clients read it: VAULT_ADDR, VAULT_TOKEN,
 * VAULT_NAMESPACE (or BAO_…), and cosign's TRANSIT_SECRET_ENGINE_PATH.
 */
import { base64 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { ED25519_HEAD, spkiPem } from "../format/spki.ts";
import { isObject, type JsonObject } from "../json.ts";
import { answered, askService, decoded, required, safeAddress, type ServiceOptions } from "./bounded-request.ts";
import type { KeyService } from "./services.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

export function openVaultKey(uri: string, options: ServiceOptions = {}): KeyService {
  const name = /^(?:hashivault|openbao):\/\/([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$/.exec(uri)?.[1];
  if (name === undefined) {
    throw new BitforbitError("input", `not the URI of a Vault key: ${JSON.stringify(uri.slice(0, 100))}`, {
      hint: "hashivault://NAME, where NAME is a key of the transit engine",
    });
  }
  return new VaultKey(uri, name, options);
}

class VaultKey implements KeyService {
  readonly #uri: string;
  readonly #name: string;
  readonly #options: ServiceOptions;
  /** Version of the key there, by key id: Vault may have rotated it since. */
  readonly #versions = new Map<string, string>();

  constructor(uri: string, name: string, options: ServiceOptions) {
    this.#uri = uri;
    this.#name = name;
    this.#options = options;
  }

  async publicKey(): Promise<PublicKey> {
    const body = await this.#ask("GET", `keys/${this.#name}`);
    const data = isObject(body["data"]) ? body["data"] : {};
    const versions = isObject(data["keys"]) ? data["keys"] : {};
    for (const [version, entry] of Object.entries(versions)) {
      const key = this.#readKey(String(data["type"]), answered(entry, ["public_key"], this.#uri));
      this.#versions.set(key.keyId, version);
      if (version === String(data["latest_version"])) return this.#all(versions, String(data["type"]), key);
    }
    throw new BitforbitError("outside", `${this.#uri}: the answer has no latest version of the key`);
  }

  async sign(bytes: Uint8Array, key: PublicKey): Promise<Uint8Array> {
    if (!this.#versions.has(key.keyId)) await this.publicKey();
    const version = this.#versions.get(key.keyId);
    if (version === undefined) {
      throw new BitforbitError("outside", `${this.#uri} has no version with the key ${key.keyId} any more`, {
        hint: "the key was replaced there: take the new one with 'bitforbit keys rotate --kms'",
      });
    }
    const ecdsa = key.algorithm === "ecdsa-p256";
    const request = ecdsa
      ? { input: base64(sha256(bytes)), prehashed: true, marshaling_algorithm: "asn1", key_version: Number(version) }
      : { input: base64(bytes), key_version: Number(version) };
    const body = await this.#ask("POST", `sign/${this.#name}${ecdsa ? "/sha2-256" : ""}`, request);
    const [, encoded] = /^vault:v\d+:(.+)$/.exec(answered(body, ["data", "signature"], this.#uri)) ?? [];
    return decoded(encoded ?? "", "base64", this.#uri);
  }

  #all(versions: JsonObject, type: string, latest: PublicKey): PublicKey {
    for (const [version, entry] of Object.entries(versions)) {
      this.#versions.set(this.#readKey(type, answered(entry, ["public_key"], this.#uri)).keyId, version);
    }
    return latest;
  }

  /** P-256 as PEM, Ed25519 as 32 bytes in base64. */
  #readKey(type: string, text: string): PublicKey {
    if (type === "ecdsa-p256") return parsePublicKey(text, this.#uri);
    if (type === "ed25519") {
      return parsePublicKey(spkiPem(Buffer.concat([ED25519_HEAD, decoded(text, "base64", this.#uri)])), this.#uri);
    }
    throw new BitforbitError("input", `${this.#uri} is of type ${type.slice(0, 40)}, not ecdsa-p256 or ed25519`);
  }

  async #ask(method: "GET" | "POST", path: string, body?: object): Promise<JsonObject> {
    const environment = this.#options.environment ?? process.env;
    const either = (name: string): string | undefined => environment[`VAULT_${name}`] ?? environment[`BAO_${name}`];
    const address = safeAddress(either("ADDR") ?? required(environment, "VAULT_ADDR", this.#uri), this.#uri);
    const token = either("TOKEN") ?? required(environment, "VAULT_TOKEN", this.#uri);
    const engine = environment["TRANSIT_SECRET_ENGINE_PATH"] ?? "transit";
    const namespace = either("NAMESPACE");
    return await askService(
      {
        what: this.#uri,
        method,
        url: `${address.href.replace(/\/+$/, "")}/v1/${engine}/${path}`,
        headers: {
          "x-vault-token": token,
          "x-vault-request": "true",
          ...(namespace === undefined ? {} : { "x-vault-namespace": namespace }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        secrets: [token],
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      this.#options,
    );
  }
}
