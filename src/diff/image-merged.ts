import { showable } from "../bytes.ts";
import { equalSources, partOf } from "../bytesource.ts";
import type { FileNode, FolderNode, LayerNode, LayerTree } from "../oci/layers.ts";
import { type Comparison, counted, isFull } from "./comparison.ts";
import type { Leaf } from "./difference.ts";

const MAX_TOLD = 2000;

/** A leaf for each path that differs in two roots: kinds, permission bits, times, targets, contents. Leaves hold no bytes. */
export function mergedLeaves(comparison: Comparison, a: LayerTree, b: LayerTree, path: string[]): Leaf[] {
  const leaves: Leaf[] = [];
  let untold = 0;
  const tell = (at: string, field: string | undefined, what: Leaf["what"], left?: string, right?: string): void => {
    if (leaves.length >= MAX_TOLD || isFull(comparison)) return void untold++;
    const leaf: Leaf = { kind: "leaf", path: [...path, at], what, ranges: [] };
    if (field !== undefined) leaf.field = field;
    if (left !== undefined) leaf.a = left;
    if (right !== undefined) leaf.b = right;
    leaves.push(counted(comparison, leaf));
  };
  folders(a.root, b.root, "", tell);
  const note = `${untold} more paths differ`;
  if (untold > 0)
    leaves.push(counted(comparison, { kind: "leaf", path, what: "field", field: "paths", ranges: [], note }));
  return leaves;
}

type Tell = (at: string, field: string | undefined, what: Leaf["what"], left?: string, right?: string) => void;

/** Layers are no deeper than `LAYER_LIMITS.maxDepth`. */
function folders(a: FolderNode, b: FolderNode, above: string, tell: Tell): void {
  const names = new Set([...a.children.keys(), ...b.children.keys()]);
  for (const name of [...names].sort()) {
    const at = above + showable(Buffer.from(name, "latin1"));
    const [one, other] = [a.children.get(name)?.node, b.children.get(name)?.node];
    if (one === undefined && other !== undefined) tell(at, undefined, "only-b", undefined, kindText(other));
    else if (one !== undefined && other === undefined) tell(at, undefined, "only-a", kindText(one));
    else if (one !== undefined && other !== undefined) nodes(one, other, at, tell);
  }
}

function nodes(one: LayerNode, other: LayerNode, at: string, tell: Tell): void {
  const differs = (field: string, left: string, right: string): void => {
    if (left !== right) tell(at, field, "field", left, right);
  };
  if (one.type !== other.type) return tell(at, undefined, "type", kindText(one), kindText(other));
  differs("mtime", String(one.mtime), String(other.mtime));
  if (one.type === "link" && other.type === "link") {
    return differs("link", showable(Buffer.from(one.target, "latin1")), showable(Buffer.from(other.target, "latin1")));
  }
  if (one.type !== "link" && other.type !== "link") differs("mode", octal(one.mode), octal(other.mode));
  if (one.type === "folder" && other.type === "folder") folders(one, other, `${at}/`, tell);
  if (one.type === "file" && other.type === "file" && !sameContent(one, other)) {
    tell(at, "content", "field", `${one.size} bytes`, `${other.size} bytes`);
  }
}

function sameContent(one: FileNode, other: FileNode): boolean {
  if (one.size !== other.size) return false;
  if (one.pieces === undefined && other.pieces === undefined) {
    return equalSources(partOf(one.source, one.at, one.size), partOf(other.source, other.at, other.size));
  }
  const [left, right] = [one.pieces ?? [], other.pieces ?? []];
  // Sparse in different ways counts as different: the layers say how.
  return (
    left.length === right.length &&
    left.every((piece, at) => {
      const twin = right[at];
      return (
        twin !== undefined &&
        piece.offset === twin.offset &&
        piece.length === twin.length &&
        equalSources(partOf(one.source, piece.at, piece.length), partOf(other.source, twin.at, twin.length))
      );
    })
  );
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function kindText(node: LayerNode): string {
  return node.type === "file" ? `file, ${node.size} bytes` : node.type;
}
