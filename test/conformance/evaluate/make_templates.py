"""What Jinja2 makes of templates over a row, with lm-evaluation-harness's settings (lm_eval/utils.py, apply_template).

    python make_templates.py     # Jinja2 3.1.6

templates.json holds the row and, for each template, its value where it is one expression and nothing else, and its text
everywhere else.
"""

import json
import re
from pathlib import Path

from jinja2 import Environment, StrictUndefined

ROW = {
    "question": "Why?",
    "query-id": 7,
    "choices": {"text": ["one", "two"], "label": ["A", "B"]},
    "turns": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}],
    "score": 0.5,
    "count": 3,
    "padded": "  a b ",
    "nothing": None,
    "flag": True,
}

TEMPLATES = [
    "{{ question }}",
    "Q: {{question}}\nA:",
    "Q: {{question}}\n",
    "Q: {{question}}\n\n",
    "{{ question }}\n",
    "{{ choices.text }}",
    '{{ choices["text"] }}',
    "{{ choices.text[1] }}",
    "{{ choices.text[-1] }}",
    "{{ [choices.text[0], question] }}",
    "{{ score * 2 + 1 }}",
    "{{ count // 2 }} {{ count / 2 }} {{ count % 2 }} {{ 2 ** count }}",
    "{{ question | lower }}",
    "{{ question.upper() }}",
    "{{ padded.strip() }}|{{ padded | trim }}|{{ padded }}",
    "{{ question | replace('?', '!') }}",
    "{{ question.split('h')[0] }}",
    "{{ choices.text | length }}",
    "{{ choices.text | join(', ') }} or {{ choices.text | last }}",
    '{{ context | default("none") }}',
    "{% if context is defined %}{{ question }}{% endif %}!",
    "{% if score > 0.2 and flag %}high{% else %}low{% endif %}",
    "{% for c in choices.text %}{{ loop.index }}) {{ c }} {% endfor %}",
    "{% for c in choices.text %}\n{{ choices.label[loop.index0] }}. {{ c }}\n{%- endfor %}\nAnswer:",
    "{%- if flag -%}  x  {%- endif -%}  y",
    "{% set q = question %}{{ q }}{{ q }}",
    "{% for t in turns if t.role == 'user' %}{{ t.content }}{% endfor %}",
    '{{ turns | map(attribute="content") | list }}',
    "{% for k, v in choices.items() %}{{ k }}={{ v[0] }};{% endfor %}",
    "{{ nothing }}",
    "{{ nothing is none }}",
    "{{ flag and not false }}",
    "{{ score > 0 or missing is defined }}",
    "{{ question[:2] ~ score }}",
    "{{ 'yes' if flag else 'no' }}",
    "{{ question in 'Why? Because' }}",
    "{# a note #}{{ question }}{# another #}!",
]

environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)


def result_of(template):
    lone = re.fullmatch(r"\{\{([^{}]*)\}\}", template)
    if lone:
        return environment.compile_expression(lone[1], undefined_to_none=False)(**ROW)
    return environment.from_string(template).render(**ROW)


goldens = {"row": ROW, "templates": [[template, result_of(template)] for template in TEMPLATES]}
path = Path(__file__).with_name("templates.json")
path.write_text(json.dumps(goldens, indent=1, ensure_ascii=False) + "\n")
