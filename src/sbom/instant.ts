import { rfc3339 } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { shown } from "./bom.ts";

/** A time of a document, as UTC in whole seconds: all that SPDX can say. Throws `input` naming `what`. */
export function instantOf(text: string, what: string): string {
  const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;
  const at = form.test(text) ? Date.parse(text.replace(/\.\d+/, "")) : Number.NaN;
  if (Number.isNaN(at)) throw new BitforbitError("input", `${what} is not a time: ${shown(text)}`);
  return rfc3339(at);
}
