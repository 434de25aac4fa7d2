/**
 * The OpenID Connect token by which a CI job says who it is: from a file, from
 * a variable, or from GitHub's token service. It is handed to one certificate
 * authority and to nobody else: no message, document or file of ours has it.
 */
import { readFile, stat } from "node:fs/promises";
import { BitforbitError, systemCode } from "../errors.ts";
import { isObject, type JsonObject, parseJson } from "../json.ts";
import { answered, askService, safeAddress, type ServiceOptions } from "./bounded-request.ts";

/** What every Fulcio takes that was not told otherwise. */
export const USUAL_AUDIENCE = "sigstore";

const MAX_TOKEN = 16 << 10;
/** GitLab's name for it, which cosign reads, too; and ours, for all others. */
const VARIABLES = ["BITFORBIT_IDENTITY_TOKEN", "SIGSTORE_ID_TOKEN"] as const;
const GITHUB = { url: "ACTIONS_ID_TOKEN_REQUEST_URL", token: "ACTIONS_ID_TOKEN_REQUEST_TOKEN" } as const;

/** Where a token comes from; it is fetched when it is needed, since it lives for minutes. */
export type TokenPlace =
  | { kind: "file"; path: string }
  | { kind: "variable"; name: string }
  | { kind: "github"; url: string };

/** A token with what it claims. Printing or serialising it does not show it. */
export class IdentityToken {
  readonly #text: string;
  /** Who vouches for the subject. */
  readonly issuer: string;
  /** What a certificate authority wants to see signed by the new key: the e-mail address, or the subject. */
  readonly subject: string;
  /** Milliseconds since 1970. */
  readonly expires: number;

  constructor(text: string, claims: { issuer: string; subject: string; expires: number }) {
    this.#text = text;
    this.issuer = claims.issuer;
    this.subject = claims.subject;
    this.expires = claims.expires;
  }

  /** The token itself, for the one request that needs it. */
  reveal(): string {
    return this.#text;
  }

  /** What must not be seen of it in a message: a part of it is enough to be told apart. */
  secrets(): string[] {
    return [this.#text, ...this.#text.split(".")];
  }
}

/** Where this job's token is. Throws `lacking` where there is none, naming what would give one. */
export function findToken(
  environment: Readonly<Record<string, string | undefined>>,
  file: string | undefined,
): TokenPlace {
  if (file !== undefined) return { kind: "file", path: file };
  const name = VARIABLES.find((variable) => (environment[variable] ?? "") !== "");
  if (name !== undefined) return { kind: "variable", name };
  const [url = "", token = ""] = [environment[GITHUB.url], environment[GITHUB.token]];
  if (url !== "" && token !== "") return { kind: "github", url };
  throw new BitforbitError("lacking", "there is no identity token to sign with: this is no CI job that has one", {
    hint: `GitHub Actions: 'permissions: id-token: write'; GitLab: id_tokens with ${VARIABLES[1]}; others: --identity-token FILE or ${VARIABLES[0]}`,
  });
}

/** In words, for people. */
export function tokenWords(place: TokenPlace): string {
  if (place.kind === "file") return `the token in ${place.path}`;
  return place.kind === "variable" ? `the token in $${place.name}` : "a token of this GitHub job";
}

/**
 * The token for `audience`. Throws `input` for one that is no token, has expired,
 * or is for another audience; `outside` where GitHub's token service fails.
 */
export async function fetchToken(
  place: TokenPlace,
  audience: string,
  options: ServiceOptions & { now: () => number },
): Promise<IdentityToken> {
  const what = tokenWords(place);
  const text = (await tokenText(place, audience, options)).trim();
  return readToken(text, what, audience, options.now());
}

async function tokenText(place: TokenPlace, audience: string, options: ServiceOptions): Promise<string> {
  const { environment = process.env } = options;
  if (place.kind === "file") return await fileText(place.path);
  if (place.kind === "variable") return environment[place.name] ?? "";
  const secret = environment[GITHUB.token] ?? "";
  const what = "GitHub's token service";
  const url = safeAddress(place.url, what);
  url.searchParams.set("audience", audience);
  const headers = { accept: "application/json", authorization: `bearer ${secret}` };
  const answer = await askService({ what, method: "GET", url: url.href, headers, secrets: [secret] }, options);
  return answered(answer, ["value"], what);
}

async function fileText(path: string): Promise<string> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    if (stats.size > MAX_TOKEN) throw new BitforbitError("limit", `${path} is larger than a token`);
    return await readFile(path, "utf8");
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}

/** What the token claims; whether that is true is for the certificate authority, which knows the issuer's keys. */
export function readToken(text: string, what: string, audience: string, now: number): IdentityToken {
  if (text.length > MAX_TOKEN) throw new BitforbitError("limit", `${what} is larger than ${MAX_TOKEN} bytes`);
  const [, payload] = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/.exec(text) ?? [];
  const claims = payload === undefined ? undefined : claimsOf(payload);
  if (claims === undefined) {
    throw new BitforbitError("input", `${what} is not a JSON web token (three parts in base64url, with dots between)`);
  }
  const { iss, aud, exp, email, email_verified: verified, sub } = claims;
  if (typeof iss !== "string" || typeof exp !== "number" || !Number.isFinite(exp)) {
    throw new BitforbitError("input", `${what} does not say who issued it (iss) and when it ends (exp)`);
  }
  if (exp * 1000 <= now) {
    throw new BitforbitError("input", `${what} expired ${Math.ceil((now - exp * 1000) / 1000)} seconds ago`, {
      hint: "have the job ask for a new one: a token is good for a few minutes",
    });
  }
  const audiences = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === "string");
  if (!audiences.includes(audience)) {
    throw new BitforbitError(
      "input",
      `${what} is for ${JSON.stringify(audiences).slice(0, 200)}, not for ${audience}`,
      {
        hint: "ask the issuer for a token with that audience (aud); or, where the authority takes another, give --audience",
      },
    );
  }
  if (typeof email === "string" && verified === false) {
    throw new BitforbitError("input", `${what} has an e-mail address that its issuer did not verify`);
  }
  const subject = typeof email === "string" && email !== "" ? email : sub;
  if (typeof subject === "string" && subject !== "") {
    return new IdentityToken(text, { issuer: iss, subject, expires: exp * 1000 });
  }
  throw new BitforbitError("input", `${what} names no subject (sub, or email)`);
}

/** Without a cause: what a parser says of bad JSON quotes it. */
function claimsOf(payload: string): JsonObject | undefined {
  try {
    const claims = parseJson(new Uint8Array(Buffer.from(payload, "base64url")), "the claims");
    return isObject(claims) ? claims : undefined;
  } catch {
    return undefined;
  }
}
