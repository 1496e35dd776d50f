import { formatRecord } from "../../coordinator/assemble/format-record.js";
import { type JobHistory, jobRecord, readHistory } from "../../coordinator/assemble/job-history.js";
import { Journal } from "../../coordinator/assemble/journal.js";
import type { JournalFile } from "../../coordinator/assemble/journal-file.js";
import { type PieceResult, Pieces } from "../../coordinator/assemble/pieces.js";
import { parseJournal } from "../../coordinator/assemble/read-journal.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Auditor } from "./auditor.js";
import type { Bugs } from "./bugs.js";
import type { Inode } from "./shared-disk.js";
import { generationsOf, nameOf, type SimLock, type StagingPlace } from "./sim-lock.js";
import { crcOf, type SimJob } from "./sim-plan.js";

/** The finished output. */
export const outputName = "output";
const software = { version: "simulated" };
const callMs = 0.3;
const syncMs = 2;

export interface StagingContext extends StagingPlace {
  readonly job: SimJob;
  readonly auditor: Auditor;
  readonly bugs: Bugs;
  /** Called before bytes are appended to a journal. It may kill the process, or throw as a disk does. */
  readonly onJournalWrite: () => void;
  /** Called when all is checked and the next step shows the output. */
  readonly onPublish: () => void;
}

/** What a new leader has when it has taken over. */
export interface Taken {
  readonly journal: Journal;
  readonly pieces: Pieces;
  readonly files: Inode;
}

/** The steps of a leader that holds the lock, from its predecessor's journal to its own. */
export async function takeOver(
  context: StagingContext,
  lock: SimLock,
  isComplete: () => Promise<boolean>,
): Promise<Taken | "complete"> {
  const { disk, process, job, auditor, bugs } = context;
  const { generation } = lock;
  const journalName = nameOf("journal", generation);
  const history = await readUsable(context);
  const files = await adoptFiles(context, lock, history !== undefined);
  if (await isComplete()) return "complete";
  const pieces = history?.history.pieces ?? new Pieces(job.plan);
  const text = history?.text ?? formatRecord(jobRecord(job.plan, software));
  const inode = await process.effect(callMs, () => disk.create(nameOf("journal-new", generation)));
  if (inode === undefined) throw lock.fenced();
  await process.effect(syncMs, () => {
    inode.text = text;
    inode.syncedLength = text.length;
  });
  await process.effect(syncMs, () => {
    disk.rename(nameOf("journal-new", generation), journalName);
    disk.syncNames();
    auditor.led(process.name, generation, pieces);
  });
  await process.effect(callMs, () => {
    for (const other of generationsOf(disk, "journal")) if (other < generation) disk.unlink(nameOf("journal", other));
  });
  const file = journalFile(inode, context);
  const journal = new Journal(file, { name: journalName, assertOurs: () => lock.assertHeld() });
  // The journal is synced before a piece counts and the files are not.
  const changed = bugs.trustsStagedBytes ? [] : changedPieces(job, pieces, files);
  auditor.dropped(changed);
  for (const piece of changed) pieces.drop(piece);
  await journal.append(changed.map(({ tensor, begin, end }) => ({ type: "dropped", tensor, begin, end })));
  return { journal, pieces, files };
}

/** Pieces whose bytes are not those of their receipts. */
export function changedPieces(job: SimJob, pieces: Pieces, { blocks }: Inode): PieceResult[] {
  return [...pieces.done.keys()].flatMap((tensor) =>
    pieces.of(tensor).filter((piece) => crcOf(job, tensor, piece, blocks) !== piece.crc32),
  );
}

function journalFile(inode: Inode, { process, onJournalWrite }: StagingContext): JournalFile {
  return {
    append: (bytes) =>
      process.effect(callMs, () => {
        onJournalWrite();
        inode.text += Buffer.from(bytes).toString();
      }),
    sync: () =>
      process.effect(syncMs, () => {
        inode.syncedLength = inode.text.length;
      }),
    close: () => Promise.resolve(),
  };
}

async function readUsable({ disk, process, job }: StagingContext) {
  const found = await process.effect(callMs, () => {
    const [latest] = generationsOf(disk, "journal");
    return latest === undefined ? undefined : disk.open(nameOf("journal", latest)).text;
  });
  if (found === undefined) return undefined;
  const contents = await parseJournal(chunks(found), "journal");
  const history = readHistory(contents, job.plan, software);
  if (history === undefined) return undefined;
  if ("reason" in history) throw new AmalgamError("output_refused", history.reason);
  return { history: history satisfies JobHistory, text: found.slice(0, history.trustedBytes) };
}

async function adoptFiles({ disk, process }: StagingContext, lock: SimLock, isUsable: boolean): Promise<Inode> {
  const name = nameOf("output", lock.generation);
  for (;;) {
    const [latest] = await process.effect(callMs, () => generationsOf(disk, "output"));
    const adopted = await process.effect(callMs, () => {
      if (latest !== undefined && isUsable) {
        if (disk.get(nameOf("output", latest)) === undefined) return undefined;
        disk.rename(nameOf("output", latest), name);
      } else {
        for (const other of generationsOf(disk, "output")) disk.unlink(nameOf("output", other));
        disk.create(name);
      }
      return disk.open(name);
    });
    if (adopted !== undefined) {
      await process.effect(syncMs, () => disk.syncNames());
      return adopted;
    }
    await lock.assertHeld();
  }
}

async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
