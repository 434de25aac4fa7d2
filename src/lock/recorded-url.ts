/** Addresses of a recording: what of them is shown, what they name. Hosts are never looked at. */
import type { Exchange } from "../record/recording.ts";

/** For people and reports: without user, password, query and fragment, where tokens may stand. */
export function shownUrl(url: string): string {
  const parsed = urlOf(url);
  if (parsed === undefined) return "an address that is none";
  return `${parsed.origin === "null" ? parsed.protocol : parsed.origin}${parsed.pathname}${parsed.search === "" ? "" : "?…"}`;
}

function urlOf(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined;
}

/** The last part of the path, decoded. */
export function fileName(url: string): string {
  const last = (urlOf(url)?.pathname ?? "").split("/").findLast((part) => part !== "") ?? "";
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

const ARCHIVE =
  /\.(?:tar|tgz|tbz2?|txz|tar\.\w+|t?gz|t?bz2|t?xz|zst|zip|jar|war|aar|whl|crate|gem|deb|rpm|nupkg|7z|AppImage|so|exe|dmg|iso|bin|patch|diff)$/i;

/** Whether it is a file that somebody downloads, and no page of an index. */
export function isDownload(url: string): boolean {
  const name = fileName(url);
  // Debian's lists and other indexes are compressed, too.
  return (
    ARCHIVE.test(name) &&
    !/^(?:Packages|Sources|Release|InRelease|Contents|Translation|Components|Commands|index|primary|other|filelists)\b/i.test(
      name,
    )
  );
}

/** From the address that was redirected to, to the one that was asked for. */
export function redirects(exchanges: readonly Exchange[]): Map<string, string> {
  const sources = new Map<string, string>();
  for (const { url, status, headers } of exchanges) {
    const location = status >= 300 && status < 400 ? headers.find(([name]) => name === "location")?.[1] : undefined;
    if (location !== undefined && URL.canParse(location, url)) sources.set(new URL(location, url).href, url);
  }
  return sources;
}

const MAX_REDIRECTS = 20;

/** Where a chain of redirects began: that address is asked for again, those behind it may be made for a moment. */
export function askedUrl(url: string, sources: ReadonlyMap<string, string>): string {
  let asked = url;
  for (let count = 0; count < MAX_REDIRECTS; count++) {
    const before = sources.get(asked);
    if (before === undefined) break;
    asked = before;
  }
  const parsed = urlOf(asked);
  if (parsed === undefined) return asked;
  [parsed.username, parsed.password, parsed.hash] = ["", "", ""];
  return parsed.href;
}

/**
 * What go.mod file an address may be of, as `path version` (Go Modules
 * Reference, "GOPROXY protocol": `$base/$module/@v/$version.mod`), with as many
 * leading parts of the path taken as the base as there may be.
 */
export function goModOf(url: string): string[] {
  const [, path, version] = /^\/(.{1,2000})\/@v\/([^/]{1,200})\.mod$/.exec(urlOf(url)?.pathname ?? "") ?? [];
  if (path === undefined || version === undefined) return [];
  const parts = path.split("/").slice(0, 64);
  return parts.map((_, index) => `${unescaped(parts.slice(index).join("/"))} ${unescaped(version)}`);
}

/** A capital letter is written as `!` and the small one. */
function unescaped(text: string): string {
  return text.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
