import { announce, byId, post, setText } from "./dom.js";
import type { Page } from "./page.js";
import { oneLine } from "./words.js";

interface Question {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly url: string;
}

let asked: Question | undefined;

export function askToCancel(_: Page, job: string): void {
  ask({
    title: `Cancel job ${oneLine(job, 80)}?`,
    text: "Its units end. What is done is kept, and the same submit goes on with it.",
    yes: "Cancel the job",
    url: `/api/jobs/${encodeURIComponent(job)}/cancel`,
  });
}

export function askToDrain(_: Page, node: string): void {
  ask({
    title: `Drain agent ${oneLine(node, 80)}?`,
    text: "It finishes what it runs, takes nothing more, and leaves the cluster. Whoever looks after it may start it again.",
    yes: "Drain the agent",
    url: `/api/nodes/${encodeURIComponent(node)}/drain`,
  });
}

function ask(question: Question): void {
  asked = question;
  setText(byId("confirm-title"), question.title);
  setText(byId("confirm-text"), question.text);
  setText(byId("confirm-yes"), question.yes);
  setText(byId("confirm-problem"), "");
  byId("confirm-yes").disabled = false;
  byId("confirm").showModal();
}

/** What changes something is asked once more, by its name. */
export function drawActing(): void {
  byId("confirm-no").addEventListener("click", () => byId("confirm").close());
  byId("confirm-yes").addEventListener("click", () => void go());
}

async function go(): Promise<void> {
  if (asked === undefined) return;
  byId("confirm-yes").disabled = true;
  const problem = await post(asked.url);
  byId("confirm-yes").disabled = false;
  setText(byId("confirm-problem"), problem ?? "");
  if (problem !== undefined) return;
  announce("It was asked for");
  byId("confirm").close();
}
