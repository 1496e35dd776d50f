/** What a worker can be made to do to the next unit that it gets, by the name of it in a file. */
export type WorkerFault = "hang" | "exhaust memory";

/** The file, in the agent's first root. Whichever worker gets a unit next takes it away and obeys. */
export const faultFile = "next-fault";
