/** The worlds of a build side by side, and what they differ in. */
import { isObject, type Json, type JsonObject } from "../json.ts";
import type { StoryEvent } from "./evidence.ts";
import { type Markup, markup } from "./markup.ts";
import { shownDuration, shownSize } from "./shown.ts";

/** One line of the table: its name and how it is read from a `World` that the ledger holds. */
interface Trait {
  name: string;
  read(world: JsonObject): string | undefined;
  /** What holds in a world that does not name it, where another does. */
  otherwise?: string;
}

const text = (value: Json | undefined): string | undefined =>
  typeof value === "string" || typeof value === "number" ? String(value) : undefined;
const field = (name: string, key: string): Trait => ({ name, read: (world) => text(world[key]) });
const userField = (name: string, read: (user: JsonObject) => string | undefined): Trait => ({
  name,
  read: ({ user }) => (isObject(user) ? read(user) : undefined),
});

const TRAITS: readonly Trait[] = [
  {
    name: "clock",
    read: ({ clockOffset }) => (typeof clockOffset === "number" ? shownOffset(clockOffset) : undefined),
  },
  field("build path", "buildPath"),
  field("host name", "hostname"),
  userField("user", (user) => joined([text(user["name"]), text(user["uid"])], " · uid ")),
  userField("group", (user) => joined([text(user["group"]), text(user["gid"])], " · gid ")),
  userField("full name", (user) => text(user["fullName"])),
  userField("home", (user) => text(user["home"])),
  field("time zone", "timezone"),
  field("locale", "locale"),
  {
    name: "umask",
    read: ({ umask }) => (typeof umask === "number" ? umask.toString(8).padStart(4, "0") : text(umask)),
  },
  // JSON drops what is undefined, which here means every CPU of the machine.
  { name: "CPUs", read: (world) => text(world["cpus"]) ?? ("hostname" in world ? "all" : undefined) },
  field("directory order", "directoryOrder"),
  { name: "address layout", read: ({ aslr }) => (typeof aslr === "boolean" ? (aslr ? "random" : "fixed") : undefined) },
  {
    name: "kernel release",
    read: ({ kernel }) => (text(kernel) === undefined ? undefined : `${text(kernel)}.x, an old one`),
    otherwise: "the machine's",
  },
  {
    name: "memory",
    read: ({ memoryShown }) => (typeof memoryShown === "number" ? shownSize(memoryShown) : undefined),
    otherwise: "the machine's",
  },
  { ...field("processes numbered from", "firstPid"), otherwise: "1" },
  { ...field("randomness", "random"), otherwise: "the kernel's" },
  { ...field("schedule", "schedule"), otherwise: "as it comes" },
  { ...field("file system", "fileSystem"), otherwise: "the machine's" },
  { ...field("version control", "vcs"), otherwise: "none" },
  { ...field("load", "load"), otherwise: "none" },
  {
    name: "machine",
    read: ({ machine }) => (isObject(machine) ? `virtual, ${text(machine["processor"]) ?? ""} processor` : undefined),
    otherwise: "this one",
  },
  {
    name: "start delay",
    read: ({ startDelay }) => (typeof startDelay === "number" ? shownDuration(startDelay) : undefined),
  },
  {
    name: "environment",
    read: ({ environment }) =>
      isObject(environment)
        ? Object.entries(environment)
            .map(([key, value]) => `${key}=${text(value) ?? ""}`)
            .sort()
            .join(" ") || "nothing more"
        : undefined,
  },
];

function joined(parts: readonly (string | undefined)[], by: string): string | undefined {
  const present = parts.filter((part) => part !== undefined);
  return present.length === 0 ? undefined : present.join(by);
}

/** `the real time`, `400 d 3 h later`. */
function shownOffset(seconds: number): string {
  if (seconds === 0) return "the real time";
  const hours = Math.round(Math.abs(seconds) / 3600);
  const parts = [hours >= 24 ? `${Math.floor(hours / 24)} d` : "", hours % 24 > 0 ? `${hours % 24} h` : ""];
  const size = parts.filter((part) => part !== "").join(" ") || `${Math.abs(seconds)} s`;
  return `${size} ${seconds > 0 ? "later" : "earlier"}`;
}

const MOST_WORLDS = 6;

const isVaried = (values: readonly (string | undefined)[]): boolean => new Set(values).size > 1;

export function worldsTable(events: readonly StoryEvent[]): Markup {
  const columns = events.slice(0, MOST_WORLDS).map((event) => ({
    event,
    world: isObject(event.data["world"]) ? event.data["world"] : event.data,
  }));
  const rows = TRAITS.map(({ name, read, otherwise }) => ({
    name,
    otherwise,
    values: columns.map(({ world }) => read(world)),
  }))
    .filter(({ values }) => values.some((value) => value !== undefined))
    .map(({ name, otherwise, values }) => ({ name, values: values.map((value) => value ?? otherwise) }));
  const varied = rows.filter(({ values }) => isVaried(values));
  const same = rows.filter(({ values }) => !isVaried(values));
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Worlds side by side"><table class="worlds">
<caption>${columns.length > 1 ? `Differ in ${varied.length} of ${rows.length} ways` : "One world only"}</caption>
<thead><tr><th scope="col">Varied</th>${columns.map(
    ({ event, world }, index) =>
      markup`<th scope="col">${text(world["name"]) ?? text(event.data["name"]) ?? `world ${index + 1}`}</th>`,
  )}</tr></thead>
<tbody>
<tr><th scope="row">outcome</th>${columns.map(({ event }) => markup`<td>${ended(event)}</td>`)}</tr>
${varied.map(({ name, values }) => worldRow(name, values, true))}
${columns.length > 1 ? same.map(({ name, values }) => worldRow(name, values, false)) : []}
</tbody></table></div>`;
}

function worldRow(name: string, values: readonly (string | undefined)[], varied: boolean): Markup {
  return markup`<tr class="${varied ? "varied" : "same"}"><th scope="row"><span aria-hidden="true">${varied ? "≠" : "="}</span> ${name}<span class="sr">${varied ? ", varied" : ", the same"}</span></th>${values.map(
    (value) => markup`<td><code>${value ?? "–"}</code></td>`,
  )}</tr>`;
}

function ended(event: StoryEvent): Markup {
  const how = text(event.data["outcome"]) ?? (event.ok ? "exited" : "failed");
  const code = text(event.data["exitCode"]);
  const memory = event.data["peakMemory"];
  return markup`<span class="${event.ok ? "good" : "bad"}"><span class="sign" aria-hidden="true">${event.ok ? "✓" : "✗"}</span> ${how}${
    code !== undefined && ` ${code}`
  }</span>${event.milliseconds !== undefined && `, ${shownDuration(event.milliseconds)}`}${
    typeof memory === "number" && `, ${shownSize(memory)} at most`
  }`;
}
