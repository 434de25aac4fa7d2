/**
 * Whether a source's URI is one that `allowed` names: the same, or beginning
 * with what stands before a final `*`. A `*` never covers a path that climbs
 * (`..`), is escaped, or has a query, since a server may read such a URI as
 * another place.
 */
export function sourceAllowed(uri: string, allowed: string): boolean {
  if (!allowed.endsWith("*")) return uri === allowed;
  const prefix = allowed.slice(0, -1);
  if (!uri.startsWith(prefix)) return false;
  return prefix === "" || !/\.\.|[%?#\\@\s]/.test(uri.slice(prefix.length));
}
