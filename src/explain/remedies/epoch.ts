/** SOURCE_DATE_EPOCH (reproducible-builds.org, "SOURCE_DATE_EPOCH"), and what was done before where nobody sets it. */
export const SHELL_EPOCH = "${SOURCE_DATE_EPOCH:-$(date +%s)}";

const SCRIPT_CLOCK = "Date.now";

/** In JavaScript, milliseconds. */
export const SCRIPT_EPOCH: string = `(process.env.SOURCE_DATE_EPOCH ? Number(process.env.SOURCE_DATE_EPOCH) * 1000 : ${SCRIPT_CLOCK}())`;
