import { neutralised } from "../bytes.ts";
import type { Cause } from "../explain/cause.ts";
import { type CauseGroup, causeGroups, commandWords, surenessWords } from "../explain/groups.ts";
import { counted, grouped, type Terminal } from "./terminal.ts";

/** Groups shown whole; so many places of each, so that a simple project's fit a screen. */
const MAX_GROUPS = 10;
const FEW = 3;
const MAX_COMMANDS = 2;
const MAX_UNKNOWN = 8;

/** Cause by cause, the most important first: how sure, where, the bytes, who wrote them, what to do, what follows. */
export function showCauses(terminal: Terminal, causes: readonly Cause[]): void {
  const { groups, loose } = causeGroups(causes);
  const most = groups.length > FEW ? 1 : 2;
  for (const group of groups.slice(0, MAX_GROUPS)) showGroup(terminal, group, most);
  if (groups.length > MAX_GROUPS)
    terminal.step("cause", `and ${groups.length - MAX_GROUPS} more causes ('--html FILE' shows all)`);
  if (loose.length > 0) terminal.step("cause", `${terminal.strong("consequence")} ${places(loose.length)}`);
}

const places = (count: number): string => `in ${counted(count, "place")}`;

function showGroup(terminal: Terminal, group: CauseGroup, most: number): void {
  const [first] = group.places;
  if (first === undefined) return;
  const name = [group.name, ...group.with].join(" with ");
  terminal.step("cause", `${terminal.strong(name)} ${terminal.dim(`(${surenessWords(first)})`)}`);
  const shown = group.places.slice(0, group.name === "unknown" ? MAX_UNKNOWN : most);
  for (const cause of shown) {
    const at = cause.offset === undefined ? "" : ` at byte ${grouped(cause.offset)}`;
    terminal.step("", `${[cause.artifact, ...cause.leaf].map(neutralised).join(" › ")}${at}`);
    const { a, b } = cause.evidence;
    if (a !== "" || b !== "") terminal.step("", terminal.dim(`  ${clip(a) || "nothing"}  ≠  ${clip(b) || "nothing"}`));
  }
  const rest = [
    ...(group.places.length > shown.length ? [counted(group.places.length - shown.length, "more place")] : []),
    ...(group.consequences.length > 0 ? [`${grouped(group.consequences.length)} that follow from it`] : []),
  ];
  if (rest.length > 0) terminal.step("", terminal.dim(`and ${rest.join(", and ")}`));
  for (const command of group.commands.slice(0, MAX_COMMANDS))
    terminal.step("", `by: ${neutralised(commandWords(command))}`);
  if (group.commands.length > MAX_COMMANDS)
    terminal.step("", terminal.dim(`and ${counted(group.commands.length - MAX_COMMANDS, "more command")}`));
  for (const remedy of group.remedies.slice(0, MAX_COMMANDS)) terminal.step("", `remedy: ${neutralised(remedy)}`);
  if (group.tried.length > 0) terminal.step("", terminal.dim(`tried: ${group.tried.map(neutralised).join("; ")}`));
}

const MAX_VALUE = 44;

const clip = (text: string): string => {
  const shown = neutralised(text.replaceAll("\n", "⏎"));
  return shown.length > MAX_VALUE ? `${shown.slice(0, MAX_VALUE - 1)}…` : shown;
};
