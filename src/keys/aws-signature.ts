/** AWS Signature Version 4: a request's headers with its `authorization`. */
import { createHmac } from "node:crypto";
import { sha256Hex } from "../digest.ts";
import { byteOrder } from "../order.ts";

export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface AwsRequest {
  method: string;
  /** Without a query. */
  url: URL;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  body: Uint8Array;
}

/** The headers to send: those given, the date, the token if there is one, and the signature over all of them and the host. `now`: milliseconds since 1970. */
export function awsAuthorization(
  { method, url, headers, body }: AwsRequest,
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  region: string,
  service: string,
  now: number,
): Record<string, string> {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = time.slice(0, 8);
  const sent: Record<string, string> = {
    ...headers,
    "x-amz-date": time,
    ...(sessionToken === undefined || sessionToken === "" ? {} : { "x-amz-security-token": sessionToken }),
  };
  const signed = Object.entries({ ...sent, host: url.host }).sort(([a], [b]) => byteOrder(a, b));
  const names = signed.map(([name]) => name).join(";");
  const canonical = [
    method,
    url.pathname,
    "",
    ...signed.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, " ")}`),
    "",
    names,
    sha256Hex(body),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256Hex(canonical)].join("\n");
  const key = [day, region, service, "aws4_request"].reduce<string | Buffer>(
    (secret, part) => createHmac("sha256", secret).update(part).digest(),
    `AWS4${secretAccessKey}`,
  );
  const signature = createHmac("sha256", key).update(toSign).digest("hex");
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}
