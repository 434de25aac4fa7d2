/** Who made something, as SPDX 2.3 writes it: `Organization: NAME (EMAIL)`, `Tool: NAME-VERSION` (clauses 6.8, 7.5). */
import type { Creator, Party } from "./bom.ts";

export function partyText(party: Party): string {
  const kind = party.kind === "person" ? "Person" : "Organization";
  return `${kind}: ${party.name}${party.email === undefined ? "" : ` (${party.email})`}`;
}

export function creatorText(creator: Creator): string {
  if (creator.kind !== "tool") return partyText(creator);
  return `Tool: ${creator.name}${creator.version === undefined ? "" : `-${creator.version}`}`;
}

/** Undefined for what has none of the three forms. */
export function creatorOf(text: string): Creator | undefined {
  const [, kind, rest = ""] = /^(Person|Organization|Tool): ?([^]*)$/.exec(text) ?? [];
  if (kind === undefined || rest === "") return undefined;
  if (kind === "Tool") {
    const [, name = rest, version] = /^([^]*?)-(v?\d[^\s]*)$/.exec(rest) ?? [];
    return { kind: "tool", name, ...(version === undefined ? {} : { version }) };
  }
  const [, name = rest, email] = /^([^]*?) ?\(([^()\s]+@[^()\s]+|)\)$/.exec(rest) ?? [];
  return {
    kind: kind === "Person" ? "person" : "organization",
    name,
    ...(email === undefined || email === "" ? {} : { email }),
  };
}

/** A person or an organisation; undefined for a tool and for NOASSERTION. */
export function partyOf(text: string): Party | undefined {
  const creator = creatorOf(text);
  return creator === undefined || creator.kind === "tool" ? undefined : creator;
}
