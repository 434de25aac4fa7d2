/** What `bitforbit diff --json` shows of a pair, so that a word can be looked for at a place. */

interface OurLeaf {
  kind: "leaf";
  path: string[];
  what: string;
  field?: string;
  a?: string;
  b?: string;
  note?: string;
  excerptA?: { base64: string };
  excerptB?: { base64: string };
}

interface OurNode {
  kind: "node";
  path: string[];
  format: string;
  note?: string;
  sizes?: { a: number; b: number };
  children: (OurNode | OurLeaf)[];
}

export interface OurDocument {
  equal: boolean;
  summary?: { leaves: number };
  difference?: OurNode;
}

export interface Shown {
  /** Names from the outermost in, without "./" and slashes at the ends. */
  path: string[];
  leaf: OurLeaf;
  text: string;
}

export interface Ours {
  leaves: Shown[];
  sizes: Set<string>;
  /** Members of another name on the other side. */
  renames: Map<string, string>;
}

export function shownIn({ difference }: OurDocument): Ours {
  const leaves: Shown[] = [];
  const renames = new Map<string, string>();
  const sizes = new Set<string>();
  const visit = (node: OurNode | OurLeaf, formats: string): void => {
    for (const name of node.path) {
      const [a, b] = name.split(" → ");
      if (a !== undefined && b !== undefined) renames.set(plain(a), plain(b));
    }
    if (node.kind === "leaf") {
      leaves.push({ path: node.path.map(plain), leaf: node, text: `${formats} ${textOf(node)}` });
      return;
    }
    if (node.sizes !== undefined) for (const size of [node.sizes.a, node.sizes.b]) sizes.add(String(size));
    for (const child of node.children) visit(child, `${formats} ${node.format} ${node.note ?? ""}`);
  };
  if (difference !== undefined) visit(difference, "");
  return { leaves, sizes, renames };
}

/** A member's name as both programs have it. */
export function plain(name: string): string {
  return name.replace(/^(?:\.?\/)+/, "").replace(/\/+$/, "");
}

function textOf({ path, what, field = "", a = "", b = "", note = "", excerptA, excerptB }: OurLeaf): string {
  const words = [...path, what, field, a, b, note].join("\n");
  const excerpts = [excerptA, excerptB].map((piece) => Buffer.from(piece?.base64 ?? "", "base64"));
  const bytes = excerpts.flatMap((piece) => [piece.toString("latin1"), piece.toString("utf8"), piece.toString("hex")]);
  return [words, ...bytes, ...[a, b].flatMap((value) => readings(field, value))].join("\n");
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** The same value as other programs write it: times as dates, modes as letters, numbers in base 16. */
function readings(field: string, value: string): string[] {
  const found: string[] = [];
  for (const [digits] of value.matchAll(/(?<![\w.])-?\d{1,20}(?![\w])/g)) {
    const number = Number(digits);
    found.push(`0x${(number < 0 ? -BigInt(digits) : BigInt(digits)).toString(16)}`);
    if (number < 1e11 && (number > 1e6 || /time/.test(`${field} ${value}`))) found.push(...datesOf(number));
  }
  for (const [, seconds = "", fraction = ""] of value.matchAll(/(?<![\w.])(\d{9,10})\.(\d+)/g)) {
    found.push(
      `${new Date(Number(seconds) * 1000).toISOString().slice(11, 19)}.${fraction.padEnd(6, "0").slice(0, 6)}`,
    );
  }
  for (const [digits] of value.matchAll(/\b[0-7]{3,6}\b/g))
    found.push(...lettersOf(parseInt(digits, 8)), String(parseInt(digits, 8)));
  if (/mode/.test(field) && value.startsWith("0x")) found.push(...lettersOf(Number(value) >>> 16));
  return found;
}

function datesOf(seconds: number): string[] {
  const date = new Date(seconds * 1000);
  const iso = date.toISOString();
  const [day, time] = [iso.slice(0, 10), iso.slice(11, 19)];
  const [month = "", weekday = ""] = [MONTHS[date.getUTCMonth()], DAYS[date.getUTCDay()]];
  const [year, number] = [String(date.getUTCFullYear()), String(date.getUTCDate())];
  const short = `${year.slice(2)}-${month}-${number.padStart(2, "0")} ${time.slice(0, 5)}`;
  const long = `${weekday} ${month} ${number.padStart(2, " ")} ${time} ${year}`;
  return [
    `${day} ${time}.000000`,
    short,
    long,
    `${year} ${month} ${number} ${time}`,
    `${month} ${number} ${year}`,
    iso,
  ];
}

function lettersOf(mode: number): string[] {
  const bits = [0o400, 0o200, 0o100, 0o40, 0o20, 0o10, 0o4, 0o2, 0o1];
  const letters = bits.map((bit, at) => ((mode & bit) === 0 ? "-" : ("rwx"[at % 3] ?? ""))).join("");
  return ["-", "d", "l", "?"].map((kind) => `${kind}${letters}`);
}
