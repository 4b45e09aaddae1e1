"""Names that a store is made of: of stages, of files in their folders, of roles, and of formats in keys.

They are on disk and in keys, so that they never change. The stages of the first release are called by the paths that
their functions had then, and the formats of tasks by names of one word; code calls both by the constants here.
"""

from __future__ import annotations

# Stages.
READ = "xstilts.data.read"
TOKENIZER = "xstilts.pretrain.tokenizer"
UNTRAINED = "xstilts.pretrain.untrained"
TRAIN = "xstilts.train.train"
LAYER_RESET = "xstilts.graft.graft"
COMBINE = "xstilts.combine.combine"
FIRST_LAYERS = "xstilts.training.first_layers"
PREDICT = "xstilts.predict.predict"
PROMPTED = "prompted"
SCORE = "xstilts.score.score"
CONTAMINATION = "xstilts.overlap.overlap"
FEATURES = "xstilts.features.features"
TEXT_EMBEDDING = "xstilts.taskspace.text_embedding"
FISHER = "xstilts.taskspace.fisher"
GRADIENT_NOISE = "xstilts.noise.noise"
TRANSLATE = "xstilts.translation.translate"
GIVEN_TRANSLATIONS = "xstilts.translation.given"
TRANSLATED = "xstilts.translation.translated"

# Stages whose result is a model: its weights can be dropped when nothing needs them any more.
MODELS = frozenset({UNTRAINED, TRAIN, LAYER_RESET, COMBINE, FIRST_LAYERS})

# Files in the folders of stages.
MANIFEST_FILE = "stage.json"
EXAMPLES_FILE = "examples.jsonl"
MODEL_FOLDER = "model"
SNAPSHOTS_FOLDER = "snapshots"
HISTORY_FILE = "history.jsonl"
CHECKPOINT_FILE = "checkpoint.safetensors"
PREDICTIONS_FILE = "predictions.jsonl"
SCORE_FILE = "score.json"
CONTRIBUTIONS_FILE = "contributions.jsonl"
TRANSLATIONS_FILE = "translations.jsonl"
ALIGNMENTS_FILE = "alignments.jsonl"
FIXED_LAYER_FILE = "contributions_at_fixed_layer.jsonl"
EXPORT_FILE = "xstilts.json"  # in exported folders

# Roles of the stages behind a result, and the setting without intermediate training.
INTERMEDIATE = "intermediate"
TARGET = "target"
PRETRAINING = "pretraining"
BASELINE = "baseline"

_FORMATS = {
    "extractive_qa": "span",
    "token_classification": "tagging",
    "multiple_choice": "choice",
    "masked_lm": "mlm",
    "passage_ranking": "ranking",
    "bitext_mining": "mining",
    "bitext_retrieval": "retrieval",
}


def format_in_keys(name: str) -> str:
    """Return the name that a task format has in keys and manifests.

    >>> format_in_keys("extractive_qa"), format_in_keys("classification")
    ('span', 'classification')
    """
    return _FORMATS.get(name, name)


def format_from_key(name: str) -> str:
    """Return the task format that keys and manifests call by a name.

    >>> format_from_key("span"), format_from_key("classification")
    ('extractive_qa', 'classification')
    """
    return next((format for format, short in _FORMATS.items() if short == name), name)
