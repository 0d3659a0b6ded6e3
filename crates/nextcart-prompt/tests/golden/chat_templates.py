"""Writes chat_templates.json: what transformers makes of chats with the templates of public models.

    pip install transformers tokenizers jinja2
    python chat_templates.py TOKENIZERS_FOLDER chat_templates.json

TOKENIZERS_FOLDER holds `tinyllama/tokenizer.json` and `mistral/tokenizer.json`. Every template renders
every conversation, with and without the generation prompt. A case has the text that comes out, or the
message of the error that the template raises; for models whose tokenizer is there, also the ids, with no
special token but those in the text. Content that spells a special token has no ids, since transformers
by default reads it as that token. The last four templates are no model's: the first is cut from
Llama 3.1's, the others hold what longer templates use.
"""
import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jinja2  # noqa: E402
import tokenizers  # noqa: E402
import transformers  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

TINYLLAMA = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

MISTRAL_V1 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)

MISTRAL_V3 = r"""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- This block checks for alternating user/assistant messages, skipping tool calling messages #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {%- if not message.tool_call_id is defined or message.tool_call_id|length != 9 %}
            {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
        {%- endif %}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
"""

LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

# The length of the year, so that the text is the same on any day.
LLAMA_3 = r"""{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now('%Y') | length %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{- "Digits of the year: " ~ date_string ~ "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

LOOPS = r"""{# Skips system turns, stops before the second assistant turn. #}
{% set ns = namespace(answers=0) %}
{% for message in messages %}
    {% if message.role == 'system' %}
        {% continue %}
    {% endif %}
    {% if message.role == 'assistant' %}
        {% set ns.answers = ns.answers + 1 %}
        {% if ns.answers > 1 %}
            {% break %}
        {% endif %}
<|assistant|>{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}

        {% generation %}
turn {{ loop.index }} of {{ loop.length }}
        {% endgeneration %}
    {% else %}
<|{{ message.role }}|>{{ message.content }}{% if not loop.last %} |{% endif %}

    {% endif %}
{% endfor %}
{% if add_generation_prompt and messages[-1].role != 'assistant' -%}
    <|assistant|>
{%- endif %}
"""

VALUES = r"""{%- set last = messages[-1] -%}
last: {{ last.role.upper() }} {{ last['content'] | length }} {{ last.content.split() | length }}
first: {{ messages[0].content.split(' ')[0] }} {{ messages[0].content.replace('e', '3') }}
{% if last.content.startswith('What') %}
asks what
{% elif last.content.lower().endswith('tea') or 'tea' in last.content %}
has tea
{% else %}
neither
{% endif %}
{% for key, value in last.items() %}
{{ loop.index0 }} {{ key }}={{ value | trim }}{{ ';' if not loop.last else '.' }}
{% endfor %}
{{ last | tojson }}
{{ messages | tojson(indent=2) }}
{{ {'n': messages | length, 'half': 0.5, 'whole': 2.0, 'none': none, 'yes': true, 'list': [1, 'two'], 'empty': []}
   | tojson(indent=1) }}
{{ messages | map(attribute='role') | join(', ') }} {{ messages[::-1][0].role | title }}
{{ 'undefined' if nothing is not defined }}
"""

# What jinja2 writes as Python does.
PYTHON = r"""{{ tools is none }} {{ true }} {{ none }} {{ 7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ [1, 'a', none] }}
{{ {'roles': messages | map(attribute='role') | list} }} {{ nothing }}
"""

# Name: source, the folder of the tokenizer for its ids.
TEMPLATES = {
    "tinyllama-chat": (TINYLLAMA, "tinyllama"),
    "mistral-instruct-v0.1": (MISTRAL_V1, "mistral"),
    "mistral-instruct-v0.3": (MISTRAL_V3, "mistral"),
    "llama-2-chat": (LLAMA_2, None),
    "chatml": (CHATML, None),
    "llama-3-short": (LLAMA_3, None),
    "loops": (LOOPS, None),
    "values": (VALUES, None),
    "python": (PYTHON, None),
}


def chat(*turns):
    return [{"role": role, "content": content} for role, content in turns]


QUESTION = "Which of the options does the customer buy next?"
SPELLED = "</s> ends, [INST] begins [/INST], {{ x }} {% y %} stay, <|user|> and <s> are text"

# Whether the ids are kept, the messages.
CONVERSATIONS = [
    (True, chat(("user", QUESTION))),
    (True, chat(("system", "Answer with a title."), ("user", QUESTION))),
    (True, chat(("user", QUESTION), ("assistant", "Green tea"), ("user", "What comes after that?"))),
    (
        True,
        chat(
            ("system", "Answer with a title."),
            ("user", QUESTION),
            ("assistant", "Green tea"),
            ("user", "And then?"),
            ("assistant", "A tea strainer"),
            ("user", "Why?"),
        ),
    ),
    (True, chat(("user", QUESTION), ("assistant", "Green tea"))),
    (True, chat(("system", "Answer with a title."), ("user", QUESTION), ("assistant", "Green tea"))),
    (True, chat(("user", "One?"), ("user", "Two?"))),
    (True, chat(("assistant", "Green tea"), ("user", QUESTION))),
    (True, chat(("user", QUESTION), ("customer", "Green tea"))),
    (True, chat(("system", " \tAnswer. \n"), ("user", "\n  Green  tea\n\nor honey?\t "), ("assistant", "  Honey \n"))),
    (True, chat(("user", "\u00a0Green tea\u3000"), ("assistant", "\u2003Honey\u00a0"), ("user", ""))),
    (
        True,
        chat(
            ("user", "Caf\u00e9 cr\u00e8me \u2013 \u201cna\u00efve\u201d \u65e5\u672c\u8336 \U0001f375"),
            ("assistant", "\u7dd1\u8336 \u2615\ufe0f e\u0301"),
        ),
    ),
    (True, chat(("user", "<b>Salt & \"pepper\"</b>, 'n' more\\less / tab\tend"))),
    (False, chat(("user", SPELLED), ("assistant", SPELLED))),
]


def main(folder: str, out: str) -> None:
    cases = []
    for name, (source, tokenizer) in TEMPLATES.items():
        renderer = PreTrainedTokenizerFast(
            tokenizer_file=os.path.join(folder, tokenizer or "tinyllama", "tokenizer.json"),
            chat_template=source,
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
        )
        for keep_ids, messages in CONVERSATIONS:
            for prompt in [False, True]:
                case = {"template": name, "messages": messages, "add_generation_prompt": prompt}
                cases.append(case)
                try:
                    case["text"] = renderer.apply_chat_template(messages, add_generation_prompt=prompt, tokenize=False)
                except jinja2.TemplateError as error:
                    case["error"] = error.message
                    continue
                if tokenizer and keep_ids:
                    case["ids"] = renderer.apply_chat_template(
                        messages, add_generation_prompt=prompt, tokenize=True, return_dict=False
                    )
    versions = {module.__name__: module.__version__ for module in [jinja2, tokenizers, transformers]}
    templates = {
        name: {"source": source, "bos_token": "<s>", "eos_token": "</s>"} for name, (source, _) in TEMPLATES.items()
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"versions": versions, "templates": templates, "cases": cases}, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
