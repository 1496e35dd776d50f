/**
 * The chat templates that a recipe may name: mergekit's names, the formats as their makers published them. All blanks
 * around tags are cut by the tags themselves, so that they read the same with and without Jinja's `trim_blocks`.
 */
export const builtInTemplates: ReadonlyMap<string, string> = new Map([
  ["alpaca", alpaca()],
  ["chatml", chatml()],
  ["exaone", exaone()],
  ["llama3", llama3()],
  ["mistral", mistral()],
]);

/** Taori et al., Stanford Alpaca, 2023; a system message stands where the published preamble does. */
function alpaca(): string {
  return `{%- for message in messages %}
  {%- if message['role'] == 'system' %}
    {{- message['content'] | trim + '\\n\\n' }}
  {%- elif message['role'] == 'user' %}
    {{- '### Instruction:\\n' + message['content'] | trim + '\\n\\n' }}
  {%- elif message['role'] == 'assistant' %}
    {{- '### Response:\\n' + message['content'] | trim + '\\n\\n' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '### Response:\\n' }}
{%- endif %}`;
}

/** OpenAI, Chat Markup Language, 2023. */
function chatml(): string {
  return `{%- for message in messages %}
  {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\\n' }}
{%- endif %}`;
}

/** LG AI Research, EXAONE 3.0, 2024: the system's turn is there even when it is empty. */
function exaone(): string {
  return `{%- if messages[0]['role'] != 'system' %}
  {{- '[|system|][|endofturn|]\\n' }}
{%- endif %}
{%- for message in messages %}
  {{- '[|' + message['role'] + '|]' + message['content'] }}
  {{- '\\n' if message['role'] == 'user' else '[|endofturn|]\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '[|assistant|]' }}
{%- endif %}`;
}

/** Meta, Llama 3 model card, 2024. */
function llama3(): string {
  return `{{- bos_token }}
{%- for message in messages %}
  {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
  {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}`;
}

/** Mistral AI, Mistral 7B Instruct v0.2, 2023: a system message opens the first instruction. */
function mistral(): string {
  return `{{- bos_token }}
{%- set ns = namespace(system='') %}
{%- for message in messages %}
  {%- if message['role'] == 'system' %}
    {%- set ns.system = message['content'] | trim + '\\n\\n' %}
  {%- elif message['role'] == 'user' %}
    {{- ' [INST] ' + ns.system + message['content'] | trim + ' [/INST]' }}
    {%- set ns.system = '' %}
  {%- elif message['role'] == 'assistant' %}
    {{- ' ' + message['content'] | trim + eos_token }}
  {%- endif %}
{%- endfor %}`;
}
