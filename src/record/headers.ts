/** Which headers pass the proxy, and which are recorded. */

/** RFC 9110, section 7.6.1, and what is between a client and a proxy only. */
const HOP_BY_HOP = new Set([
  "connection",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Requests for a part, or for news only, become requests for the whole: what is recorded is whole. */
const PARTIAL = new Set(["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"]);

/** What clients act on. No dates, no cookies, no names of machines on the way. */
const RECORDED = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type",
  "etag",
  "last-modified",
  "link",
  "location",
  "vary",
  "www-authenticate",
]);
const RECORDED_FAMILIES = /^(?:docker-|x-pypi-|x-checksum-|x-amz-meta-|x-go-)/;
const MAX_VALUE = 16 << 10;

type Pairs = [name: string, value: string][];

/** Names and values of a raw list, names in lower case. */
export function pairsOf(raw: readonly string[]): Pairs {
  const pairs: Pairs = [];
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([(raw[at] ?? "").toLowerCase(), raw[at + 1] ?? ""]);
  return pairs;
}

/** End-to-end headers only. `Connection` may name more that are not. */
export function endToEnd(raw: readonly string[]): Pairs {
  const pairs = pairsOf(raw);
  const named = pairs
    .filter(([name]) => name === "connection")
    .flatMap(([, value]) => value.toLowerCase().split(/[\s,]+/));
  return pairs.filter(([name]) => !HOP_BY_HOP.has(name) && !named.includes(name));
}

/** What is sent upstream of a client's headers. */
export function upstreamHeaders(raw: readonly string[], url: string): Pairs {
  const pairs = endToEnd(raw).filter(([name]) => name !== "host" && !PARTIAL.has(name));
  return [["host", new URL(url).host], ...pairs];
}

/** What is recorded of an answer, in order of name. HEAD's has the length of what GET would give. */
export function recordedHeaders(raw: readonly string[], method: string): Pairs {
  return endToEnd(raw)
    .filter(([name, value]) => isRecorded(name, method) && value.length <= MAX_VALUE)
    .map(([name, value]): [string, string] => [name, value.replace(/[^\t\x20-\x7e\x80-\xff]/g, "")])
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function isRecorded(name: string, method: string): boolean {
  return RECORDED.has(name) || RECORDED_FAMILIES.test(name) || (method === "HEAD" && name === "content-length");
}

/** First value of a header. */
export function headerOf(pairs: readonly (readonly [string, string])[], name: string): string | undefined {
  return pairs.find(([key]) => key === name)?.[1];
}
