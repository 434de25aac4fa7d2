/** The two small files that make a folder an image layout: image-spec 1.1, "OCI Image Layout". */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDurable } from "../durable.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { canonicalJson, isObject, parseJson } from "../json.ts";
import { emptyIndex, type Index, indexBytes, parseIndex } from "./manifest.ts";

const VERSION = "1.0.0";

/**
 * Makes `folder` a layout unless it is one. `oci-layout` comes last: where it
 * is, `index.json` was, and its absence is damage that must not be papered over
 * with an empty one. Throws `input` for another version of the layout.
 */
export async function ensureLayout(folder: string): Promise<void> {
  const path = join(folder, "oci-layout");
  const bytes = await readIfThere(path);
  if (bytes === undefined) {
    await createDurable(join(folder, "index.json"), indexBytes(emptyIndex));
    await createDurable(path, canonicalJson({ imageLayoutVersion: VERSION }));
    return;
  }
  const layout = parseJson(bytes, path);
  const version = isObject(layout) ? layout["imageLayoutVersion"] : undefined;
  if (version === VERSION) return;
  throw new BitforbitError("input", `${path}: image layout version ${JSON.stringify(version) ?? "missing"}`, {
    hint: `this bitforbit reads image layouts of version ${VERSION}: is the folder a store, and not of a newer one?`,
  });
}

/** Reads `index.json` of the layout in `folder`. Throws `input` when it is missing or broken. */
export async function readIndex(folder: string): Promise<Index> {
  const path = join(folder, "index.json");
  const hint = "restore index.json from a copy; the blobs beside it are untouched";
  const bytes = await readIfThere(path);
  if (bytes === undefined) throw new BitforbitError("input", `${path} is missing`, { hint });
  try {
    return parseIndex(bytes, path);
  } catch (error) {
    throw new BitforbitError("input", messageOf(error), { cause: error, hint });
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
