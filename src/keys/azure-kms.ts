/**
 * Keys in Azure Key Vault: `azurekms://VAULT.vault.azure.net/NAME[/VERSION]`.
 * Environment, as Azure's own clients read it: AZURE_TENANT_ID, AZURE_CLIENT_ID,
 * and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE; AZURE_AUTHORITY_HOST.
 */
import { readFile } from "node:fs/promises";
import { concat, fromHex } from "../bytes.ts";
import { systemClock } from "../clock.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { P256_HEAD, spkiPem } from "../format/spki.ts";
import type { JsonObject } from "../json.ts";
import {
  addressOf,
  answered,
  askService,
  decoded,
  required,
  safeAddress,
  type ServiceOptions,
} from "./bounded-request.ts";
import type { KeyService } from "./services.ts";
import { derOfP1363 } from "./signature-form.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

const API = "api-version=7.4";

export function openAzureKey(uri: string, options: ServiceOptions = {}): KeyService {
  const [, vault, name, version] =
    /^azurekms:\/\/([A-Za-z0-9.-]{1,200}(?::\d{1,5})?)\/([A-Za-z0-9-]{1,127})(?:\/([0-9a-f]{32}))?$/.exec(uri) ?? [];
  if (vault === undefined || name === undefined) {
    throw new BitforbitError("input", `not the URI of an Azure key: ${JSON.stringify(uri.slice(0, 200))}`, {
      hint: "azurekms://VAULT.vault.azure.net/NAME, with /VERSION behind it to hold on to one",
    });
  }
  const session = new AzureSession(uri, vault, options);
  const path = version === undefined ? `keys/${name}` : `keys/${name}/${version}`;
  return {
    publicKey: async () => keyOf(await session.ask("GET", path), uri),
    sign: async (bytes, key) => {
      if (key.algorithm !== "ecdsa-p256") throw new BitforbitError("input", `${uri}: Azure signs with P-256 only`);
      const value = Buffer.from(sha256(bytes)).toString("base64url");
      const body = await session.ask("POST", `${path}/sign`, { alg: "ES256", value });
      return derOfP1363(decoded(answered(body, ["value"], uri), "base64url", uri), uri);
    },
  };
}

/** An EC key as JSON Web Key (RFC 7518, section 6.2). */
function keyOf(body: JsonObject, uri: string): PublicKey {
  const curve = answered(body, ["key", "crv"], uri);
  if (curve !== "P-256") throw new BitforbitError("input", `${uri} is a key on ${curve.slice(0, 40)}, not on P-256`);
  const coordinate = (name: string): Uint8Array => decoded(answered(body, ["key", name], uri), "base64url", uri);
  return parsePublicKey(spkiPem(concat([P256_HEAD, fromHex("04"), coordinate("x"), coordinate("y")])), uri);
}

class AzureSession {
  readonly #uri: string;
  readonly #vault: string;
  readonly #options: ServiceOptions;
  #token: { value: string; until: number } | undefined;

  constructor(uri: string, vault: string, options: ServiceOptions) {
    this.#uri = uri;
    this.#vault = vault;
    this.#options = options;
  }

  async ask(method: "GET" | "POST", path: string, body?: object): Promise<JsonObject> {
    const token = await this.#accessToken();
    return await askService(
      {
        what: this.#uri,
        method,
        url: `${addressOf(this.#vault)}/${path}?${API}`,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        secrets: [token, (this.#options.environment ?? process.env)["AZURE_CLIENT_SECRET"] ?? ""],
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      this.#options,
    );
  }

  async #accessToken(): Promise<string> {
    const now = (this.#options.now ?? systemClock.now)();
    if (this.#token !== undefined && now < this.#token.until) return this.#token.value;
    const environment = this.#options.environment ?? process.env;
    const tenant = required(environment, "AZURE_TENANT_ID", this.#uri);
    const authority = safeAddress(
      environment["AZURE_AUTHORITY_HOST"] ?? "https://login.microsoftonline.com",
      this.#uri,
    );
    const proof = await this.#proof(environment);
    const body = await askService(
      {
        what: `${this.#uri}: the token service`,
        method: "POST",
        url: `${authority.href.replace(/\/+$/, "")}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({
          grant_type: "client_credentials",
          client_id: required(environment, "AZURE_CLIENT_ID", this.#uri),
          scope: "https://vault.azure.net/.default",
          ...proof,
        }).toString(),
        secrets: Object.values(proof),
      },
      this.#options,
    );
    const value = answered(body, ["access_token"], this.#uri);
    const lifetime = typeof body["expires_in"] === "number" ? body["expires_in"] : 0;
    this.#token = { value, until: now + (lifetime - 60) * 1000 };
    return value;
  }

  async #proof(environment: Readonly<Record<string, string | undefined>>): Promise<Record<string, string>> {
    const file = environment["AZURE_FEDERATED_TOKEN_FILE"];
    if (file === undefined || file === "") {
      return { client_secret: required(environment, "AZURE_CLIENT_SECRET", this.#uri) };
    }
    const token = await readFile(file, "utf8").catch((error: unknown) => {
      throw new BitforbitError("input", `cannot read AZURE_FEDERATED_TOKEN_FILE: ${file}`, { cause: error });
    });
    return {
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: token.trim(),
    };
  }
}
