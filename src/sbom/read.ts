/** Reads a bill of materials in any of the forms that are read. */
import { BitforbitError } from "../errors.ts";
import { isObject, parseJson } from "../json.ts";
import type { ReadBom } from "./bom.ts";
import { readCycloneDx } from "./cyclonedx-read.ts";
import { readSpdx } from "./spdx-read.ts";

/** CycloneDX 1.4–1.6 or SPDX 2.2–2.3, JSON. Throws `input` naming `what` and the field. */
export function readBom(bytes: Uint8Array, what: string): ReadBom {
  const document = parseJson(bytes, what);
  try {
    if (isObject(document) && Object.hasOwn(document, "bomFormat")) return readCycloneDx(document);
    if (isObject(document) && Object.hasOwn(document, "spdxVersion")) return readSpdx(document);
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    throw new BitforbitError(error.code, `${what}: ${error.message}`, { ...hint, cause: error });
  }
  throw new BitforbitError("input", `${what} is neither CycloneDX nor SPDX in JSON`, {
    hint: "a CycloneDX document has bomFormat, an SPDX 2.3 document spdxVersion; SPDX 3, XML and tag-value are not read",
  });
}
