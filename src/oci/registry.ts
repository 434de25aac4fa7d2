/**
 * A client of registries: OCI distribution-spec 1.1, "Pulling manifests" and
 * "Pulling blobs". All goes through `request`, which knows authorization and
 * scopes, so that pushing and referrers are further paths, not another client.
 */
import { neutralised, showable } from "../bytes.ts";
import { type Digest, digestOf, isDigest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { isObject, parseJson } from "../json.ts";
import { authorize } from "./authorization.ts";
import { credentialsOfClients, type FindCredentials } from "./credentials.ts";
import { backOff, Broken, checkScheme, exchange, type HttpAnswer, type HttpOptions, sleep, wholeBody } from "./http.ts";
import { ACCEPTED, type BlobDescriptor, MAX_MANIFEST_BYTES } from "./manifest.ts";
import { isLoopback, registryHost } from "./reference.ts";

export interface RegistryOptions extends HttpOptions {
  /** Those that docker, podman and skopeo use, by default. */
  credentials?: FindCredentials;
}

export interface ManifestBytes {
  bytes: Uint8Array;
  digest: Digest;
  /** The Content-Type, without parameters. */
  mediaType: string | undefined;
}

export interface Registry {
  /** As references write it. */
  readonly domain: string;
  /**
   * The manifest or index of a tag or digest, whose digest was checked when
   * one is asked for. Throws `outside` when there is none, `limit` over 4 MiB.
   */
  manifest(repository: string, reference: string): Promise<ManifestBytes>;
  /**
   * The bytes of a blob: exactly `size` of them, or it throws `outside`. A
   * connection that breaks is taken up again where it broke. Whoever takes
   * them checks the digest.
   */
  blob(repository: string, blob: Pick<BlobDescriptor, "digest" | "size">): AsyncGenerator<Uint8Array>;
}

/** Opens the registry of a domain; nothing is asked yet. */
export function openRegistry(domain: string, options: RegistryOptions = {}): Registry {
  const host = registryHost(domain);
  let base: Promise<URL> | undefined;
  let authorization: ReturnType<typeof authorize> | undefined;

  async function request(scope: string, path: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    base ??= baseOf(host, options);
    const root = await base;
    authorization ??= authorize(domain, root, options.credentials ?? credentialsOfClients(), options);
    const call = { method: "GET", url: new URL(path, root), headers };
    const answer = await exchange({ ...call, authorization: authorization.known(scope) }, options);
    // A 401 of another host is about its own rights, which ours do not touch.
    if (answer.status !== 401 || answer.url.origin !== root.origin) return answer;
    await answer.close();
    const header = await authorization.answer(scope, answer.headers.get("www-authenticate"));
    return await exchange({ ...call, authorization: header }, options);
  }

  async function manifest(repository: string, reference: string): Promise<ManifestBytes> {
    const what = `${domain}/${repository}${isDigest(reference) ? "@" : ":"}${reference}`;
    for (let attempt = 1; ; attempt++) {
      const path = `/v2/${repository}/manifests/${reference}`;
      const answer = await request(pulling(repository), path, { accept: ACCEPTED.join(", ") });
      if (answer.status !== 200) throw await refusal(answer, what);
      refuseHtml(answer, what);
      let bytes: Uint8Array;
      try {
        bytes = await wholeBody(answer, MAX_MANIFEST_BYTES, `the manifest of ${what}`);
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        if (attempt >= (options.attempts ?? 5)) throw error.told();
        await (options.pause ?? sleep(options.signal))(backOff(attempt));
        continue;
      }
      return checkedManifest(answer, bytes, reference, what);
    }
  }

  async function* blob(
    repository: string,
    { digest, size }: { digest: Digest; size: number },
  ): AsyncGenerator<Uint8Array> {
    const what = `${domain}/${repository}@${digest}`;
    let offset = 0;
    for (let failures = 0; ;) {
      const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-${size - 1}` };
      const answer = await request(pulling(repository), `/v2/${repository}/blobs/${digest}`, headers);
      const start = await startOf(answer, offset, what);
      const before = offset;
      try {
        for await (const chunk of answer.chunks()) {
          const skip = Math.max(0, before - start.taken);
          start.taken += chunk.length;
          if (start.taken > size) throw tooLong(what, size);
          if (skip >= chunk.length) continue;
          offset = start.taken;
          yield skip === 0 ? chunk : chunk.subarray(skip);
        }
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        if (size > 0 && offset === size) return;
        failures = offset > before ? 1 : failures + 1;
        if (failures >= (options.attempts ?? 5)) throw error.told();
        await (options.pause ?? sleep(options.signal))(backOff(failures));
        continue;
      }
      if (offset >= size) return;
      throw new BitforbitError("outside", `${answer.url.host} sends ${offset} bytes for ${what}, which has ${size}`);
    }
  }

  return { domain, manifest, blob };
}

export function pulling(repository: string): string {
  return `repository:${repository}:pull`;
}

/**
 * TLS, except where plain http was asked for. This machine's own registries
 * mostly speak plain http, so there one that speaks it is believed.
 */
async function baseOf(host: string, options: HttpOptions): Promise<URL> {
  const [plain, secure] = [new URL(`http://${host}/`), new URL(`https://${host}/`)];
  if ((options.plainHttp ?? []).includes(host)) return plain;
  if (!isLoopback(host)) return secure;
  checkScheme(plain, options);
  try {
    const answer = await exchange(
      { method: "GET", url: new URL("/v2/", plain), headers: {} },
      { ...options, attempts: 1 },
    );
    await answer.close();
    // What a TLS server says to one who speaks plain http.
    return answer.status === 400 ? secure : plain;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof BitforbitError && /ECONNREFUSED/.test(error.message)) throw error;
    return error instanceof BitforbitError && /answers \d/.test(error.message) ? plain : secure;
  }
}

function checkedManifest(answer: HttpAnswer, bytes: Uint8Array, reference: string, what: string): ManifestBytes {
  const digest = digestOf(bytes);
  const stated = answer.headers.get("docker-content-digest");
  const wanted = isDigest(reference) ? reference : stated !== null && isDigest(stated) ? stated : digest;
  if (digest !== wanted) {
    throw new BitforbitError("outside", `${answer.url.host} sends a manifest with digest ${digest} for ${what}`, {
      hint: isDigest(reference) ? "something changed it on the way" : `it states ${wanted} itself`,
    });
  }
  const type = answer.headers.get("content-type")?.split(";")[0]?.trim();
  return { bytes, digest, mediaType: type };
}

/** Where the answer's bytes begin in the blob: a server may ignore the range. */
async function startOf(answer: HttpAnswer, offset: number, what: string): Promise<{ taken: number }> {
  if (answer.status === 200) {
    refuseHtml(answer, what);
    return { taken: 0 };
  }
  if (answer.status !== 206) throw await refusal(answer, what);
  const start = /^bytes (\d{1,15})-/.exec(answer.headers.get("content-range") ?? "")?.[1];
  if (offset > 0 && start !== undefined && Number(start) === offset) return { taken: offset };
  await answer.close();
  throw new BitforbitError("outside", `${answer.url.host} sends another part of ${what} than was asked for`);
}

function tooLong(what: string, size: number): BitforbitError {
  return new BitforbitError("outside", `more than the ${size} bytes come for ${what}`, {
    hint: "the manifest or the registry lies about its size",
  });
}

function refuseHtml(answer: HttpAnswer, what: string): void {
  if (!/^text\/html\b/i.test(answer.headers.get("content-type") ?? "")) return;
  void answer.close();
  throw new BitforbitError("outside", `${answer.url.host} answers with a web page when asked for ${what}`, {
    hint: "is it a registry, and is no sign-in page or proxy in between?",
  });
}

/** The error for an answer that is not what was asked for, with what the registry says of it. */
async function refusal(answer: HttpAnswer, what: string): Promise<BitforbitError> {
  const said = await reasonIn(answer);
  const { status } = answer;
  const from = answer.url.host;
  if (status === 404) return new BitforbitError("outside", `there is no ${what}: ${from} answers 404${said}`);
  if (status === 401 || status === 403) {
    return new BitforbitError("outside", `${from} does not let us read ${what}: ${status}${said}`, {
      hint: `docker login ${what.split("/")[0]}; registries also answer so for what does not exist`,
    });
  }
  return new BitforbitError("outside", `${from} answers ${status} when asked for ${what}${said}`);
}

/** distribution-spec, "Error Codes". */
async function reasonIn(answer: HttpAnswer): Promise<string> {
  try {
    const bytes = await wholeBody(answer, 64 << 10, "an error");
    const value = parseJson(bytes, "an error");
    const [first] = isObject(value) && Array.isArray(value["errors"]) ? value["errors"] : [];
    if (!isObject(first)) return "";
    const text = [first["code"], first["message"]].filter((part) => typeof part === "string").join(": ");
    return text === "" ? "" : ` (${neutralised(showable(Buffer.from(text))).slice(0, 200)})`;
  } catch {
    return "";
  }
}
