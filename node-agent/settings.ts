import { availableParallelism, hostname } from "node:os";
import { parseArgs } from "node:util";
import { parseBytes } from "../shared/bytes.js";
import { AmalgamError } from "../shared/errors.js";
import { quote } from "../shared/quote.js";

/** What an agent is started with. */
export interface AgentSettings {
  /** The folders below which it reads and writes. At least one. */
  readonly roots: readonly string[];
  /** @default "127.0.0.1" */
  readonly host?: string;
  /** @default 0, any free one */
  readonly port?: number;
  /** Units at once, each on a thread of its own. @default as many as there are cores */
  readonly slots?: number;
  /** What all slots together may hold for tensor data. @default 2 GiB */
  readonly memoryBytes?: number;
  /** @default host name and process id */
  readonly name?: string;
}

export const defaults = {
  host: "127.0.0.1",
  port: 0,
  memoryBytes: 2 * 1024 ** 3,
  slots: () => availableParallelism(),
  name: () => `${hostname()}-${process.pid}`,
} as const;

const maxSlots = 1_024;
const maxNameLength = 200;
/** Below this a worker cannot hold one block of the inputs of an ordinary merge. */
const minMemoryBytes = 16 * 1024 ** 2;

export const agentUsage = `Usage: amalgam agent --root DIR [--root DIR ...] [options]

Runs units for a coordinator, reading and writing only below its roots.

  --root DIR       a folder it may read and write; repeatable
  --port PORT      default: any free one
  --host HOST      a loopback address, default ${defaults.host}
  --slots N        units at once, default: one per core
  --memory SIZE    what all slots together may hold for tensor data, default 2GiB
  --name NAME      what it is called in messages, default: host name and process id
`;

/** The words after `amalgam agent`. Undefined: help was asked for. */
export function parseAgentArguments(argv: readonly string[]): AgentSettings | undefined {
  const values = parse(argv);
  if (values.help === true) return undefined;
  const memoryBytes = values.memory === undefined ? undefined : parseBytes(values.memory);
  if (values.memory !== undefined && memoryBytes === undefined) {
    throw new AmalgamError(
      "usage",
      `Cannot use ${quote(values.memory)} for "--memory": it is not a size such as "2GiB"`,
    );
  }
  return {
    roots: values.root ?? [],
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values.port === undefined ? {} : { port: integer("--port", values.port) }),
    ...(values.slots === undefined ? {} : { slots: integer("--slots", values.slots) }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(values.name === undefined ? {} : { name: values.name }),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        root: { type: "string", multiple: true },
        port: { type: "string" },
        host: { type: "string" },
        slots: { type: "string" },
        memory: { type: "string" },
        name: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new AmalgamError("usage", error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function integer(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new AmalgamError("usage", `Cannot use ${quote(text)} for "${option}": it is not a whole number`);
  return Number(text);
}

/** Settings with nothing left open, or what is wrong with them. */
export function completeSettings(settings: AgentSettings): Required<AgentSettings> {
  const complete = {
    roots: settings.roots,
    host: settings.host ?? defaults.host,
    port: settings.port ?? defaults.port,
    slots: settings.slots ?? defaults.slots(),
    memoryBytes: settings.memoryBytes ?? defaults.memoryBytes,
    name: settings.name ?? defaults.name(),
  };
  if (complete.roots.length === 0)
    throw new AmalgamError("usage", 'Cannot start an agent without a root: give "--root DIR"');
  between("port", complete.port, 0, 65_535);
  between("number of slots", complete.slots, 1, maxSlots);
  between("memory size", complete.memoryBytes, minMemoryBytes, Number.MAX_SAFE_INTEGER);
  between("length of a name", complete.name.length, 1, maxNameLength);
  return complete;
}

function between(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new AmalgamError("usage", `Cannot start an agent: a ${what} of ${value} is not between ${least} and ${most}`);
}
