/** What a package says of itself: who made it, under which licence, where it lives. Pure; hostile input gives fewer facts. */
import { utf8Text } from "../bytes.ts";
import { isTable, parseToml } from "../format/toml.ts";
import { isObject, type Json, parseJson } from "../json.ts";
import type { Party } from "./bom.ts";

export interface PackageFacts {
  version?: string;
  supplier?: Party;
  /** As the package writes it. */
  licence?: string;
  homepage?: string;
  fileName?: string;
  /** SHA-512 of the file as it was served, hexadecimal. */
  sha512?: string;
  /** BSI's three properties of a file, as its taxonomy for CycloneDX names them. */
  form?: FileForm;
}

export interface FileForm {
  executable: boolean;
  archive: boolean;
  structured: boolean;
}

/** Names of the files that say it, by ecosystem; below the folder that packages put around themselves. */
export const FACT_FILES: Readonly<Record<string, RegExp>> = {
  npm: /^[^/]+\/package\.json$/,
  cargo: /^[^/]+\/Cargo\.toml$/,
  pypi: /^[^/]+(?:\.dist-info\/(?:METADATA|WHEEL)|\/PKG-INFO)$/,
};

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" && value.length < 500 && value.isWellFormed()
    ? value.trim()
    : undefined;

/** Facts from what was said: `who` as `Name <mail> (url)`; what cannot be read as such is no fact. */
export const facts = (version: unknown, who: unknown, licence: unknown, homepage: unknown): PackageFacts => {
  const [said, home, supplier] = [text(licence), address(homepage), partyOf(who, homepage)];
  const number = text(version);
  return {
    ...(number === undefined ? {} : { version: number }),
    ...(supplier === undefined ? {} : { supplier }),
    ...(said === undefined ? {} : { licence: said }),
    ...(home === undefined ? {} : { homepage: home }),
  };
};

const address = (value: unknown): string | undefined => {
  const url = text(value)
    ?.replace(/^git\+/, "")
    .replace(/^git:/, "https:");
  return url !== undefined && /^https?:\/\/[^\s<>"{}|\\^`]+$/.test(url) ? url : undefined;
};

/** `Name <mail> (url)`, npm's object of the three, or a name. Who gives a mail address is a person. */
function partyOf(value: unknown, homepage: unknown): Party | undefined {
  const [, name, mail, url] =
    /^([^<(]*?)\s*(?:<([^<>\s]+@[^<>\s]+)>)?\s*(?:\(([^()\s]+)\))?$/.exec(text(value) ?? "") ?? [];
  const object = isObject(value) ? value : {};
  const [said, email] = [text(name) ?? text(object["name"]), text(mail) ?? text(object["email"])];
  const at = address(url) ?? address(object["url"]) ?? address(homepage);
  if (said === undefined && email === undefined) return undefined;
  return {
    kind: email === undefined ? "organization" : "person",
    name: said ?? email ?? "",
    ...(email === undefined ? {} : { email }),
    ...(email !== undefined || at === undefined ? {} : { url: at }),
  };
}

/** What `package.json` says. */
export function npmFacts(source: Uint8Array): PackageFacts {
  const json = parseJson(source, "package.json");
  if (!isObject(json)) return {};
  const { author, maintainers, contributors, license, homepage, repository, version } = json as Record<string, Json>;
  const who = author ?? firstOf(maintainers) ?? firstOf(contributors);
  const at = address(homepage) ?? (isObject(repository) ? repository["url"] : repository);
  return facts(version, who, isObject(license) ? license["type"] : license, at);
}

const firstOf = (value: Json | undefined): Json | undefined => (Array.isArray(value) ? value[0] : undefined);

/** What `Cargo.toml` says. Older ones part licences with `/`, which cargo reads as OR. */
export function cargoFacts(source: Uint8Array): PackageFacts {
  const { package: table } = parseToml(source, "Cargo.toml");
  if (!isTable(table)) return {};
  const { authors, license, homepage, repository, version } = table;
  const at = address(homepage) ?? repository;
  const who = (Array.isArray(authors) ? authors[0] : undefined) ?? ownerOf(at);
  return facts(version, who, text(license)?.replaceAll(/ ?\/ ?/g, " OR "), at);
}

/** Who owns a repository, where a package names nobody: `https://github.com/OWNER/…`. */
const ownerOf = (url: unknown): string | undefined =>
  /^https:\/\/(?:github|gitlab)\.com\/([\w.-]+)\//.exec(address(url) ?? "")?.[1];

/** What `PKG-INFO` or a wheel's `METADATA` says (Core Metadata 2.x: headers, then the description). */
export function pythonFacts(source: Uint8Array): PackageFacts {
  const [head = ""] = (utf8Text(source) ?? "").split(/\r?\n\r?\n/, 1);
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}: ?(.+)$`, "mi")
      .exec(head)?.[1]
      ?.trim()
      .replace(/^UNKNOWN$/, "");
  const mails = field("Author-email") ?? field("Maintainer-email") ?? field("Author") ?? field("Maintainer") ?? "";
  const mail = /([^<>\s,]+@[^<>\s,]+)/.exec(mails)?.[1];
  const mailName = /^"?([^"<,]+?)"? *</.exec(mails)?.[1];
  // Debian's control file, and some authors, write both into one field.
  const name = (field("Author") ?? field("Maintainer"))?.replace(/\s*<[^>]*>.*$/, "") ?? mailName;
  const home = field("Home-page") ?? /^Project-URL: ?[^,\n]*, ?(\S+)/im.exec(head)?.[1];
  const classifier = /^Classifier: License :: OSI Approved :: (.+)$/im.exec(head)?.[1]?.trim();
  const licence =
    field("License-Expression") ?? field("License") ?? (classifier === undefined ? undefined : CLASSIFIERS[classifier]);
  return facts(field("Version"), { name: name ?? mail ?? null, email: mail ?? null, url: home ?? null }, licence, home);
}

/** PyPI's classifiers that name one licence exactly. */
const CLASSIFIERS: Readonly<Record<string, string>> = {
  "MIT License": "MIT",
  "Apache Software License": "Apache-2.0",
  "ISC License (ISCL)": "ISC",
  "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
  "The Unlicense (Unlicense)": "Unlicense",
};

/** The name of a wheel's file (PEP 427) by its dist-info folder and the tags in `WHEEL`. */
export function wheelName(folder: string, source: Uint8Array): string | undefined {
  const tags = [...(utf8Text(source) ?? "").matchAll(/^Tag: ?([^-\s]+)-([^-\s]+)-([^-\s]+)$/gm)];
  if (tags.length === 0 || tags.length > 64) return undefined;
  const parts = [1, 2, 3].map((at) => [...new Set(tags.map((tag) => tag[at]))].join("."));
  return `${folder.replace(/\.dist-info$/, "")}-${parts.join("-")}.whl`;
}

/** A module of Go is named for the place where its owner keeps it. */
export function goFacts(module: string): PackageFacts {
  const [host = "", owner] = module.split("/");
  if (!host.includes(".")) return {};
  const hosting = /^(?:github|gitlab|bitbucket|codeberg)\.(?:com|org)$/.test(host) && owner !== undefined;
  const name = hosting ? `${host}/${owner}` : host;
  return { supplier: { kind: "organization", name, url: `https://${module}` }, homepage: `https://${module}` };
}

/** How the ecosystem's registry calls the file of a package. */
export function fileNameOf(ecosystem: string, name: string, version: string): string | undefined {
  const last = name.split("/").at(-1) ?? name;
  if (ecosystem === "npm") return `${last}-${version}.tgz`;
  if (ecosystem === "cargo") return `${name}-${version}.crate`;
  if (ecosystem === "golang") return `${version}.zip`;
  return undefined;
}

const ARCHIVE = /\.(?:tgz|tar|tar\.\w+|zip|whl|jar|war|deb|apk|crate|gem|nupkg|rpm|egg)$/i;

/** By the name of the file and its mode. A program's parts cannot be told from it any more: it is not structured. */
export function formOf(fileName: string, executable: boolean): FileForm {
  const archive = ARCHIVE.test(fileName);
  return { executable: executable && !archive, archive, structured: archive || !executable };
}
