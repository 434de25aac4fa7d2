/** The text of a leaf's sides, for views that show lines: whole where the bytes are there, else the shown value. */
import { utf8Text } from "../bytes.ts";
import type { Leaf } from "./difference.ts";

export interface SideText {
  lines: string[];
  /** The last line has no line end. */
  open: boolean;
}

/** Lines of one side; undefined where it has none, or none that are text. */
export function sideText(leaf: Leaf, side: "a" | "b"): SideText | undefined {
  const text = fullText(leaf, side);
  if (text === undefined) return undefined;
  const lines = text.split("\n");
  const open = lines.at(-1) !== "";
  if (!open) lines.pop();
  return { lines, open };
}

/** The text of one side as it is: of a text leaf all that its bytes hold, else its value. */
export function fullText(leaf: Leaf, side: "a" | "b"): string | undefined {
  const value = side === "a" ? leaf.a : leaf.b;
  const bytes = side === "a" ? leaf.bytesA : leaf.bytesB;
  const only = leaf.what === "only-a" || leaf.what === "only-b";
  if (
    bytes !== undefined &&
    (only || ((leaf.what === "text" || leaf.what === "order") && (value === undefined || value.endsWith("…"))))
  ) {
    const text = utf8Text(bytes);
    if (only) return text === undefined || text === "" || /[\0-\x08\x0e-\x1a]/.test(text) ? undefined : text;
    return text ?? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  }
  return only || value === "" ? undefined : value;
}

/** Listings that say the same say nothing: then the bytes are shown. */
function isListing(leaf: Leaf): boolean {
  return leaf.listing === true && leaf.a !== leaf.b;
}

/** Whether a leaf is shown as lines: text, listings, values of more than one line. */
export function isLines(leaf: Leaf): boolean {
  if (leaf.what === "text" || leaf.what === "order" || isListing(leaf)) return true;
  return leaf.what === "field" && [leaf.a, leaf.b].some((value) => value?.trimEnd().includes("\n") === true);
}

/** Whether a leaf has bytes that say more than its values: no field with values, nothing that only follows. */
export function isHex(leaf: Leaf): boolean {
  if (leaf.bytesA === undefined && leaf.bytesB === undefined) return false;
  if (isListing(leaf)) return false;
  if (leaf.what === "bytes") return true;
  if (leaf.what === "only-a" || leaf.what === "only-b")
    return sideText(leaf, leaf.what === "only-a" ? "a" : "b") === undefined;
  if (leaf.what !== "field" || leaf.field === "derived" || isLines(leaf)) return false;
  return leaf.a === leaf.b;
}
