import { allOrNone } from "../../recipe/complaints.js";
import type { ClassificationSettings, CustomSettings, MultiLabelSettings } from "./settings.js";
import { folderColumn, readData, readInput, readLabels, readPooling, readTokens } from "./shared-fields.js";
import type { TaskFields } from "./task-fields.js";
import { compileTemplate, type Template } from "./template.js";

export function readClassification(fields: TaskFields): ClassificationSettings | undefined {
  const data = readData(fields);
  const input = readInput(fields, data?.data);
  const isFolder = data?.data.format === "images" && !fields.has("label");
  const label = isFolder ? folderColumn(fields, "label") : fields.required("label", (key) => fields.column(key));
  const labels = readLabels(fields);
  const prompts = fields.has("prompts") ? readPrompts(fields) : [];
  return data && input && label && prompts && { ...data, ...readTokens(fields), input, label, labels, prompts };
}

function readPrompts(fields: TaskFields): readonly Template[] | undefined {
  const prompts = fields.texts("prompts")?.map((written) => {
    const template = fields.proseOf("prompts", written);
    if (template === undefined || compileTemplate(template).names.has("label")) return template;
    return fields.complain(written.at, 'A prompt must name its class, as in "a photo of a {{label}}."');
  });
  return prompts && allOrNone(prompts);
}

export function readMultiLabel(fields: TaskFields): MultiLabelSettings | undefined {
  const data = readData(fields);
  const input = readInput(fields, data?.data);
  const labels = readLabels(fields);
  const answers = fields.required("answers", () => readAnswers(fields, labels));
  const threshold = fields.fraction("threshold", 0, 1) ?? 0.5;
  return data && input && answers && { ...data, ...readTokens(fields), input, labels, answers, threshold };
}

function readAnswers(
  fields: TaskFields,
  labels: readonly string[] | undefined,
): Template | readonly Template[] | undefined {
  const node = fields.entry("answers")?.value;
  if (node?.kind !== "list") return fields.column("answers");
  const columns = fields.texts("answers");
  if (columns !== undefined && labels !== undefined && columns.length !== labels.length) {
    const problem = `Key "answers" lists ${columns.length} columns, and there are ${labels.length} labels`;
    return fields.complain(node.at, problem);
  }
  return columns && allOrNone(columns.map((column) => fields.template(column)));
}

export function readCustom(fields: TaskFields): CustomSettings | undefined {
  const data = readData(fields);
  const input = readInput(fields, data?.data);
  const module = fields.required("module", (key) => fields.text(key));
  const output = fields.choice("output", ["logits", "vectors", "hidden"]) ?? "logits";
  const rest = { ...readPooling(fields), ...readTokens(fields), output };
  return data && input && module && { ...data, ...rest, input, module: fields.needs(module) };
}
