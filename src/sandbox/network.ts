import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { sortedBy } from "../order.ts";

/**
 * What of the caller's environment enters a sandbox that has the network, so
 * that a project's own client reaches the registries that the caller reaches:
 * proxies, certificate authorities, registry addresses. Nothing else enters,
 * and nothing at all enters a sandbox without network.
 */
const PASSED: readonly RegExp[] = [
  /^(?:https?|ftp|all|no)_proxy$/i,
  /^(?:SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO)$/,
  /^PIP_(?:INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT|CLIENT_CERT|FIND_LINKS|NO_INDEX|PROXY|DEFAULT_TIMEOUT|RETRIES|DISABLE_PIP_VERSION_CHECK)$/,
  /^UV_(?:INDEX_URL|DEFAULT_INDEX|INDEX|EXTRA_INDEX_URL|NATIVE_TLS|SYSTEM_CERTS)$/,
  /^npm_config_(?:registry|.*:registry|cafile|ca|proxy|https_proxy|https-proxy|noproxy|strict_ssl|strict-ssl|fetch_.*|fetch-.*|maxsockets)$/i,
  /^(?:GOPROXY|GONOSUMDB|GONOSUMCHECK|GONOPROXY|GOPRIVATE|GOSUMDB|GOINSECURE|GOFLAGS|GOVCS)$/,
  /^CARGO_(?:NET|HTTP|REGISTRIES|REGISTRY|SOURCE)_\w+$/,
  /^MAVEN_(?:OPTS|ARGS)$/,
];

/** Client configuration, by its place below HOME, read-only. What lies in /etc is seen to by `rootfs.ts`. */
const HOME_FILES = [
  ".npmrc",
  ".config/pip/pip.conf",
  ".pip/pip.conf",
  ".config/uv/uv.toml",
  ".cargo/config.toml",
  ".cargo/config",
  ".m2/settings.xml",
  ".config/go/env",
];
const MAX_FILE_BYTES = 1 << 20;

export interface NetworkConfiguration {
  environment: Record<string, string>;
  /** Files by their path inside; content is copied, since the build may not read the caller's own file. */
  files: { to: string; content: Buffer }[];
  /** Paths that the variables name, shown at their own place. */
  paths: string[];
}

/** Collects the caller's network configuration; `home` is HOME inside the sandbox. */
export function networkConfiguration(
  home: string,
  caller: Readonly<Record<string, string | undefined>> = process.env,
): NetworkConfiguration {
  const environment: Record<string, string> = {};
  const paths: string[] = [];
  for (const [name, value] of sortedBy(Object.entries(caller), ([key]) => key)) {
    if (value === undefined || !PASSED.some((pattern) => pattern.test(name))) continue;
    environment[name] = value;
    for (const path of value.split(/[\s:]+/)) if (isAbsolute(path) && isShowable(path)) paths.push(path);
  }
  const files: NetworkConfiguration["files"] = [];
  const take = (from: string, to: string): void => {
    try {
      if (statSync(from).isFile() && statSync(from).size <= MAX_FILE_BYTES)
        files.push({ to, content: readFileSync(from) });
    } catch {
      // Not there, or not ours to read.
    }
  };
  for (const name of HOME_FILES) take(join(homedir(), name), join(home, name));
  return { environment, files, paths: [...new Set(paths)] };
}

/** A certificate or package folder may be shown; a whole home, or the root, may not. */
function isShowable(path: string): boolean {
  if (["/", homedir(), "/root", "/home", "/etc", "/var", "/proc", "/sys", "/dev", "/run", "/tmp"].includes(path))
    return false;
  if (/^\/(?:proc|sys|dev|usr|etc\/ssl\/certs)(?:\/|$)/.test(path)) return false;
  return existsSync(path);
}
