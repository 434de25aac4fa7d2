/**
 * How much of what is asked of a bill of materials is in it: the NTIA's
 * minimum elements (2021, "Data Fields"), the required fields of BSI
 * TR-03183-2 (version 2.1, sections 5.2.1 and 5.2.2), and what the build was
 * seen to read. Every element is counted by itself; nothing is estimated.
 */
import type { Component, Party, ReadBom } from "./bom.ts";
import type { Claims } from "./claims.ts";

export type Standard = "ntia" | "bsi" | "build";

export interface Element {
  standard: Standard;
  name: string;
  /** How many times it is asked for: once of the document, or of each component. */
  asked: number;
  present: number;
  /** Names of what lacks it. */
  missing: string[];
  /** How to fill it. */
  remedy: string;
}

export interface Score {
  /** From 0 to 1: the mean of the elements. */
  score: number;
  /** The mean of each standard's elements; a build that was not observed has none. */
  standards: Partial<Record<Standard, number>>;
  elements: Element[];
}

interface Rule<T> {
  standard: Standard;
  name: string;
  remedy: string;
  /** `stated`: refs of components whose dependencies are said to be complete, or not. */
  holds: (item: T, stated: ReadonlySet<string>) => boolean;
}

const reached = (party: Party | undefined): boolean => party?.email !== undefined || party?.url !== undefined;
const property = (component: Component, name: string, values: readonly string[]): boolean =>
  component.properties.some((one) => one.name === name && values.includes(one.value));

const DOCUMENT_RULES: readonly Rule<ReadBom>[] = [
  {
    standard: "ntia",
    name: "author of the SBOM",
    remedy: "name the tool or the people in metadata.tools or metadata.authors (SPDX: creationInfo.creators)",
    holds: ({ bom }) => bom.creators.length > 0,
  },
  {
    standard: "ntia",
    name: "timestamp",
    remedy: "set metadata.timestamp (SPDX: creationInfo.created)",
    holds: ({ bom }) => bom.created !== undefined,
  },
  {
    standard: "bsi",
    name: "format",
    remedy: "write CycloneDX 1.6: TR-03183-2 takes that or later, and no SPDX before 3.0.1",
    holds: ({ format, specVersion }) => format === "CycloneDX" && specVersion === "1.6",
  },
  {
    standard: "bsi",
    name: "creator of the SBOM, with e-mail or URL",
    remedy: "give metadata.manufacturer a url or a contact's email",
    holds: ({ bom }) => bom.creators.some((creator) => creator.kind !== "tool" && reached(creator)),
  },
  {
    standard: "bsi",
    name: "SBOM URI",
    remedy: "set serialNumber to a urn:uuid (SPDX: documentNamespace)",
    holds: ({ bom }) => bom.id !== undefined,
  },
];

const COMPONENT_RULES: readonly Rule<Component>[] = [
  {
    standard: "ntia",
    name: "supplier",
    remedy:
      "name who supplies it in supplier.name, of your own project by about.supplier in bitforbit.toml; a package's own metadata has an author or maintainer",
    holds: ({ supplier }) => supplier !== undefined,
  },
  { standard: "ntia", name: "component name", remedy: "set name", holds: ({ name }) => name !== "" },
  {
    standard: "ntia",
    name: "component version",
    remedy: "set version: of a release its number, of a checkout its commit",
    holds: ({ version }) => version !== undefined,
  },
  {
    standard: "ntia",
    name: "unique identifier",
    remedy: "set purl or cpe; of a file, a hash",
    holds: ({ purl, cpe, type, hashes }) =>
      purl !== undefined || cpe !== undefined || (type === "file" && hashes.length > 0),
  },
  {
    standard: "ntia",
    name: "dependency relationship",
    remedy: "list what it depends on, or say in compositions that this is unknown",
    holds: (component, stated) => component.dependsOn !== undefined || stated.has(component.ref) || isPart(component),
  },
  {
    standard: "bsi",
    name: "component creator, with e-mail or URL",
    remedy: "give manufacturer (or supplier) a url or a contact's email",
    holds: ({ supplier, originator }) => reached(originator) || reached(supplier),
  },
  { standard: "bsi", name: "component name", remedy: "set name", holds: ({ name }) => name !== "" },
  {
    standard: "bsi",
    name: "component version",
    remedy: "set version; of a file without one, its date of change",
    holds: ({ version }) => version !== undefined,
  },
  {
    standard: "bsi",
    name: "filename",
    remedy: "set the property bsi:component:filename (SPDX: packageFileName)",
    holds: ({ fileName }) => fileName !== undefined,
  },
  {
    standard: "bsi",
    name: "dependencies, and how complete they are",
    remedy: "list what it depends on, and say in compositions how complete that is",
    // Of an unknown list nothing can be listed.
    holds: (component, stated) => stated.has(component.ref) || isPart(component),
  },
  {
    standard: "bsi",
    name: "distribution licence",
    remedy: "set licenses to an SPDX expression, with acknowledgement: concluded, or declared where nobody looked",
    holds: ({ concluded, declared }) => concluded !== undefined || declared !== undefined,
  },
  {
    standard: "bsi",
    name: "SHA-512",
    remedy: "add the SHA-512 of the file as it is delivered",
    holds: ({ hashes }) => hashes.some(({ algorithm }) => algorithm === "SHA-512"),
  },
  {
    standard: "bsi",
    name: "executable property",
    remedy: "set the property bsi:component:executable to executable or non-executable",
    holds: (component) => property(component, "bsi:component:executable", ["executable", "non-executable"]),
  },
  {
    standard: "bsi",
    name: "archive property",
    remedy: "set the property bsi:component:archive to archive or no archive",
    holds: (component) => property(component, "bsi:component:archive", ["archive", "no archive"]),
  },
  {
    standard: "bsi",
    name: "structured property",
    remedy: "set the property bsi:component:structured to structured or unstructured",
    holds: (component) => property(component, "bsi:component:structured", ["structured", "unstructured"]),
  },
];

/** What a file needs is said of what it is a part of. */
const isPart = ({ type, partOf }: Component): boolean => type === "file" && partOf !== undefined;

/** A delivered file's own fields: the root of a bill that lists its files is a name for them, and none. */
const OF_FILES = new Set(["filename", "SHA-512", "executable property", "archive property", "structured property"]);

/** Scores a bill; `claims` is what the build was seen to read, set against it. */
export function scoreBom(read: ReadBom, claims?: Claims): Score {
  const { bom } = read;
  const whole = new Set(bom.components.flatMap(({ partOf }) => (partOf === undefined ? [] : [partOf])));
  const stated = new Set(bom.completeness.filter(({ what }) => what === "dependencies").map(({ of }) => of));
  const elements: Element[] = [
    ...DOCUMENT_RULES.map(({ standard, name, remedy, holds }) => {
      const present = holds(read, stated);
      return { standard, name, asked: 1, present: present ? 1 : 0, missing: present ? [] : ["the document"], remedy };
    }),
    ...COMPONENT_RULES.map(({ standard, name, remedy, holds }) => {
      const asked = bom.components.filter(({ ref }) => !OF_FILES.has(name) || !whole.has(ref));
      const missing = asked.filter((component) => !holds(component, stated)).map(({ ref }) => ref);
      return { standard, name, asked: asked.length, present: asked.length - missing.length, missing, remedy };
    }),
  ];
  if (claims !== undefined) {
    elements.push({
      standard: "build",
      name: "what the build was seen to read",
      asked: claims.read.length,
      present: claims.read.length - claims.missing.length,
      missing: claims.missing,
      remedy: "add a component for each of them: the build read it",
    });
  }
  const counted = elements.filter(({ asked }) => asked > 0);
  const standards = Object.fromEntries(
    [...Map.groupBy(counted, ({ standard }) => standard)].map(([standard, some]) => [standard, mean(some)]),
  );
  return { score: mean(counted), standards, elements };
}

function mean(elements: readonly Element[]): number {
  if (elements.length === 0) return 0;
  return elements.reduce((sum, { asked, present }) => sum + present / asked, 0) / elements.length;
}
