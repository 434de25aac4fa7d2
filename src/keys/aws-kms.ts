/**
 * Keys in AWS KMS: `awskms://[ENDPOINT]/KEY`, where KEY is an id, `alias/NAME`
 * or an ARN. Environment, as AWS's own clients read it: AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION or AWS_DEFAULT_REGION,
 * AWS_ENDPOINT_URL_KMS or AWS_ENDPOINT_URL.
 */
import { base64, utf8 } from "../bytes.ts";
import { systemClock } from "../clock.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { spkiPem } from "../format/spki.ts";
import type { JsonObject } from "../json.ts";
import { awsAuthorization } from "./aws-signature.ts";
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
import { type PublicKey, parsePublicKey } from "./verifier.ts";

export function openAwsKey(uri: string, options: ServiceOptions = {}): KeyService {
  const [, endpoint, keyId] =
    /^awskms:\/\/([A-Za-z0-9.:-]*)\/((?:arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:)?(?:(?:alias|key)\/)?[A-Za-z0-9_/-]{1,256})$/.exec(
      uri,
    ) ?? [];
  if (endpoint === undefined || keyId === undefined) {
    throw new BitforbitError("input", `not the URI of an AWS KMS key: ${JSON.stringify(uri.slice(0, 100))}`, {
      hint: "awskms:///ID, awskms:///alias/NAME or awskms:///ARN; an endpoint may stand before the third slash",
    });
  }
  const ask = async (action: string, body: object): Promise<JsonObject> =>
    await askAws({ uri, endpoint, keyId }, action, { KeyId: keyId, ...body }, options);
  return {
    publicKey: async () =>
      parsePublicKey(spkiPem(decoded(answered(await ask("GetPublicKey", {}), ["PublicKey"], uri), "base64", uri)), uri),
    sign: async (bytes, key) =>
      decoded(answered(await ask("Sign", signRequest(bytes, key)), ["Signature"], uri), "base64", uri),
  };
}

function signRequest(bytes: Uint8Array, key: PublicKey): object {
  return key.algorithm === "ecdsa-p256"
    ? { Message: base64(sha256(bytes)), MessageType: "DIGEST", SigningAlgorithm: "ECDSA_SHA_256" }
    : { Message: base64(bytes), MessageType: "RAW", SigningAlgorithm: "ED25519_SHA_512" };
}

async function askAws(
  { uri, endpoint, keyId }: { uri: string; endpoint: string; keyId: string },
  action: string,
  request: object,
  options: ServiceOptions,
): Promise<JsonObject> {
  const environment = options.environment ?? process.env;
  const region =
    /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1] ??
    environment["AWS_REGION"] ??
    environment["AWS_DEFAULT_REGION"] ??
    required(environment, "AWS_REGION", uri);
  const chosen = environment["AWS_ENDPOINT_URL_KMS"] ?? environment["AWS_ENDPOINT_URL"];
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const url = safeAddress(endpoint !== "" ? addressOf(endpoint) : (chosen ?? `https://kms.${region}.${domain}`), uri);
  const credentials = {
    accessKeyId: required(environment, "AWS_ACCESS_KEY_ID", uri),
    secretAccessKey: required(environment, "AWS_SECRET_ACCESS_KEY", uri),
    sessionToken: environment["AWS_SESSION_TOKEN"],
  };
  const body = JSON.stringify(request);
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${action}` };
  const now = options.now ?? systemClock.now;
  return await askService(
    {
      what: uri,
      method: "POST",
      url: url.href,
      headers: awsAuthorization({ method: "POST", url, headers, body: utf8(body) }, credentials, region, "kms", now()),
      body,
      secrets: [credentials.secretAccessKey, credentials.sessionToken ?? ""],
      // KMS throttles with status 400.
      busy: ({ __type: type }) => /\b(?:Throttling|LimitExceeded)Exception$/.test(String(type)),
    },
    options,
  );
}
