/**
 * Whether every fault of the catalogue is to be tried, with `AMALGAM_FAULTS=all`. Otherwise those are left out that others
 * come near to: each takes a job on a cluster of its own, and together they take longer than a change should wait.
 */
export const triesAllFaults = process.env["AMALGAM_FAULTS"] === "all";
