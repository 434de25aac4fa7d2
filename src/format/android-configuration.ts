/**
 * The configuration that a resource is for (ResTable_config of
 * ResourceTypes.h), as its folder is called: "de-rAT-sw600dp-land-hdpi-v21".
 */
const ORIENTATIONS = ["", "port", "land", "square"];
const SIZES = ["", "small", "normal", "large", "xlarge"];
const DENSITIES: Readonly<Record<number, string>> = {
  120: "ldpi",
  160: "mdpi",
  213: "tvdpi",
  240: "hdpi",
  320: "xhdpi",
  480: "xxhdpi",
  640: "xxxhdpi",
  0xfffe: "anydpi",
  0xffff: "nodpi",
};
/** Up to here the fields have names below; what else is set is told in hexadecimal. */
const NAMED: readonly (readonly [from: number, to: number])[] = [
  [0, 16],
  [24, 26],
  [28, 29],
  [30, 36],
];

/** Empty for the one that suits every device. */
export function configurationText(bytes: Uint8Array): string {
  const uint16 = (at: number): number => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  const size = Math.min(uint16(0), bytes.length);
  const language = letters(bytes, 8, 0x61);
  const region = letters(bytes, 10, 0x30);
  const density = uint16(14);
  const names = [
    uint16(4) === 0 ? "" : `mcc${uint16(4)}`,
    uint16(6) === 0 ? "" : `mnc${uint16(6)}`,
    language,
    region === "" ? "" : `r${region}`,
    uint16(30) === 0 ? "" : `sw${uint16(30)}dp`,
    uint16(32) === 0 ? "" : `w${uint16(32)}dp`,
    uint16(34) === 0 ? "" : `h${uint16(34)}dp`,
    SIZES[(bytes[28] ?? 0) & 15] ?? "",
    ORIENTATIONS[bytes[12] ?? 0] ?? "",
    density === 0 ? "" : (DENSITIES[density] ?? `${density}dpi`),
    uint16(24) === 0 ? "" : `v${uint16(24)}`,
  ];
  const rest = Array.from(bytes.subarray(0, size), (byte, at) => {
    const named = NAMED.some(([from, to]) => at >= from && at < to);
    return named || byte === 0 ? "" : `${at}:${byte.toString(16)}`;
  });
  return [...names, ...rest].filter((name) => name !== "").join("-");
}

/** Two letters, or three packed into 15 bits. */
function letters(bytes: Uint8Array, at: number, base: number): string {
  const [first = 0, second = 0] = bytes.subarray(at, at + 2);
  if (first === 0) return "";
  if ((first & 0x80) === 0) return String.fromCharCode(first, second);
  const packed = ((first & 0x7f) << 8) | second;
  return String.fromCharCode(base + (packed & 31), base + ((packed >> 5) & 31), base + ((packed >> 10) & 31));
}
