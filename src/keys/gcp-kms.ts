/**
 * Keys in Google Cloud KMS:
 * `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`
 * (`versions/N`, as cosign writes it, is the same). Environment: an access token
 * in CLOUDSDK_AUTH_ACCESS_TOKEN, or a service account's file in
 * GOOGLE_APPLICATION_CREDENTIALS, or else the metadata server of the machine in
 * the cloud (GCE_METADATA_HOST); CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS.
 */
import { createPrivateKey, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { base64 } from "../bytes.ts";
import { systemClock } from "../clock.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { parseJson } from "../json.ts";
import { answered, askService, decoded, safeAddress, type ServiceOptions } from "./bounded-request.ts";
import type { KeyService } from "./services.ts";
import { parsePublicKey } from "./verifier.ts";

const SCOPE = "https://www.googleapis.com/auth/cloudkms";
const FORM = { "content-type": "application/x-www-form-urlencoded" };

export function openGcpKey(uri: string, options: ServiceOptions = {}): KeyService {
  const part = "[A-Za-z0-9_.:-]{1,100}";
  const [, key, version] =
    new RegExp(
      `^gcpkms://(projects/${part}/locations/${part}/keyRings/${part}/cryptoKeys/${part})/(?:cryptoKeyVersions|versions)/(\\d{1,9})$`,
    ).exec(uri) ?? [];
  if (key === undefined || version === undefined) {
    throw new BitforbitError("input", `not the URI of a Google Cloud KMS key: ${JSON.stringify(uri.slice(0, 300))}`, {
      hint: "gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N: a version has one public key, a key has many",
    });
  }
  const name = `${key}/cryptoKeyVersions/${version}`;
  const session = new GoogleSession(uri, options);
  return {
    publicKey: async () => parsePublicKey(answered(await session.ask("GET", `${name}/publicKey`), ["pem"], uri), uri),
    sign: async (bytes, { algorithm }) => {
      const request =
        algorithm === "ecdsa-p256" ? { digest: { sha256: base64(sha256(bytes)) } } : { data: base64(bytes) };
      const body = await session.ask("POST", `${name}:asymmetricSign`, request);
      return decoded(answered(body, ["signature"], uri), "base64", uri);
    },
  };
}

class GoogleSession {
  readonly #uri: string;
  readonly #options: ServiceOptions;
  #token: { value: string; until: number } | undefined;

  constructor(uri: string, options: ServiceOptions) {
    this.#uri = uri;
    this.#options = options;
  }

  async ask(method: "GET" | "POST", path: string, body?: object): Promise<JsonObject> {
    const environment = this.#options.environment ?? process.env;
    const endpoint = environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"] ?? "https://cloudkms.googleapis.com/";
    const url = safeAddress(endpoint, this.#uri);
    const token = await this.#accessToken(environment);
    return await askService(
      {
        what: this.#uri,
        method,
        url: `${url.href.replace(/\/+$/, "")}/v1/${path}`,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        secrets: [token],
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      this.#options,
    );
  }

  async #accessToken(environment: Readonly<Record<string, string | undefined>>): Promise<string> {
    const given = environment["CLOUDSDK_AUTH_ACCESS_TOKEN"];
    if (given !== undefined && given !== "") return given;
    const now = (this.#options.now ?? systemClock.now)();
    if (this.#token !== undefined && now < this.#token.until) return this.#token.value;
    const file = environment["GOOGLE_APPLICATION_CREDENTIALS"];
    const body =
      file === undefined || file === "" ? await this.#fromMachine(environment) : await this.#fromAccount(file, now);
    const value = answered(body, ["access_token"], this.#uri);
    const lifetime = typeof body["expires_in"] === "number" ? body["expires_in"] : 0;
    this.#token = { value, until: now + (lifetime - 60) * 1000 };
    return value;
  }

  async #fromMachine(environment: Readonly<Record<string, string | undefined>>): Promise<JsonObject> {
    const host = environment["GCE_METADATA_HOST"] ?? "metadata.google.internal";
    return await askService(
      {
        what: `${this.#uri}: the machine's metadata server`,
        method: "GET",
        url: `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`,
        headers: { "metadata-flavor": "Google" },
        secrets: [],
      },
      this.#options,
    );
  }

  /** A service account's key signs a claim (RFC 7523), which is exchanged for a token of an hour. */
  async #fromAccount(file: string, now: number): Promise<JsonObject> {
    const account = await readAccount(file);
    const seconds = Math.floor(now / 1000);
    const claim = `${tokenPart({ alg: "RS256", typ: "JWT" })}.${tokenPart({
      iss: account.email,
      scope: SCOPE,
      aud: account.tokenUri,
      iat: seconds,
      exp: seconds + 3600,
    })}`;
    let signature: string;
    try {
      signature = sign("sha256", Buffer.from(claim), createPrivateKey(account.key)).toString("base64url");
    } catch {
      // No cause: OpenSSL's error may quote its input.
      throw new BitforbitError("input", `${file} has a private key that cannot be used`);
    }
    const assertion = `${claim}.${signature}`;
    return await askService(
      {
        what: `${this.#uri}: the token service`,
        method: "POST",
        url: safeAddress(account.tokenUri, this.#uri).href,
        headers: FORM,
        body: new URLSearchParams({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion }).toString(),
        secrets: [assertion],
      },
      this.#options,
    );
  }
}

/** A part of a JSON Web Token. */
const tokenPart = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

async function readAccount(file: string): Promise<{ email: string; key: string; tokenUri: string }> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new BitforbitError("input", `cannot read GOOGLE_APPLICATION_CREDENTIALS: ${file}`, { cause: error });
  }
  const account = parseJson(text, file);
  return {
    email: answered(account, ["client_email"], file),
    key: answered(account, ["private_key"], file),
    tokenUri: answered(account, ["token_uri"], file),
  };
}
