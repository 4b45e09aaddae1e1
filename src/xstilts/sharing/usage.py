"""Usage: the code that loads an exported folder with plain transformers, by task format.

The code of each format gives what `load_model(…).predict` gives for the same input; tests run it. It holds no text of
the training data. Where transformers ships no class for a head, the code is this package's.

>>> print(usage("classification", "xlm-roberta", 128).code)  # doctest: +ELLIPSIS
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
...
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from xstilts.models.families import FAMILIES, NO_POOLER
from xstilts.models.heads import AUTO, HEADLESS, auto_class
from xstilts.models.pooling import FAMILY

NAME = "path/to/folder"
NAME_LINE = re.compile(r'^name = ".*"$', re.MULTILINE)
PIPELINES = {
    "classification": "text-classification",
    "token_classification": "token-classification",
    "extractive_qa": "question-answering",
    "multiple_choice": "multiple-choice",
    HEADLESS: "feature-extraction",
}
TEXT, SECOND = "The bridge is open.", "Nobody can cross the bridge."
EXAMPLES: dict[str, Any] = {
    "classification": TEXT,
    "token_classification": "Anna lives in Berlin .",
    "extractive_qa": {"question": "Who lives in Berlin?", "context": "Anna lives in Berlin. Otto lives in Rome."},
    "multiple_choice": {
        "context": "The bridge is closed.",
        "question": "What follows?",
        "choices": ["Nobody can cross it.", "Everybody crosses it."],
    },
    HEADLESS: [TEXT, "Die Brücke ist offen."],
}


@dataclass(frozen=True)
class Usage:
    """How to use a folder.

    Attributes:
        code: Python code, whose line `name = "…"` names the folder or the repository.
        notes: Sentences about what to give it, and what comes back.
        plain: Whether the code needs transformers only.
    """

    code: str
    notes: tuple[str, ...]
    plain: bool = True


def pipeline_of(format: str) -> str | None:
    """Return the task by which the hub lists models of a format; None where the hub has none."""
    return PIPELINES.get(format)


def usage(
    format: str,
    model_type: str,
    max_length: int,
    name: str = NAME,
    labels: tuple[str, ...] = (),
    pairs: bool = False,
    dual_encoder: bool = False,
    pooling: str = FAMILY,
) -> Usage:
    """Return the code for a folder.

    Args:
        format: The task format of its head; "bitext_retrieval" for an encoder without one.
        model_type: Family of the encoder.
        max_length: Most tokens of a sequence.
        name: Of the folder, or "owner/name" on the hub.
        labels: Labels of a token classification head.
        pairs: Whether a classification head takes pairs of texts.
        dual_encoder: Whether an encoder embeds by the pooler of a dual encoder.
        pooling: Which state of a sequence its head reads, as `Recipe.pooling`.
    """
    if dual_encoder:
        if "add_pooling_layer" not in FAMILIES[model_type].load:
            return Usage(_OWN_EMBED.format(name=json.dumps(name)), (_OWN_NOTE,), False)
        return Usage(_POOLED.format(name=json.dumps(name), max_length=max_length), (_POOLED_NOTE,))
    shown = format == "token_classification" or format in _CODE
    if not shown or (format in AUTO and auto_class(model_type, format, pooling) is None):
        return Usage(_OWN.format(name=json.dumps(name), example=_example(format, pairs)), (_OWN_NOTE,), False)
    note: tuple[str, ...]
    if format == "token_classification":
        spans = any(label[:2] in ("B-", "I-") for label in labels)
        code = _ENTITIES if spans else _TAGS
        notes = _TAGGING + ((_ENTITY_NOTE,) if spans else (_TAG_NOTE,))
        return Usage(code.format(name=json.dumps(name), text=json.dumps(EXAMPLES[format])), notes)
    code, note = _CODE[format]
    texts = f"{json.dumps(TEXT)}, {json.dumps(SECOND)}" if pairs else json.dumps(TEXT)
    family = FAMILIES[model_type]
    fields = {
        "name": json.dumps(name),
        "max_length": max_length,
        "step": max(max_length // 3, 1),
        "texts": texts,
        "auto": family.auto,
        "pooler": ", add_pooling_layer=False" if family.load == NO_POOLER else "",
        "windows_types": ', token_type_ids=windows.get("token_type_ids")' if family.token_types else "",
        "choices": _TYPED if family.token_types else _UNTYPED,
    }
    return Usage(code.format(**fields), note)


def onnx_usage(format: str, name: str = NAME, file: str = "onnx/model.onnx") -> str:
    """Return the code that runs the ONNX file of a downloaded folder."""
    return _ONNX.format(name=json.dumps(name), file=file, output="vectors" if format == HEADLESS else "logits")


def sentence_transformers_usage(name: str = NAME) -> str:
    """Return the code for the library sentence-transformers."""
    return _SENTENCES.format(name=json.dumps(name))


def renamed(text: str, name: str) -> str:
    """Return a model card, or code, with another folder or repository in its code."""
    return NAME_LINE.sub(lambda _: f"name = {json.dumps(name)}", text)


def _example(format: str, pairs: bool) -> str:
    if format == "classification" and pairs:
        return json.dumps([TEXT, SECOND])
    return json.dumps(EXAMPLES.get(format, TEXT), ensure_ascii=False)


_CLASSIFICATION = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

name = {name}
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForSequenceClassification.from_pretrained(name)
inputs = tokenizer({texts}, truncation=True, max_length={max_length}, return_tensors="pt")
with torch.no_grad():
    probabilities = model(**inputs).logits[0].softmax(-1)
label = model.config.id2label[int(probabilities.argmax())]
print(label, float(probabilities.max()))
"""

_ENTITIES = """\
from transformers import pipeline

name = {name}
tag = pipeline("token-classification", model=name, aggregation_strategy="first")
text = {text}
entities = [(text[entity["start"] : entity["end"]].strip(), entity["entity_group"]) for entity in tag(text)]
print(entities)
"""

_TAGS = """\
from transformers import pipeline

name = {name}
tag = pipeline("token-classification", model=name, aggregation_strategy="first", ignore_labels=[])
text = {text}
groups = [(text[group["start"] : group["end"]], group["entity_group"]) for group in tag(text)]
tags = [(word, label) for words, label in groups for word in words.split()]
print(tags)
"""

_TAGGING = (
    "Separate words by spaces, punctuation marks too, as in the training data. A word has the tag of its first token, "
    'the only one that was trained: take `aggregation_strategy="first"`. The strategies "simple", "average" and "max" '
    "also read tokens that were never trained, and give other tags. A character that the tokenizer does not know "
    "begins a new word in the pipeline.",
)
_ENTITY_NOTE = "The pipeline joins the words of an entity (B-… and I-…) and leaves out those tagged O."
_TAG_NOTE = "The pipeline joins neighbouring words with the same tag, which the last lines separate again."

_QA = """\
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

name = {name}
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForQuestionAnswering.from_pretrained(name)


def answer(question, context, max_length={max_length}, step={step}, best=20, longest=30):
    kept = tokenizer(
        question, add_special_tokens=False, truncation=True, max_length=max_length // 6, return_offsets_mapping=True
    )
    question = question[: kept["offset_mapping"][-1][1]]
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True) - len(kept["input_ids"])  # for the context
    windows = tokenizer(
        question, context, truncation="only_second", max_length=max_length, padding=True,
        stride=max(room - step, 0), return_overflowing_tokens=True, return_offsets_mapping=True, return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        output = model(input_ids=windows["input_ids"], attention_mask=windows["attention_mask"]{windows_types})
    spans = []
    for window, places in enumerate(windows["offset_mapping"]):
        outside = torch.tensor([owner != 1 for owner in windows.sequence_ids(window)])
        start, end = (logits[window].masked_fill(outside, -torch.inf) for logits in output.values())
        for side in (start, end):
            side[side < side.topk(min(best, len(side))).values[-1]] = -torch.inf
        allowed = torch.ones(len(start), len(end)).triu().tril(longest - 1).bool()
        scores = (start[:, None] + end[None, :]).masked_fill(~allowed, -torch.inf)
        begin, last = divmod(int(scores.argmax()), len(end))
        spans.append((float(scores.max()), int(places[begin][0]), int(places[last][1])))
    score, start, end = max(spans)
    return context[start:end].strip(), score


print(answer("Who lives in Berlin?", "Anna lives in Berlin. Otto lives in Rome."))
"""

_CHOICE = """\
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

name = {name}
tokenizer, model = (
    AutoTokenizer.from_pretrained(name, truncation_side="left"),
    AutoModelForMultipleChoice.from_pretrained(name),
)
context, question = "The bridge is closed.", "What follows?"
choices = ["Nobody can cross it.", "Everybody crosses it."]
prompts = [f"{{context}} {{question}}".strip()] * len(choices)
inputs = tokenizer(
    prompts, choices, truncation="only_first", max_length={max_length}, padding=True, return_tensors="pt"
)
with torch.no_grad():
    logits = {choices}.logits[0]
print(choices[int(logits.argmax())], logits.softmax(-1).tolist())
"""

_UNTYPED = 'model(input_ids=inputs["input_ids"][None], attention_mask=inputs["attention_mask"][None])'
_TYPED = "model(**{given: value[None] for given, value in inputs.items()})"  # with token_type_ids, where there are any

_EMBED = """\
import torch
from transformers import {auto}, AutoTokenizer

name = {name}
tokenizer, model = AutoTokenizer.from_pretrained(name), {auto}.from_pretrained(name{pooler})
texts = ["The bridge is open.", "Die Brücke ist offen."]
inputs = tokenizer(texts, padding=True, truncation=True, max_length={max_length}, return_tensors="pt")
with torch.no_grad():
    states = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
mask = inputs["attention_mask"][..., None]
vectors = (states * mask).sum(1) / mask.sum(1)
print(torch.nn.functional.cosine_similarity(vectors[0], vectors[1], dim=0))
"""

_POOLED = """\
import torch
from transformers import AutoModel, AutoTokenizer

name = {name}
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name)
texts = ["The bridge is open.", "Die Brücke ist offen."]
inputs = tokenizer(texts, padding=True, truncation=True, max_length={max_length}, return_tensors="pt")
with torch.no_grad():
    vectors = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).pooler_output
print(torch.nn.functional.cosine_similarity(vectors[0], vectors[1], dim=0))
"""
_POOLED_NOTE = (
    "The model is a dual encoder: a vector is the pooled state of a text; compare vectors by cosine. transformers may "
    "note that it does not use `logit_scale`, which scaled similarities in training."
)

_CODE: dict[str, tuple[str, tuple[str, ...]]] = {
    "classification": (_CLASSIFICATION, ()),
    "extractive_qa": (
        _QA,
        (
            "transformers 5 has no pipeline for question answering. The function reads a long context in overlapping "
            "windows and returns the best span with its score (the sum of two logits).",
        ),
    ),
    "multiple_choice": (_CHOICE, ()),
    HEADLESS: (_EMBED, ("A vector is the mean of the last hidden states of all tokens; compare vectors by cosine.",)),
}

_OWN = """\
import xstilts as xs

name = {name}
model = xs.load_model(name)  # of a model on the hub: xs.load_model(huggingface_hub.snapshot_download(name))
print(model.predict([{example}]))
"""
_OWN_EMBED = """\
import xstilts as xs

name = {name}
model = xs.load_model(name)  # of a model on the hub: xs.load_model(huggingface_hub.snapshot_download(name))
vectors = model.embed(["The bridge is open.", "Die Brücke ist offen."])
print(vectors.shape)
"""
_OWN_NOTE = (
    "transformers ships no class for this head in this family of encoders, so that the folder is loaded with xstilts "
    "(`pip install xstilts`). The encoder alone loads with `AutoModel`."
)

_ONNX = """\
import onnxruntime
from transformers import AutoTokenizer

name = {name}
tokenizer = AutoTokenizer.from_pretrained(name)
session = onnxruntime.InferenceSession(f"{{name}}/{file}", providers=["CPUExecutionProvider"])
inputs = tokenizer("The bridge is open.", return_tensors="np")
({output},) = session.run(None, {{given.name: inputs[given.name] for given in session.get_inputs()}})
"""

_SENTENCES = """\
from sentence_transformers import SentenceTransformer

name = {name}
model = SentenceTransformer(name)
vectors = model.encode(["The bridge is open.", "Die Brücke ist offen."])
print(model.similarity(vectors[:1], vectors[1:]))
"""
