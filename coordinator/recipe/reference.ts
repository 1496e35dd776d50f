import type { Complaints } from "./complaints.js";
import type { Fields } from "./fields.js";
import type { Located } from "./recipe.js";

/**
 * The model that `key` refers to, as written. `org/model@revision` and `model+lora` mean something to mergekit that we
 * don't support yet; a path, which begins with `.` or `/`, may hold those characters, and looking for it decides.
 */
export function readModelReference(fields: Fields, key: string, complaints: Complaints): Located<string> | undefined {
  const node = fields.entry(key)?.value;
  if (node?.kind === "mapping") {
    return complaints.add(node.at, "A model given as a mapping is not supported yet, give its path as a string");
  }
  const reference = fields.text(key);
  if (reference === undefined || /^[./]/.test(reference.value)) return reference;
  if (reference.value.includes("+")) {
    return complaints.add(
      reference.at,
      'A model with a LoRA, "model+lora", is not supported yet, merge the LoRA into it first',
    );
  }
  if (reference.value.includes("@")) {
    return complaints.add(
      reference.at,
      'A revision, "model@revision", is not supported yet, download it and give its path',
    );
  }
  return reference;
}
