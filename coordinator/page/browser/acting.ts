import { announce, byId, setText } from "./dom.js";
import { post } from "./requests.js";
import { oneLine } from "./words.js";

interface Question {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly url: string;
}

let asked: Question | undefined;

export function askToCancel(job: string): void {
  ask({
    title: `Cancel job ${oneLine(job, 80)}?`,
    text: "Its units end. What is done is kept, and the same submit goes on with it.",
    yes: "Cancel the job",
    url: `/api/jobs/${encodeURIComponent(job)}/cancel`,
  });
}

export function askToDrain(node: string): void {
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

/** What changes something is asked once more, by its name. `onRefused`: whoever asks is not logged in, or not any more. */
export function drawActing(onRefused: () => void): void {
  byId("confirm-no").addEventListener("click", () => byId("confirm").close());
  byId("confirm-yes").addEventListener("click", () => void go(onRefused));
}

async function go(onRefused: () => void): Promise<void> {
  const question = asked;
  if (question === undefined) return;
  byId("confirm-yes").disabled = true;
  const { status, problem } = await post(question.url);
  // Another one is asked for meanwhile.
  if (asked !== question) return;
  byId("confirm-yes").disabled = false;
  setText(
    byId("confirm-problem"),
    status === 401 ? "You are not logged in any more: log in, and ask again" : (problem ?? ""),
  );
  if (status === 401) onRefused();
  if (problem !== undefined) return;
  announce("It was asked for");
  byId("confirm").close();
}
