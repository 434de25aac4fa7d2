/** What makes the ecosystems' clients use the proxy and trust its authority: their own settings, nothing patched. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { getCACertificates } from "node:tls";
import type { Authority } from "./authority.ts";
import { javaTrustStore, KEYSTORE_PASSWORD } from "./keystore.ts";

/** Variables and files for the inside of a sandbox. */
export interface ClientConfiguration {
  environment: Record<string, string>;
  files: { to: string; content: Buffer }[];
}

export interface ClientSettingsOptions {
  authority: Pick<Authority, "pem" | "der">;
  /** Where the proxy listens inside: "http://127.0.0.1:3128". */
  proxy: string;
  /** Absolute folder inside for our own files. */
  folder: string;
  /** HOME inside. */
  home: string;
  /** The caller's configuration (registries, credentials, mirrors), which stays; its proxies and authorities become the proxy's. */
  base?: ClientConfiguration;
  /** For a replay: what asks anew by its nature is told not to, since the recording holds what was checked. */
  replay?: boolean;
  /** PEM text that the authority is appended to. Default: this machine's bundle. */
  bundle?: string;
}

const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Variables of the caller's that would lead past the proxy, or to other authorities. */
const REPLACED: readonly RegExp[] = [
  /^(?:https?|ftp|all|no)_proxy$/i,
  /^(?:SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO)$/,
  /^(?:PIP_CERT|PIP_PROXY|CARGO_HTTP_PROXY|CARGO_HTTP_CAINFO|CARGO_HTTP_MULTIPLEXING)$/,
  /^npm_config_(?:proxy|https[-_]proxy|http[-_]proxy|noproxy|cafile|ca)$/i,
];

/**
 * Settings for npm, yarn, pip, uv, cargo, go, Maven and other Java programs,
 * curl, wget, git over HTTPS, apt, Node's own fetch, Python's requests and
 * urllib. What listens at localhost inside is asked directly, unless a
 * registry of the caller's has such an address: then that goes to the proxy.
 */
export function clientSettings(options: ClientSettingsOptions): ClientConfiguration {
  const { authority, proxy, folder, home } = options;
  const base = options.base ?? { environment: {}, files: [] };
  const file = (name: string): string => posix.join(folder, name);
  const direct = namesLocalhost(base) ? [] : ["localhost", "127.0.0.1", "::1"];
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(base.environment)) {
    if (!REPLACED.some((pattern) => pattern.test(name))) environment[name] = value;
  }
  if (environment["MAVEN_OPTS"] !== undefined)
    environment["MAVEN_OPTS"] = withoutJavaNetwork(environment["MAVEN_OPTS"]);
  for (const name of ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"]) environment[name] = proxy;
  for (const name of ["no_proxy", "NO_PROXY"]) environment[name] = direct.join(",");
  for (const name of ["PIP_PROXY", "CARGO_HTTP_PROXY", "npm_config_proxy", "npm_config_https_proxy"])
    environment[name] = proxy;
  for (const name of ["YARN_HTTP_PROXY", "YARN_HTTPS_PROXY"]) environment[name] = proxy;
  const bundle = file("authorities.pem");
  for (const name of BUNDLE_VARIABLES) environment[name] = bundle;
  Object.assign(environment, {
    // An empty value would leave what a configuration file says.
    npm_config_noproxy: direct.join(",") || "none.invalid",
    NODE_USE_ENV_PROXY: "1",
    // The proxy speaks HTTP/1.1: one request a connection at a time.
    CARGO_HTTP_MULTIPLEXING: "false",
    // News of the clients themselves is no material.
    npm_config_update_notifier: "false",
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    // Which tiles of the checksum database Go asks for differs from run to run; go.sum still holds.
    ...(options.replay === true ? { GOSUMDB: "off" } : {}),
    JAVA_TOOL_OPTIONS: javaOptions(proxy, file("authorities.jks"), direct),
    WGETRC: file("wgetrc"),
    APT_CONFIG: file("apt.conf"),
  });
  const own = {
    "authorities.pem": `${(options.bundle ?? systemBundle()).trimEnd()}\n${authority.pem}`,
    "authorities.jks": javaTrustStore([{ alias: "bitforbit", der: authority.der }]),
    wgetrc: `ca_certificate = ${bundle}\nuse_proxy = on\nhttp_proxy = ${proxy}\nhttps_proxy = ${proxy}\nno_proxy = ${direct.join(",")}\n`,
    "apt.conf": `Acquire::http::Proxy "${proxy}";\nAcquire::https::Proxy "${proxy}";\nAcquire::https::CaInfo "${bundle}";\n`,
  };
  const settings = join(home, ".m2/settings.xml");
  const files = [
    ...Object.entries(own).map(([name, content]) => ({ to: file(name), content: Buffer.from(content) })),
    ...base.files
      .filter(({ to }) => to !== settings)
      .map((one) => (one.to.endsWith("npmrc") ? withoutNpmNetwork(one) : one)),
    {
      to: settings,
      content: Buffer.from(mavenSettings(base.files.find(({ to }) => to === settings)?.content, proxy, direct)),
    },
  ];
  return { environment, files };
}

const BUNDLE_VARIABLES = [
  "SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "PIP_CERT",
  "CARGO_HTTP_CAINFO",
  "npm_config_cafile",
  "DENO_CERT",
];

function systemBundle(): string {
  for (const path of BUNDLES) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      // Another distribution's place.
    }
  }
  return getCACertificates("bundled").join("\n");
}

function namesLocalhost({ environment, files }: ClientConfiguration): boolean {
  const pattern = /\/\/(?:[^/@\s"']*@)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])[:/\s"']/;
  return (
    Object.entries(environment).some(
      ([name, value]) => !REPLACED.some((one) => one.test(name)) && pattern.test(`${value} `),
    ) || files.some(({ content }) => pattern.test(content.toString("latin1")))
  );
}

/** Java Networking and Proxies; JSSE Reference Guide, "Customizing the Default Trust Store". */
function javaOptions(proxy: string, store: string, direct: readonly string[]): string {
  const { hostname, port } = new URL(proxy);
  return [
    ...["http", "https"].flatMap((scheme) => [`-D${scheme}.proxyHost=${hostname}`, `-D${scheme}.proxyPort=${port}`]),
    `-Dhttp.nonProxyHosts=${javaDirect(direct)}`,
    `-Djavax.net.ssl.trustStore=${store}`,
    "-Djavax.net.ssl.trustStoreType=jks",
    `-Djavax.net.ssl.trustStorePassword=${KEYSTORE_PASSWORD}`,
  ].join(" ");
}

function javaDirect(direct: readonly string[]): string {
  return direct.map((host) => (host.includes(":") ? `[${host}]` : host)).join("|");
}

/** What a command line says of proxies and trust comes after JAVA_TOOL_OPTIONS and would win. */
function withoutJavaNetwork(options: string): string {
  return options
    .split(/\s+/)
    .filter(
      (option) =>
        !/^-D(?:https?\.(?:proxy|nonProxy)|javax\.net\.ssl\.trustStore|java\.net\.useSystemProxies)/.test(option),
    )
    .join(" ");
}

function withoutNpmNetwork(file: ClientConfiguration["files"][number]): ClientConfiguration["files"][number] {
  const lines = file.content.toString("utf8").split("\n");
  const kept = lines.filter((line) => !/^\s*(?:proxy|https?-proxy|noproxy|cafile|ca(?:\[\])?)\s*=/i.test(line));
  return { ...file, content: Buffer.from(kept.join("\n")) };
}

/** Maven's own proxies (Settings Reference, "Proxies"): its newer transports do not look at Java's properties. */
function mavenSettings(caller: Buffer | undefined, proxy: string, direct: readonly string[]): string {
  const { hostname, port } = new URL(proxy);
  const one = (scheme: string): string =>
    `<proxy><id>recording-${scheme}</id><active>true</active><protocol>${scheme}</protocol><host>${hostname}</host>` +
    `<port>${port}</port><nonProxyHosts>${javaDirect(direct)}</nonProxyHosts></proxy>`;
  const proxies = `<proxies>${one("http")}${one("https")}</proxies>`;
  const text =
    caller?.toString("utf8").replace(/<proxies>[\s\S]*?<\/proxies>|<proxies\s*\/>/g, "") ?? "<settings></settings>";
  return text
    .replace(/<settings([^>]*?)\/>/, "<settings$1></settings>")
    .replace(/<\/settings>\s*$/, `${proxies}</settings>\n`);
}
