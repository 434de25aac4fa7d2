/**
 * Reading Sigstore's signing config v0.2: which services a signer uses. Of each
 * kind those count that are valid now and of a version that we speak; of one
 * operator the newest; and of those as many as the file's selector wants.
 */
import { BitforbitError } from "../errors.ts";
import { type Json, type JsonObject, parseJson } from "../json.ts";
import { fields, list, string } from "./protobuf-json.ts";

export const SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
const MAX_CONFIG = 1 << 20;
const MAX_SERVICES = 64;

/** Addresses of the services that a signer uses. */
export interface SigningServices {
  /** Fulcio's base address. */
  authority: string | undefined;
  /** Each takes timestamp queries by itself, path and all. */
  timestampAuthorities: readonly string[];
  /** Base addresses of logs with Rekor's write API v2. */
  logs: readonly string[];
}

interface Service {
  url: string;
  version: number;
  from: number;
  until: number;
  operator: string;
}

/** The services of a signing config at `now` (milliseconds since 1970). Throws `input` or `limit`, naming `what` and the field. */
export function readSigningConfig(bytes: Uint8Array, what: string, now: number): SigningServices {
  if (bytes.length > MAX_CONFIG) throw new BitforbitError("limit", `${what} is larger than ${MAX_CONFIG} bytes`);
  const config = fields(
    parseJson(bytes, what),
    what,
    ["mediaType"],
    ["caUrls", "oidcUrls", "rekorTlogUrls", "rekorTlogConfig", "tsaUrls", "tsaConfig"],
  );
  if (config["mediaType"] !== SIGNING_CONFIG) {
    throw new BitforbitError("input", `${what}: mediaType is ${shown(config["mediaType"])}, not ${SIGNING_CONFIG}`);
  }
  const valid = (name: string, version: number): Service[] =>
    list(config[name], `${what}: ${name}`, MAX_SERVICES)
      .map((value, at) => readService(value, `${what}: ${name}[${at}]`))
      .filter((service) => service.version === version && service.from <= now && now <= service.until);
  const [authority] = newestOfEach(valid("caUrls", 1));
  return {
    authority: authority?.url,
    timestampAuthorities: chosen(newestOfEach(valid("tsaUrls", 1)), config["tsaConfig"], `${what}: tsaConfig`),
    logs: chosen(newestOfEach(valid("rekorTlogUrls", 2)), config["rekorTlogConfig"], `${what}: rekorTlogConfig`),
  };
}

function readService(value: Json, what: string): Service {
  const service = fields(value, what, ["url", "majorApiVersion", "validFor"], ["operator"]);
  const version = service["majorApiVersion"];
  if (typeof version !== "number") {
    throw new BitforbitError("input", `${what}.majorApiVersion is ${shown(version)}, not a number`);
  }
  const range = fields(service["validFor"], `${what}.validFor`, ["start"], ["end"]);
  return {
    url: string(service, "url", `${what}.url`),
    version,
    from: instant(range, "start", what),
    until: Object.hasOwn(range, "end") ? instant(range, "end", what) : Number.POSITIVE_INFINITY,
    operator: Object.hasOwn(service, "operator") ? string(service, "operator", `${what}.operator`) : "",
  };
}

/** The newest first; two of one operator are no more than one. */
function newestOfEach(services: readonly Service[]): Service[] {
  const sorted = services.toSorted((a, b) => b.from - a.from);
  return sorted.filter(
    ({ operator, url }, at) =>
      sorted.findIndex((other) => other.operator === operator && (operator !== "" || other.url === url)) === at,
  );
}

function chosen(services: readonly Service[], config: Json | undefined, what: string): string[] {
  const { selector, count } = config === undefined ? {} : fields(config, what, ["selector"], ["count"]);
  const urls = services.map(({ url }) => url);
  if (selector === "ALL") return urls;
  if (selector === undefined || selector === "ANY") return urls.slice(0, 1);
  const wanted = typeof count === "number" && Number.isSafeInteger(count) && count > 0 ? count : undefined;
  if (selector !== "EXACT" || wanted === undefined) {
    throw new BitforbitError("input", `${what} is ${shown(config)}: a selector is ANY, ALL, or EXACT with a count`);
  }
  if (wanted > urls.length && urls.length > 0) {
    throw new BitforbitError("input", `${what} wants ${wanted} services, and ${urls.length} are valid now`);
  }
  return urls.slice(0, wanted);
}

function instant(range: JsonObject, name: string, what: string): number {
  const text = string(range, name, `${what}.validFor.${name}`);
  const pattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
  const value = pattern.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(value)) throw new BitforbitError("input", `${what}.validFor.${name} is ${shown(text)}, not a time`);
  return value;
}

const shown = (value: Json | undefined): string => JSON.stringify(value ?? null).slice(0, 120);
