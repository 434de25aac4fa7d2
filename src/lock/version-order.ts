/** Which of two versions is the older one, by the rules of those who number them. */

type Order = (a: string, b: string) => number | undefined;

/**
 * Negative when `a` is older than `b`, 0 when they rank the same; undefined
 * where it can't be told (other schemes, a commit as version). `type` is that of
 * the purls: npm, cargo and golang by Semantic Versioning 2.0.0, section 11; deb
 * by deb-version(7); pypi by PEP 440; maven by the POM Reference, "Version Order
 * Specification".
 */
export function versionOrder(type: string, a: string, b: string): number | undefined {
  if (a.length > 256 || b.length > 256) return undefined;
  return ORDERS[type]?.(a, b);
}

const semver: Order = (a, b) => {
  const [left, right] = [semverParts(a), semverParts(b)];
  if (left === undefined || right === undefined) return undefined;
  const order = firstOrder(left.core, right.core, digitsOrder);
  if (order !== 0) return order;
  if (left.before.length === 0 || right.before.length === 0) return right.before.length - left.before.length;
  return firstOrder(left.before, right.before, (x, y) => {
    const [numberX, numberY] = [/^\d+$/.test(x), /^\d+$/.test(y)];
    if (numberX && numberY) return digitsOrder(x, y);
    return numberX !== numberY ? (numberX ? -1 : 1) : textOrder(x, y);
  });
};

function semverParts(text: string): { core: string[]; before: string[] } | undefined {
  const [, core, before] = /^v?(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text) ?? [];
  return core === undefined ? undefined : { core: core.split("."), before: before?.split(".") ?? [] };
}

/** Item by item; the list that ends first is the older one. */
function firstOrder(a: readonly string[], b: readonly string[], order: (x: string, y: string) => number): number {
  for (const [index, x] of a.entries()) {
    const y = b[index];
    if (y === undefined) return 1;
    const found = order(x, y);
    if (found !== 0) return found;
  }
  return a.length - b.length;
}

const textOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Numbers of any length. */
function digitsOrder(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+(?=\d)/, ""), b.replace(/^0+(?=\d)/, "")];
  return x.length - y.length || textOrder(x, y);
}

/** deb-version(7), "Sorting algorithm". */
const debian: Order = (a, b) => {
  const [left, right] = [debianParts(a), debianParts(b)];
  return (
    digitsOrder(left.epoch, right.epoch) ||
    debianPart(left.upstream, right.upstream) ||
    debianPart(left.revision, right.revision)
  );
};

function debianParts(text: string): { epoch: string; upstream: string; revision: string } {
  const [, epoch = "0", rest = ""] = /^(?:(\d+):)?(.*)$/s.exec(text) ?? [];
  const dash = rest.lastIndexOf("-");
  return dash < 0
    ? { epoch, upstream: rest, revision: "" }
    : { epoch, upstream: rest.slice(0, dash), revision: rest.slice(dash + 1) };
}

/** Non-digits and digits in turn; `~` is before the end, letters are before all else. */
function debianPart(a: string, b: string): number {
  const [left, right] = [a.match(/\D*\d*/g) ?? [], b.match(/\D*\d*/g) ?? []];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [, textA = "", digitsA = ""] = /^(\D*)(\d*)$/.exec(left[index] ?? "") ?? [];
    const [, textB = "", digitsB = ""] = /^(\D*)(\d*)$/.exec(right[index] ?? "") ?? [];
    for (let at = 0; at < Math.max(textA.length, textB.length); at++) {
      const order = rank(textA[at]) - rank(textB[at]);
      if (order !== 0) return order;
    }
    const order = digitsOrder(digitsA === "" ? "0" : digitsA, digitsB === "" ? "0" : digitsB);
    if (order !== 0) return order;
  }
  return 0;
}

function rank(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === "~") return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 0x1_0000;
}

const PEP440 =
  /^v?(?:(\d+)!)?(\d+(?:\.\d+)*)[-_.]?(?:(a|alpha|b|beta|c|rc|pre|preview)[-_.]?(\d*))?(?:(?:-(\d+))|(?:[-_.]?(?:post|rev|r)[-_.]?(\d*)))?(?:[-_.]?dev[-_.]?(\d*))?(?:\+[a-z0-9._-]+)?$/i;

/** PEP 440, "Summary of permitted suffixes and relative ordering"; local versions rank the same. */
const python: Order = (a, b) => {
  const [left, right] = [pythonKey(a), pythonKey(b)];
  if (left === undefined || right === undefined) return undefined;
  return (
    digitsOrder(left.epoch, right.epoch) ||
    firstOrder(left.release, right.release, digitsOrder) ||
    firstOrder(left.rest, right.rest, digitsOrder)
  );
};

const orZero = (value: string | undefined): string => (value === undefined || value === "" ? "0" : value);

const STAGE: Readonly<Record<string, string>> = {
  a: "1",
  alpha: "1",
  b: "2",
  beta: "2",
  c: "3",
  rc: "3",
  pre: "3",
  preview: "3",
};

function pythonKey(text: string): { epoch: string; release: string[]; rest: string[] } | undefined {
  const match = PEP440.exec(text);
  if (match === null) return undefined;
  const [, epoch = "0", release = "", stage, number, dashed, post, dev] = match;
  const after = dashed ?? (post === "" ? "0" : post);
  // A development release comes before what it leads to; without a stage of its own, before all stages.
  const first =
    stage !== undefined ? (STAGE[stage.toLowerCase()] ?? "3") : dev !== undefined && after === undefined ? "0" : "4";
  return {
    epoch,
    release: release.replace(/(?:\.0+)+$/, "").split("."),
    rest: [
      first,
      orZero(number),
      after === undefined ? "0" : "1",
      orZero(after),
      dev === undefined ? "1" : "0",
      orZero(dev),
    ],
  };
}

/** From old to new; what is not listed comes after all of them, in alphabetical order. */
const QUALIFIERS = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
const ALIAS: Readonly<Record<string, string>> = {
  a: "alpha",
  b: "beta",
  m: "milestone",
  cr: "rc",
  ga: "",
  final: "",
  release: "",
};

/** Numbers are after texts; trailing nulls ("0", "final") do not count. */
const maven: Order = (a, b) => {
  const [left, right] = [mavenParts(a), mavenParts(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const order = mavenPart(left[index], right[index]);
    if (order !== 0) return order;
  }
  return 0;
};

function mavenParts(text: string): string[] {
  const parts = text.toLowerCase().match(/\d+|[^\d.\-_]+/g) ?? [];
  const named = parts.map((part, index) =>
    /^[abm]$/.test(part) && !/^\d/.test(parts[index + 1] ?? "") ? part : (ALIAS[part] ?? part),
  );
  while (named.length > 0 && /^0*$/.test(named.at(-1) ?? "")) named.pop();
  return named;
}

function mavenPart(a: string | undefined, b: string | undefined): number {
  const [numberA, numberB] = [/^\d/.test(a ?? ""), /^\d/.test(b ?? "")];
  if (numberA || numberB) {
    if (numberA && numberB) return digitsOrder(a ?? "", b ?? "");
    // A number against nothing is compared with 0, against a text it is newer.
    const [number, other] = numberA ? [a, b] : [b, a];
    const order = other === undefined ? digitsOrder(number ?? "", "0") : 1;
    return numberA ? order : -order;
  }
  const [x, y] = [qualifierRank(a ?? ""), qualifierRank(b ?? "")];
  return x - y || (x === QUALIFIERS.length ? textOrder(a ?? "", b ?? "") : 0);
}

function qualifierRank(text: string): number {
  const found = QUALIFIERS.indexOf(text);
  return found < 0 ? QUALIFIERS.length : found;
}

const ORDERS: Readonly<Record<string, Order>> = {
  npm: semver,
  cargo: semver,
  golang: semver,
  deb: debian,
  pypi: python,
  maven,
};
