import { utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { isObject, parseJson } from "../json.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials, FindCredentials } from "./credentials.ts";
import { checkScheme, exchange, type HttpOptions, wholeBody } from "./http.ts";

/** Answers a registry's 401, and remembers the answer for each scope. */
export interface Authorization {
  /** The header to send for `scope`, as far as it is known; undefined at first. */
  known(scope: string): string | undefined;
  /** A header for `scope` that answers `challenge`, the WWW-Authenticate of a 401. Throws `outside`. */
  answer(scope: string, challenge: string | null): Promise<string>;
}

const MAX_TOKEN_BYTES = 1 << 20;

/**
 * Token authentication of the distribution project ("Token Authentication
 * Specification", "OAuth2") and Basic (RFC 7617). `scope`:
 * `repository:NAME:pull`, or with `pull,push`.
 */
export function authorize(
  domain: string,
  registry: URL,
  findCredentials: FindCredentials,
  options: HttpOptions,
): Authorization {
  const headers = new Map<string, string>();
  let found: Promise<Credentials | undefined> | undefined;
  return {
    known: (scope) => headers.get(scope),
    async answer(scope, challenge) {
      headers.delete(scope);
      const challenges = parseChallenges(challenge ?? "");
      const bearer = challenges.find(({ scheme }) => scheme === "bearer");
      found ??= findCredentials(domain);
      const credentials = await found;
      const header =
        bearer === undefined
          ? basicHeader(domain, challenges, credentials)
          : `Bearer ${await bearerToken(domain, registry, bearer, scope, credentials, options)}`;
      headers.set(scope, header);
      return header;
    },
  };
}

function basicHeader(domain: string, challenges: readonly Challenge[], credentials: Credentials | undefined): string {
  if (challenges.some(({ scheme }) => scheme === "basic")) {
    if (credentials?.type === "basic") return basicOf(credentials);
    throw new BitforbitError("outside", `${domain} asks for a name and password (401)`, {
      hint: `docker login ${domain}`,
    });
  }
  const asked = challenges.map(({ scheme }) => scheme).join(", ") || "nothing that can be read";
  throw new BitforbitError("outside", `${domain} answers 401 and asks for ${asked.slice(0, 100)}`, {
    hint: "Bearer and Basic are supported",
  });
}

function basicOf(credentials: { user: string; password: string }): string {
  return `Basic ${Buffer.from(utf8(`${credentials.user}:${credentials.password}`)).toString("base64")}`;
}

async function bearerToken(
  domain: string,
  registry: URL,
  challenge: Challenge,
  scope: string,
  credentials: Credentials | undefined,
  options: HttpOptions,
): Promise<string> {
  const realm = challenge.parameters.get("realm") ?? "";
  if (!URL.canParse(realm)) {
    throw new BitforbitError("outside", `${domain} asks for a token from ${JSON.stringify(realm.slice(0, 200))}`);
  }
  const url = new URL(realm);
  // The password goes there: a registry behind TLS may not have it sent in the clear, not even to this machine.
  if (registry.protocol === "https:" && url.protocol !== "https:") {
    throw new BitforbitError(
      "refused",
      `${domain} sends us for a token to ${url.protocol}//${url.host}, which is not https`,
    );
  }
  checkScheme(url, options);
  const service = challenge.parameters.get("service");
  const parameters = new URLSearchParams({ ...(service === undefined ? {} : { service }), scope });
  let request = { method: "GET", url, headers: {}, authorization: undefined as string | undefined };
  let body: string | undefined;
  if (credentials?.type === "identity") {
    parameters.set("grant_type", "refresh_token");
    parameters.set("refresh_token", credentials.token);
    parameters.set("client_id", "bitforbit");
    body = parameters.toString();
    request = { ...request, method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" } };
  } else {
    for (const [name, value] of parameters) url.searchParams.append(name, value);
    request.authorization = credentials === undefined ? undefined : basicOf(credentials);
  }
  const answer = await exchange(body === undefined ? request : { ...request, body }, options);
  return await tokenOf(answer, domain, credentials !== undefined);
}

async function tokenOf(
  answer: Awaited<ReturnType<typeof exchange>>,
  domain: string,
  withCredentials: boolean,
): Promise<string> {
  if (answer.status !== 200) {
    await answer.close();
    const what = withCredentials ? "does not take our credentials" : "gives no token without credentials";
    throw new BitforbitError("outside", `${answer.url.host} ${what} for ${domain} (${answer.status})`, {
      hint: `docker login ${domain}`,
    });
  }
  const bytes = await wholeBody(answer, MAX_TOKEN_BYTES, "the token");
  let token: unknown;
  try {
    const value = parseJson(bytes, "token");
    token = isObject(value) ? (value["token"] ?? value["access_token"]) : undefined;
  } catch {
    // Said below, without the answer's words: a token may be among them.
  }
  if (typeof token === "string" && /^[\x21-\x7e]{1,65536}$/.test(token)) return token;
  throw new BitforbitError("outside", `${answer.url.host} answers without a token`);
}
