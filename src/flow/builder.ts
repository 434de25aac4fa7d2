/** What identifies this builder in provenance; policies name it. */
export const BUILDER_ID = "https://bitforbit.dev/builder/local/v1";
