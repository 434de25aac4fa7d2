import { basename, resolve } from "node:path";
import { BitforbitError } from "../errors.ts";
import type { Comparison } from "./comparison.ts";
import type { Difference, Leaf } from "./difference.ts";
import { diffDirectories } from "./directory.ts";
import { betweenFiles } from "./files.ts";
import { diffImages, mergedImages } from "./image-compare.ts";
import type { ImageInput } from "./image-named.ts";
import { type OpenedImage, openImage } from "./image.ts";

type Named = readonly [text: string, input: ImageInput | undefined];

/**
 * Compares two inputs of which one at least is an image; undefined when a file
 * or folder that happens to be one stands against something else, which is
 * then compared as any other. Throws `input` when a reference does.
 */
export async function diffImageInputs(
  comparison: Comparison,
  [textA, a]: Named,
  [textB, b]: Named,
): Promise<{ difference: Difference | undefined } | undefined> {
  if (a === undefined || b === undefined) {
    const [text, input, other] = a === undefined ? [textB, b, textA] : [textA, a, textB];
    if (input?.type !== "registry") return undefined;
    throw new BitforbitError("input", `${text} is an image, and ${other} is none`, {
      hint: "an image is compared with a reference, a layout's folder, or an archive of either docker or OCI",
    });
  }
  const path = [a.type === "registry" ? textA : basename(resolve(a.path))];
  const { temporary, images } = comparison.bounds;
  const options = { temporary, ...images };
  const left = await openImage(a, options);
  try {
    const right = await openImage(b, options);
    try {
      return { difference: await between(comparison, { input: a, image: left }, { input: b, image: right }, path) };
    } finally {
      right.close();
    }
  } finally {
    left.close();
  }
}

interface Side {
  input: ImageInput;
  image: OpenedImage;
}

async function between(comparison: Comparison, a: Side, b: Side, path: string[]): Promise<Difference | undefined> {
  if (a.input.type === "archive" && b.input.type === "archive" && comparison.bounds.images.platform === undefined) {
    return await archives(comparison, a.input.path, b.input.path, a.image, b.image, path);
  }
  const found = await diffImages(comparison, a.image, b.image, path);
  const every = comparison.bounds.images.platform === undefined;
  const whole = every && a.input.type === "layout" && b.input.type === "layout" && !chosen(a.input) && !chosen(b.input);
  if (a.input.type !== "layout" || b.input.type !== "layout" || !whole) return found;
  const rest = await otherFiles(comparison, a.input.path, b.input.path, [a.image.files, b.image.files]);
  if (rest.length === 0) return found;
  return { kind: "node", path, format: "image", children: [...(found?.children ?? []), ...rest] };
}

function chosen(input: ImageInput & { type: "layout" }): boolean {
  return input.reference?.tag !== undefined || input.reference?.digest !== undefined;
}

/** Two archives byte by byte, their members told by what they are; then what all layers amount to. */
async function archives(
  comparison: Comparison,
  a: string,
  b: string,
  imageA: OpenedImage,
  imageB: OpenedImage,
  path: string[],
): Promise<Difference | undefined> {
  const found = await betweenFiles(a, b, undefined, async (left, right) => {
    return await comparison.descend(left, right, path, 0);
  });
  if (found === undefined) return undefined;
  const merged = await mergedImages(comparison, imageA, imageB, path);
  return merged.length === 0 ? found : { kind: "node", path, format: "image", children: [found, ...merged] };
}

/** What a layout's folder has beside the image: blobs that nothing names, a README. */
async function otherFiles(
  comparison: Comparison,
  a: string,
  b: string,
  known: readonly ReadonlySet<string>[],
): Promise<(Difference | Leaf)[]> {
  const { bounds } = comparison;
  const isKnown = (file: string): boolean => known.some((files) => files.has(file));
  const excluded = (file: string): boolean => isKnown(file) || bounds.excluded(file);
  const rest: Comparison = { ...comparison, bounds: { ...bounds, excluded } };
  const found = await diffDirectories(rest, Buffer.from(a), Buffer.from(b), []);
  comparison.leaves = Math.max(comparison.leaves, rest.leaves);
  return found?.children ?? [];
}
