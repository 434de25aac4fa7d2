/** The changes of a lock as lines for people; whoever prints them gives each tone its colour. */
import { neutralised } from "../bytes.ts";
import type { Material } from "../material.ts";
import type { EnvironmentPackage } from "./environment.ts";
import type { ListChanges, LockChange, LockChanges } from "./changes.ts";
import type { Lock, LockedTool } from "./lock.ts";
import { KEY } from "./lock-issues.ts";

export interface ChangeLine {
  tone: "alarm" | "heading" | "added" | "removed" | "changed" | "note";
  text: string;
}

const SAID = {
  "other-bytes": "same version, other bytes",
  "checksum-lost": "its checksum is gone",
  downgrade: "an older version",
} as const;

/**
 * What must not be overlooked first and in full, then the lock's parts, the
 * environment's packages, tools and dependencies, each with a heading that
 * counts, and at most `most` lines of a kind. `before` and `after` are the locks
 * that were compared.
 */
export function changeLines(changes: LockChanges, before: Lock | undefined, after: Lock, most = 40): ChangeLine[] {
  const { packages, tools, changed, added, removed, sizes } = changes;
  const parts = changed.filter((change) => change.to === undefined);
  const materials = { added, removed, changed: changed.filter((change) => change.to !== undefined) };
  const needed = neededBy([...(before?.materials ?? []), ...after.materials], changes);
  const lines = [
    ...[...materials.changed, ...packages.changed, ...tools.changed].flatMap(alarmLines),
    ...parts.map(changedLine),
    ...section("environment", packages, sizes.packages, packageText, most),
    ...section("tools", tools, undefined, toolText, most),
    ...section("dependencies", materials, sizes.materials, (item) => `${materialText(item)}${needed(item)}`, most),
  ];
  return lines.map(({ tone, text }) => ({ tone, text: neutralised(text) }));
}

function alarmLines({ what, before, after, alarm }: LockChange): ChangeLine[] {
  if (alarm === undefined) return [];
  if (alarm === "downgrade") return [{ tone: "alarm", text: `! ${what}: ${SAID[alarm]}: ${before} → ${after}` }];
  const lines = [`! ${what}: ${SAID[alarm]}`, `    was ${before}`, `    is  ${after}`];
  return lines.map((text) => ({ tone: "alarm", text }));
}

function changedLine({ what, before, after, alarm }: LockChange): ChangeLine {
  const said = alarm === undefined ? "" : ` (${SAID[alarm]})`;
  return {
    tone: alarm === undefined ? "changed" : "alarm",
    text: `~ ${what}: ${brief(before)} → ${brief(after)}${said}`,
  };
}

function section<T>(
  title: string,
  { added, removed, changed }: ListChanges<T>,
  sizes: { before: number; after: number } | undefined,
  text: (item: T) => string,
  most: number,
): ChangeLine[] {
  const counts = [`${added.length} added`, `${removed.length} removed`, `${changed.length} changed`];
  const said = counts.filter((count) => !count.startsWith("0 "));
  if (said.length === 0) return [];
  const known = sizes !== undefined && sizes.before + sizes.after > 0;
  const size = known ? ` · ${sizeText(sizes.before)} → ${sizeText(sizes.after)}` : "";
  return [
    { tone: "heading", text: `${title}: ${said.join(", ")}${size}` },
    ...firstOf(
      added.map((item): ChangeLine => ({ tone: "added", text: `+ ${text(item)}` })),
      most,
    ),
    ...firstOf(
      removed.map((item): ChangeLine => ({ tone: "removed", text: `- ${text(item)}` })),
      most,
    ),
    ...firstOf(changed.map(changedLine), most),
  ];
}

function firstOf(lines: ChangeLine[], most: number): ChangeLine[] {
  const rest = lines.length - most;
  if (rest <= 0) return lines;
  return [...lines.slice(0, most), { tone: "note", text: `  … and ${rest} more` }];
}

const sized = (size: number | undefined): string => (size === undefined ? "" : `, ${sizeText(size)}`);
const packageText = ({ name, version, architecture, size }: EnvironmentPackage): string =>
  `${name} ${version} (${architecture})${sized(size)}`;
const toolText = ({ name, version, path }: LockedTool): string => `${name} ${version} (${path})`;
const materialText = ({ name, version, size }: Material): string =>
  `${name}${version === undefined ? "" : ` ${version}`}${sized(size)}`;

/** Says of a dependency whether the project asks for it itself, or who does. */
function neededBy(materials: readonly Material[], { direct }: LockChanges): (item: Material) => string {
  if (direct === undefined) return () => "";
  const wants = new Map<string, string>();
  for (const { name, dependsOn = [] } of materials)
    for (const purl of dependsOn) if (!wants.has(purl)) wants.set(purl, name);
  const own = new Set(direct);
  return (item) => {
    if (own.has(KEY.material(item))) return " (direct)";
    const by = wants.get(KEY.material(item));
    return by === undefined ? "" : ` (for ${by})`;
  };
}

/** A checksum cut to what is recognised; other text as it is. */
function brief(text: string): string {
  return /^(?:sha\d+:|h1:)/.test(text) && text.length > 24 ? `${text.slice(0, 19)}…` : text;
}

/** `5.1 MB`: decimal, three digits at most. */
export function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;
