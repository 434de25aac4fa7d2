/** The side of the proxy that registries see: HTTP/1.1, TLS verified, through the caller's own proxies. */
import { readFileSync } from "node:fs";
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { lookup as systemLookup } from "node:dns";
import { type LookupFunction, isIP } from "node:net";
import type { Readable } from "node:stream";
import { createSecureContext, getCACertificates } from "node:tls";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";

export interface UpstreamOptions {
  /** The caller's environment: proxies and certificate files. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Further authorities to trust, PEM text. */
  authorities?: readonly string[];
  lookup?: LookupFunction;
  /** An answer that gives no byte for so long is broken off. */
  idleMilliseconds?: number;
}

export interface Upstream {
  /** Sends a request, and gives the answer once its head is there. Throws `outside`. */
  send(request: {
    method: string;
    url: string;
    headers: readonly [string, string][];
    body?: Readable;
    signal: AbortSignal;
  }): Promise<IncomingMessage>;
  close(): void;
}

/** Variables that name a PEM file of authorities, for one client or another; what one may trust, the proxy may for it. */
const AUTHORITY_FILES = [
  "SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "PIP_CERT",
  "CARGO_HTTP_CAINFO",
  "npm_config_cafile",
  "NPM_CONFIG_CAFILE",
];
const MAX_AUTHORITIES_BYTES = 16 << 20;

export function openUpstream(options: UpstreamOptions): Upstream {
  const { environment, idleMilliseconds = 120_000 } = options;
  const shared = {
    keepAlive: true,
    maxSockets: 64,
    proxyEnv: proxiesOf(environment),
    lookup: guarded(options.lookup ?? (systemLookup as LookupFunction)),
  };
  const plain = new HttpAgent(shared);
  let secure: HttpsAgent | undefined;
  const agentOf = (url: URL): HttpAgent => {
    if (url.protocol === "http:") return plain;
    // Reading some hundred certificates once, not at each connection.
    const ca = authoritiesOf(environment, options.authorities ?? []);
    secure ??= new HttpsAgent({ ...shared, secureContext: createSecureContext({ ca, minVersion: "TLSv1.2" }) });
    return secure;
  };
  return {
    send: async ({ method, url: text, headers, body, signal }) => {
      const url = new URL(text);
      refuseLinkLocal(url.hostname);
      const send = url.protocol === "http:" ? httpRequest : httpsRequest;
      return await new Promise<IncomingMessage>((resolve, reject) => {
        const fail = (error: unknown): void => reject(outside(url, error));
        const request = send(url, { method, headers: headerObject(headers), agent: agentOf(url), signal });
        request.setTimeout(idleMilliseconds, () => {
          request.destroy(new Error(`no byte came for ${Math.round(idleMilliseconds / 1000)} s`));
        });
        request.once("error", fail);
        request.once("response", (answer) => {
          request.off("error", fail);
          request.on("error", (error) => answer.destroy(error));
          resolve(answer);
        });
        if (body === undefined) request.end();
        else body.once("error", (error) => request.destroy(error)).pipe(request);
      });
    },
    close: () => {
      plain.destroy();
      secure?.destroy();
    },
  };
}

/** What is there more than once becomes a list. */
function headerObject(pairs: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const lists = Map.groupBy(pairs, ([name]) => name);
  return Object.fromEntries(
    [...lists].map(([name, list]) => [name, list.length === 1 ? (list[0]?.[1] ?? "") : list.map(([, value]) => value)]),
  );
}

function outside(url: URL, error: unknown): BitforbitError {
  if (error instanceof BitforbitError) return error;
  const code = systemCode(error) ?? "";
  const untrusted = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ISSUER/.test(code);
  return new BitforbitError("outside", `${url.host} cannot be asked: ${messageOf(error)}`, {
    cause: error,
    hint: untrusted
      ? "if its authority is one of your own, name its PEM file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS"
      : "check the network, and HTTPS_PROXY where there is a proxy",
  });
}

const withScheme = (proxy: string): string => (proxy.includes("://") ? proxy : `http://${proxy}`);

/** The caller's proxies, from the common variables, or from a client's own where those are not set. */
export function proxiesOf(environment: UpstreamOptions["environment"]): NodeJS.ProcessEnv {
  const first = (...names: string[]): string | undefined =>
    names.map((name) => environment[name]).find((value) => value !== undefined && value !== "");
  const all = first("all_proxy", "ALL_PROXY");
  const http = first("http_proxy", "HTTP_PROXY", "npm_config_proxy") ?? all;
  const https = first("https_proxy", "HTTPS_PROXY", "npm_config_https_proxy", "PIP_PROXY", "CARGO_HTTP_PROXY") ?? all;
  const none = first("no_proxy", "NO_PROXY", "npm_config_noproxy");
  for (const proxy of [http, https]) {
    const scheme = /^([a-z0-9+.-]+):\/\//i.exec(proxy ?? "")?.[1]?.toLowerCase();
    if (scheme === undefined || scheme === "http" || scheme === "https") continue;
    throw new BitforbitError("input", `proxies of the kind ${scheme}:// are not supported`, {
      hint: "set HTTPS_PROXY to a proxy that speaks http://",
    });
  }
  return {
    ...(http === undefined ? {} : { HTTP_PROXY: withScheme(http) }),
    ...(https === undefined ? {} : { HTTPS_PROXY: withScheme(https) }),
    ...(none === undefined ? {} : { NO_PROXY: none }),
  };
}

/** PEM texts: Node's own list, the machine's, the caller's. */
export function authoritiesOf(environment: UpstreamOptions["environment"], further: readonly string[]): string[] {
  const found = new Set([...getCACertificates("bundled"), ...getCACertificates("system"), ...further]);
  for (const name of AUTHORITY_FILES) {
    const path = environment[name];
    if (path === undefined || path === "") continue;
    try {
      const text = readFileSync(path, "latin1");
      if (text.length > MAX_AUTHORITIES_BYTES) continue;
      for (const pem of text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []) found.add(pem);
    } catch {
      // As the clients do: a bundle that is not there adds nothing.
    }
  }
  return [...found];
}

/**
 * Link-local addresses (RFC 3927, RFC 4291) are never asked: there clouds give
 * their machines credentials, and a script must not have those recorded.
 */
function isLinkLocal(address: string): boolean {
  return (
    address.startsWith("169.254.") ||
    /^fe[89ab][0-9a-f]:/i.test(address) ||
    /^::ffff:(?:169\.254\.|a9fe:)/i.test(address)
  );
}

function refuseLinkLocal(host: string): void {
  const address = host.replace(/^\[|\]$/g, "");
  if (isIP(address) === 0 || !isLinkLocal(address)) return;
  throw new BitforbitError("refused", `${host} is a link-local address: what it answers is about this machine`);
}

function guarded(lookup: LookupFunction): LookupFunction {
  return (host, options, done) => {
    lookup(host, options, (error, address, family) => {
      const addresses = Array.isArray(address) ? address.map((item) => item.address) : [address];
      if (error === null && addresses.some(isLinkLocal)) {
        return done(new BitforbitError("refused", `${host} has a link-local address`), address, family);
      }
      done(error, address, family);
    });
  };
}
