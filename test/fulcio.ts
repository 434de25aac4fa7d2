/**
 * A Sigstore on loopback for tests of keyless signing: a server of the test's
 * own that speaks Fulcio's API v2, a timestamp authority's, GitHub's token
 * service's, and an OpenID issuer whose tokens it checks. The certificates and
 * timestamps are real ones, by the authority in `authority.ts`; each answer can
 * be made to go wrong in one way. The log is not here: tests use our own server.
 */
import { createPublicKey, verify } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { utf8 } from "../src/bytes.ts";
import { derSequence } from "../src/format/der.ts";
import { Authority, ecdsa, ecPair, extension, type Pair, tlv, type Twist } from "./authority.ts";

export const SUBJECT = "repo:example/tool:ref:refs/heads/main";
export const JOB = "https://github.com/example/tool/.github/workflows/release.yml@refs/heads/main";

/** What goes wrong; nothing does by default. */
export interface Fault {
  /** Fulcio answers so, instead of a certificate. */
  status?: number;
  /** Fulcio repeats the token in what it says. */
  echo?: boolean;
  /** Answers "not now" so many times first; each service counts for itself. */
  busy?: number;
  /** Takes the request and says nothing. */
  silent?: "fulcio" | "stamps" | "github";
  /** A certificate for another key than the one that was asked for. */
  otherKey?: boolean;
  /** The certificate. */
  twist?: Twist;
  /** The certificate is another authority's. */
  by?: Authority;
  /** The timestamp's. */
  stamp?: Twist;
  stampStatus?: number;
  /** Garbage instead of an answer. */
  garbage?: "fulcio" | "stamps" | "github";
  /** The token for GitHub's token service must be this one. */
  githubSecret?: string;
}

export interface Loopback {
  url: string;
  authority: Authority;
  /** What was asked, in order: method and path. */
  asked: string[];
  fault: Fault;
  /** A token, signed by the issuer that the server knows. */
  token(claims?: Record<string, unknown>): string;
}

/** Starts it; it ends with the test. */
export async function loopbackSigstore(t: TestContext, fault: Fault = {}): Promise<Loopback> {
  const authority = new Authority();
  const issuer = ecPair();
  const asked: string[] = [];
  const busy = new Map<string, number>();
  const open = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    void (async () => {
      const body = await bodyOf(request);
      const path = (request.url ?? "").split("?")[0] ?? "";
      asked.push(`${request.method} ${path}`);
      const which = path.startsWith("/token") ? "github" : path === "/stamp" ? "stamps" : "fulcio";
      const before = busy.get(path) ?? 0;
      busy.set(path, before + 1);
      if (before < (found.fault.busy ?? 0)) return send(response, 503, { message: "not now" });
      if (found.fault.silent === which) return void open.add(response);
      if (found.fault.garbage === which) return send(response, 200, "<html>");
      if (which === "github") return tokenAnswer(request, response, found);
      if (which === "stamps") return stampAnswer(response, body, found);
      if (path !== "/api/v2/signingCert") return send(response, 404, { code: 5, message: "Not Found" });
      certificateAnswer(response, body, found, issuer);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    for (const response of open) response.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: url, aud: "sigstore", sub: SUBJECT, iat: now, exp: now + 600, job_workflow_ref: JOB };
  const found: Loopback = {
    url,
    authority,
    asked,
    fault,
    token: (claims = {}) => jwt({ ...usual, ...claims }, issuer),
  };
  return found;
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function jwt(claims: object, key: Pair): string {
  const text = `${part({ alg: "ES256", typ: "JWT" })}.${part(claims)}`;
  // Signed as DER, which no JWT library writes: the server that reads it is ours.
  return `${text}.${Buffer.from(ecdsa(key, utf8(text))).toString("base64url")}`;
}

/** GitHub's: `GET …?audience=…` with a bearer token of the job's. */
function tokenAnswer(request: IncomingMessage, response: ServerResponse, { fault, token }: Loopback): void {
  if (request.headers.authorization !== `bearer ${fault.githubSecret ?? "job-secret"}`) {
    return send(response, 401, { message: `not allowed: ${request.headers.authorization}` });
  }
  const audience = new URL(request.url ?? "", "http://localhost").searchParams.get("audience");
  send(response, 200, { count: 1, value: token({ aud: audience }) });
}

function stampAnswer(response: ServerResponse, query: Uint8Array, { authority, fault }: Loopback): void {
  if (fault.stampStatus !== undefined) return send(response, fault.stampStatus, { message: "no timestamps today" });
  // MessageImprint's digest: behind the OCTET STRING's head, before certReq.
  const digest = query.subarray(query.length - 35, query.length - 3);
  const stamp = authority.stampDigest(digest, { stampedAt: Date.now(), ...fault.stamp });
  response.writeHead(201, { "content-type": "application/timestamp-reply" }).end(stamp);
}

interface CertificateRequest {
  credentials: { oidcIdentityToken: string };
  publicKeyRequest: { publicKey: { algorithm: string; content: string }; proofOfPossession: string };
}

function certificateAnswer(response: ServerResponse, body: Uint8Array, loopback: Loopback, issuer: Pair): void {
  const { authority, fault, url } = loopback;
  const { credentials, publicKeyRequest } = JSON.parse(Buffer.from(body).toString()) as CertificateRequest;
  const token = credentials.oidcIdentityToken;
  const [head = "", payload = "", signature = ""] = token.split(".");
  const refuse = (status: number, message: string): void =>
    send(response, status, {
      code: status === 400 ? 3 : 16,
      message: fault.echo === true ? `${message}: ${token} (${payload})` : message,
      details: [],
    });
  if (fault.status !== undefined) return refuse(fault.status, "There was an error processing the identity token");
  const known = createPublicKey({ key: Buffer.from(issuer.spki), format: "der", type: "spki" });
  const signed = utf8(`${head}.${payload}`);
  const good = verify("sha256", signed, { key: known, dsaEncoding: "der" }, Buffer.from(signature, "base64url"));
  if (!good) return refuse(401, "There was an error processing the identity token");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, string | number>;
  const { publicKey, proofOfPossession } = publicKeyRequest;
  const key = createPublicKey(publicKey.content);
  const subject = String(claims["email"] ?? claims["sub"]);
  if (!verify("sha256", utf8(subject), { key, dsaEncoding: "der" }, Buffer.from(proofOfPossession, "base64"))) {
    return refuse(400, "The signature supplied in the request could not be verified");
  }
  const now = Date.now();
  const { email } = claims;
  const name =
    email === undefined ? tlv(0x86, utf8(String(claims["job_workflow_ref"]))) : tlv(0x81, utf8(String(email)));
  const spki = fault.otherKey === true ? ecPair().spki : new Uint8Array(key.export({ format: "der", type: "spki" }));
  const leaf = (fault.by ?? authority).leaf(spki, {
    sctAt: now,
    ...fault.twist,
    leaf: { from: now - 1000, until: now + 600_000, ...fault.twist?.leaf },
    extensions: {
      names: extension("2.5.29.17", derSequence(name), true),
      issuer: extension("1.3.6.1.4.1.57264.1.8", tlv(0x0c, utf8(url))),
      ...fault.twist?.extensions,
    },
  });
  const certificates = [leaf, ...authority.chain()].map(pem);
  const kind = fault.twist?.noSct === true ? "signedCertificateDetachedSct" : "signedCertificateEmbeddedSct";
  send(response, 200, { [kind]: { chain: { certificates } } });
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function send(response: ServerResponse, status: number, body: object | string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return new Uint8Array(Buffer.concat(parts));
}
