import { type Digest, isDigest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";

/**
 * What names an image: in a registry, by the distribution project's grammar
 * (distribution/reference, "Grammar"),
 *
 *     domain/path[:tag][@digest]        registry.example:5000/team/base:12@sha256:…
 *
 * or in an OCI image layout on disk,
 *
 *     layout:PATH[:tag][@digest]        layout:../images/base:12
 */
export type Reference = RegistryReference | LayoutReference;

export interface RegistryReference {
  type: "registry";
  /** Host and port as they are written: `registry.example`, `[::1]:5000`. */
  domain: string;
  /** Path of the repository. */
  repository: string;
  tag: string | undefined;
  digest: Digest | undefined;
}

export interface LayoutReference {
  type: "layout";
  /** Folder, as it is written. */
  path: string;
  tag: string | undefined;
  digest: Digest | undefined;
}

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** What org.opencontainers.image.ref.name may hold: image-spec, "Pre-Defined Annotation Keys". */
const LAYOUT_TAG = /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,254}$/;
const MAX_NAME = 255;
const MAX_REFERENCE = 4096;

/**
 * Reads a reference. Without a tag and a digest, a registry's tag is `latest`
 * and a layout must hold one image only. Throws `input` for what is no
 * reference, or does not name its registry.
 */
export function parseReference(text: string): Reference {
  if (text.length > MAX_REFERENCE) throw bad(text, `longer than ${MAX_REFERENCE} characters`);
  if (text.startsWith("layout:")) return parseLayout(text);
  const { rest, digest } = withoutDigest(text);
  const slash = rest.lastIndexOf("/");
  const colon = rest.indexOf(":", slash + 1);
  // `host:5000` alone has a colon, too, but no repository.
  const name = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) throw bad(text, `not a tag: ${JSON.stringify(tag.slice(0, 140))}`);
  const first = name.indexOf("/");
  const domain = first < 0 ? "" : name.slice(0, first);
  if (!isDomain(domain)) {
    throw bad(text, "it does not name its registry", `write the host first, as in docker.io/library/${shortest(name)}`);
  }
  if (!DOMAIN.test(domain)) throw bad(text, `not a host: ${JSON.stringify(domain)}`);
  const path = name.slice(first + 1);
  const repository = domain === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  if (!NAME.test(repository)) {
    throw bad(text, `not a repository: ${JSON.stringify(path.slice(0, 200))}`, "repositories are lower case");
  }
  if (domain.length + 1 + repository.length > MAX_NAME) throw bad(text, `a name longer than ${MAX_NAME} characters`);
  return { type: "registry", domain, repository, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

/** distribution/reference, splitDockerDomain: what can be no path component of a repository is a host. */
function isDomain(first: string): boolean {
  return /[.:[]/.test(first) || first === "localhost" || first.toLowerCase() !== first;
}

function shortest(name: string): string {
  return NAME.test(name) ? name : "debian";
}

function parseLayout(text: string): LayoutReference {
  const { rest, digest } = withoutDigest(text);
  const named = rest.slice("layout:".length);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const path = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (path === "" || path.includes("\0")) throw bad(text, "it names no folder");
  if (tag !== undefined && !LAYOUT_TAG.test(tag)) throw bad(text, `not a tag: ${JSON.stringify(tag.slice(0, 260))}`);
  return { type: "layout", path, tag, digest };
}

function withoutDigest(text: string): { rest: string; digest: Digest | undefined } {
  const at = text.lastIndexOf("@");
  if (at < 0 || !/^[A-Za-z][A-Za-z0-9+._-]*:/.test(text.slice(at + 1))) {
    if (at >= 0 && !text.startsWith("layout:")) throw bad(text, "what follows @ is no digest");
    return { rest: text, digest: undefined };
  }
  const digest = text.slice(at + 1);
  if (isDigest(digest)) return { rest: text.slice(0, at), digest };
  const hint = "a digest is 'sha256:' and 64 lower-case hexadecimal digits; others are not supported";
  throw bad(text, `not a digest: ${JSON.stringify(digest.slice(0, 140))}`, hint);
}

function bad(
  text: string,
  what: string,
  hint = "as in registry.example/team/base:12 or layout:PATH:tag",
): BitforbitError {
  return new BitforbitError("input", `${JSON.stringify(text.slice(0, 200))} is no image reference: ${what}`, { hint });
}

/** The reference in writing; `parseReference` gives the same again. */
export function referenceText(reference: Reference, parts: { digest: boolean } = { digest: true }): string {
  const { tag, digest } = reference;
  const name = reference.type === "layout" ? `layout:${reference.path}` : `${reference.domain}/${reference.repository}`;
  return `${name}${tag === undefined ? "" : `:${tag}`}${parts.digest && digest !== undefined ? `@${digest}` : ""}`;
}

/** Where the registry of a domain is asked. docker.io is a name, not a host. */
export function registryHost(domain: string): string {
  return domain === "docker.io" ? "registry-1.docker.io" : domain;
}

/** Whether a host with or without port is this machine itself, which no one can listen to. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}
