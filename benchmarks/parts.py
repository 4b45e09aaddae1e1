"""Parts: what the page of results consists of: a benchmark, at which size, and which of its figures are wanted how.

Sizes on a CPU are such that all parts end within half an hour on two cores. Where a size is cut (fewer layers,
fewer examples), it is one that the ratio does not hang on, and the prose says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure of a benchmark, what it is called, its unit, and what is wanted of its median, if anything is."""

    what: str
    figure: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Part:
    """A benchmark and its section of the page.

    sizes: left out in miniature. device: the benchmark asks for one. needs: an environment variable without which the
    part is left out.
    """

    name: str
    title: str
    script: str
    prose: str
    rows: tuple[Row, ...]
    arguments: str = ""
    sizes: str = ""
    device: bool = True
    needs: str = ""


def _speed(side: str, unit: str = "examples/s") -> Row:
    return Row(f"`{side}`", f"{side}_examples_per_second", unit)


def _fine_tuning(common: float, tuned: float | None, memory: bool) -> tuple[Row, ...]:
    rows = (
        Row("times as fast as `common`", "times_as_fast_as_common", "×", at_least=common),
        Row("times as fast as `tuned`", "times_as_fast_as_tuned", "×", at_least=tuned),
        *map(_speed, ("ours", "common", "tuned")),
    )
    more = (
        Row("peak memory, of that of `common`", "memory_of_common", "×", at_most=0.5),
        Row("peak memory, of that of `tuned`", "memory_of_tuned", "×", at_most=0.5),
        *(Row(f"peak memory of `{side}`", f"{side}_peak_mib", "MiB") for side in ("ours", "common", "tuned")),
    )
    return rows + more if memory else rows


def _script(kind: str, script: str) -> tuple[Row, ...]:
    return (
        Row(f"{script}: times as fast as `published`", f"{kind}_times_as_fast_as_published", "×", at_least=5),
        Row("times as fast as `tuned`", f"{kind}_times_as_fast_as_tuned", "×", at_least=2),
        Row(
            "times as fast to the score of `published`", f"{kind}_times_as_fast_to_score_of_published", "×", at_least=5
        ),
        Row("times as fast to the score of `tuned`", f"{kind}_times_as_fast_to_score_of_tuned", "×", at_least=2),
        Row("peak memory, of that of `published`", f"{kind}_memory_of_published", "×", at_most=0.3),
        Row("peak memory, of that of `tuned`", f"{kind}_memory_of_tuned", "×", at_most=0.4),
        *(Row(f"score of `{side}`", f"{kind}_{side}_score") for side in ("published", "as_published", "tuned", "ours")),
        Row("training examples", f"{kind}_examples"),
    )


TRAINING = (
    "with random weights and made texts; `common` is the usual example script with Trainer, which pads to a fixed "
    "length, `tuned` is Trainer with dynamic padding, grouping by length and fused AdamW. The data are taken to show "
    "40,000 distinct tokens of the 250,002, a guess on which the memory and the time of our optimiser depend."
)
EVALUATION = (
    "One network answers examples as long as XNLI's, language after language; `padded` is the loop of common scripts, "
    "batches of 32 in the file's order padded to 128, `longest` pads to the longest of a batch. A round is a language. "
    "All give the same answers, up to rounding."
)
EVALUATION_ROWS = (
    Row("times as fast as `padded`, all languages", "all_languages_times_as_fast_as_padded", "×", at_least=2),
    Row("by language", "times_as_fast_as_padded", "×"),
    Row("times as fast as `longest`, all languages", "all_languages_times_as_fast_as_longest", "×"),
    Row("by language", "times_as_fast_as_longest", "×"),
    *map(_speed, ("ours", "padded", "longest")),
    Row("largest difference of a probability from `padded`", "largest_difference_from_padded"),
    Row("lengths", "lengths"),
    Row("languages", "languages"),
    Row("examples of each", "examples_a_language"),
)
PREFIX = (
    "The upper quarter of the layers learns to tag sentences of PAN-X's lengths for ten epochs: frozen layers once a "
    "sequence (`stored`, the states' computing and writing included), or in every step (`naive`)."
)
PREFIX_ROWS = (
    Row("times as fast as `naive`", "times_as_fast_as_naive", "×", at_least=1.6),
    Row("times as fast as training all layers", "times_as_fast_as_full", "×", at_least=3),
    Row("`stored`", "stored_seconds", "s"),
    Row("`naive`", "naive_seconds", "s"),
    Row("difference of the last losses", "difference_of_last_losses"),
)

PRODUCTS = (
    "{encoder}, batches of 32, one thread, processor time: what torch's matrix products reach alone (`bare`: those of "
    "the step, with the same shapes and layouts, attention's among them) and with everything else that a step does. "
    "`passes` are the step's forward and backward passes, `step` has clipping and AdamW too. Padding is the only "
    "waste: a batch on a CPU is padded and not packed."
)


def _products(least: float) -> tuple[Row, ...]:
    rows = []
    for name in ("udpos", "snli"):
        rows += [
            Row(f"{name}: passes, of `bare`", f"{name}_passes_of_bare_percent", "%", at_least=least),
            Row(f"{name}: step, of `bare`", f"{name}_step_of_bare_percent", "%"),
            *(
                Row(f"{name}: `{side}`", f"{name}_{side}_gflops_per_second", "GFLOP/s")
                for side in ("peak", "bare", "passes", "step")
            ),
            Row(f"{name}: step", f"{name}_tokens_per_second", "tokens/s"),
            Row(f"{name}: in bf16, times as fast", f"{name}_bf16_times_as_fast", "×"),
            Row(f"{name}: tokens of the step", f"{name}_tokens"),
            Row(f"{name}: its passes", f"{name}_passes"),
            Row(f"{name}: padding, of the tokens", f"{name}_padding_percent", "%"),
        ]
    return tuple(rows)


def _short_stages(*names: str) -> tuple[Row, ...]:
    rows = []
    for name in names:
        said = name.replace("_", " ")
        rows += [
            Row(f"{said}: the submitting process, for each stage", f"{name}_scheduler_ms", "ms", at_most=20),
            Row(f"{said}: stages an hour", f"{name}_stages_an_hour"),
            Row(f"{said}: of that time the submitting process computes", f"{name}_busy_percent", "%"),
            Row(f"{said}: until the first stage has ended", f"{name}_first_seconds", "s"),
        ]
    return (*rows, Row("stages", "short_stages"), Row("cores", "cores"))


def _scheduling(*names: str) -> tuple[Row, ...]:
    rows = []
    for name in names:
        wanted = 1.1 if name in ("ray", "slurm") else None
        rows += [
            Row(f"`{name}`: longer than `bound` by a factor of", f"{name}_of_bound", "×", at_most=wanted),
            Row(f"`{name}`: hours", f"{name}_hours", "h"),
            Row(f"`{name}`: jobs", f"{name}_jobs"),
            Row(f"`{name}`: GPUs idle", f"{name}_idle_percent", "%"),
            Row(f"`{name}`: processor time for each stage", f"{name}_processor_ms_a_stage", "ms"),
        ]
    return tuple(rows)


SHORT_STAGES = (
    "Stages that write one short file, half of them after another one. What is left is what any stage costs: its lock, "
    "its record on the disk, the message to a worker and back. One process builds them alone; else processes of one "
    "thread. Counted from the first stage's end; where the submitting process computes all the time it is what bounds "
    "the rate, else it is the disk and the workers."
)

CPU = (
    Part(
        "fine_tuning",
        "Fine-tuning on pairs",
        "fine_tuning.py",
        f"XLM-R base's shape, sequences as long as XNLI's, batches of 32, fp32, {TRAINING} Rounds of two steps are "
        "few. Peak memory is that of a process of its own.",
        _fine_tuning(2.5, 1.1, memory=True),
        "--memory",
        "--steps 2 --rounds 2",
    ),
    Part(
        "fine_tuning_squad",
        "Fine-tuning on questions",
        "fine_tuning.py",
        f"The same with windows as long as SQuAD's, `common` padding to 384, batches of 8, fp32, {TRAINING}",
        _fine_tuning(1.5, None, memory=False),
        "--lengths squad",
        "--batch 8 --steps 3 --rounds 2",
    ),
    Part(
        "matrix_products_small",
        "Matrix products of a small encoder",
        "matrix_products.py",
        PRODUCTS.format(encoder="The shape of multilingual-e5-small (12 layers, width 384)"),
        _products(60),
        "--shape small",
        "--rounds 5",
        device=False,
    ),
    Part(
        "matrix_products_base",
        "Matrix products of XLM-R base",
        "matrix_products.py",
        PRODUCTS.format(encoder="The shape of XLM-R base (12 layers, width 768)"),
        _products(60),
        "--shape base",
        "--rounds 3",
        device=False,
    ),
    Part(
        "threads",
        "Threads and processes",
        "threads.py",
        "The shape of multilingual-e5-small, sentences of UD-POS, batches of 32: a process with a thread a core, whose "
        "threads wait as OpenMP lets them (`spinning`) or as `xstilts` does (`sleeping`), alone and beside one process "
        "that is busy; and one training after the other with all threads against a training a core with one thread "
        "each. Seconds are those of the clock on the wall; the ratios hang on nothing else running.",
        (
            Row("beside a busy process: sleeping, times as fast", "sleeping_beside_times_as_fast", "×", at_least=1),
            Row("alone: sleeping, times as fast", "sleeping_times_as_fast", "×"),
            Row("a process a core, times as fast", "process_a_core_times_as_fast", "×", at_least=1),
            *(
                Row(name.replace("_", " "), f"{name}_seconds_a_step", "s a step")
                for name in (
                    "spinning",
                    "sleeping",
                    "spinning_beside",
                    "sleeping_beside",
                    "one_process",
                    "process_a_core",
                )
            ),
            Row("cores", "cores"),
        ),
        sizes="--steps 4 --rounds 3",
        device=False,
    ),
    Part(
        "frozen_prefix", "Frozen layers", "frozen_prefix.py", PREFIX, PREFIX_ROWS, "--full", "--examples 64 --rounds 2"
    ),
    Part(
        "evaluation",
        "Evaluation in fifteen languages",
        "evaluation.py",
        f"{EVALUATION} The network has the width of XLM-R base and three of its twelve layers; a language has few "
        "examples, so our batches have as many fewer tokens than usual.",
        EVALUATION_ROWS,
        sizes="--layers 3 --examples 96 --micro-tokens 1024",
    ),
    Part(
        "bulk_prediction",
        "Predictions for many lines",
        "bulk_prediction.py",
        "`ours` is `Model.stream` over a file of 100,000 made lines, in windows of at most 4,096 lines; `padded` is "
        "a loop of transformers, 32 lines at a time in the file's order, each batch padded to its longest line. "
        "Both answer a tenth of the file in turns, on one thread, with the same probabilities up to rounding. The "
        "network is small (XLM-R's shape, two layers, 192 wide, random weights), so tokenizing and what surrounds the "
        "network weigh more than with XLM-R base. Memory is the resident set of the process during a stream over the "
        "whole file, before the other side is loaded.",
        (
            Row("times as fast as `padded`", "times_as_fast_as_padded", "×", at_least=1),
            Row("`ours`", "ours_lines_per_second", "lines/s"),
            Row("`padded`", "padded_lines_per_second", "lines/s"),
            Row("resident after a tenth of the lines", "resident_mib_after_a_tenth", "MiB"),
            Row("resident after all", "resident_mib_after_all", "MiB"),
            Row("growth", "memory_growth_percent", "%", at_most=5),
            Row("largest difference of a probability", "largest_difference"),
            Row("lines", "lines"),
            Row("tokens a line", "tokens_per_line"),
        ),
        sizes="--lines 100000 --layers 2",
    ),
    Part(
        "retrieval",
        "Retrieval at every layer",
        "retrieval.py",
        "Sentences of about Tatoeba's lengths through twelve layers a third as wide as XLM-R base's: vectors of all "
        "layers from one pass, against a pass for each. Then the search alone, in blocks against the whole table.",
        (
            Row("times as fast as a pass for each layer", "times_as_fast_as_pass_a_layer", "×"),
            Row("one pass", "one_pass_seconds", "s"),
            Row("a pass for each layer", "pass_a_layer_seconds", "s"),
            Row("largest difference of a vector's number", "largest_difference"),
            Row("search: times as fast as the whole table", "search_times_as_fast_as_table", "×"),
            Row("pairs", "pairs"),
            Row("layers of states", "layers_of_states"),
        ),
        sizes="--pairs 500 --width 256 --rounds 2",
    ),
    Part(
        "mining",
        "Mining",
        "mining.py",
        "Translations among random vectors, block by block; the whole table of similarities is what a plain program "
        "holds. [150,000 a side](tasks-small.md#mining-at-size) was measured apart.",
        (
            Row("sentences a side", "rows"),
            Row("mining", "seconds", "s"),
            Row("peak memory", "peak_mib", "MiB"),
            Row("of which before", "before_mib", "MiB"),
            Row("the whole table would be", "table_mib", "MiB"),
            Row("times as fast as the table, where both fit", "times_as_fast_as_table", "×"),
            Row("sentences a side there", "table_rows"),
        ),
        sizes="--rows 20000 --table-rows 4000",
        device=False,
    ),
    Part(
        "token_cache",
        "Tokens that are kept",
        "token_cache.py",
        "Texts tokenised by the shipped tokenizer: without a cache on disk, with an empty one, and with a filled one.",
        (
            Row("texts", "texts"),
            Row("the second time, times as fast as cutting", "without_offsets_again_times_as_fast_as_cutting", "×"),
            Row("with offsets", "with_offsets_again_times_as_fast_as_cutting", "×"),
            Row("the first time", "without_offsets_first_times_as_fast_as_cutting", "×"),
            Row("stored", "without_offsets_stored_mib", "MiB"),
        ),
        sizes="--texts 5000 --rounds 3",
        device=False,
    ),
    Part(
        "startup",
        "Starting and planning",
        "startup.py",
        "`xstilts --help` in a new process, and for scale `import transformers`. A plan promises the scores of all "
        "runs of a grid of sandbox tasks and lists what has to be built. A finished study is built again, which finds "
        "everything there, and its tables are made.",
        (
            Row("`xstilts --help`", "help_seconds", "s", at_most=0.5),
            Row("`import transformers`", "transformers_seconds", "s"),
            Row("planning", "planning_seconds", "s", at_most=2),
            Row("of that, promising", "promising_seconds", "s"),
            Row("of that, listing what is to be built", "listing_seconds", "s"),
            Row("runs", "planned_runs"),
            Row("stages", "planned_stages"),
            Row("finished study: building again", "finished_build_seconds", "s", at_most=5),
            Row("finished study: tables", "finished_tables_seconds", "s"),
            Row("its stages", "finished_stages"),
        ),
        sizes="--runs 5000 --rounds 3",
        device=False,
    ),
    Part(
        "short_stages",
        "Many short stages",
        "short_stages.py",
        SHORT_STAGES,
        _short_stages("one_process", "local_2", "local_4", "local_8"),
        "--sides local",
        "--stages 200 --rounds 3",
        device=False,
    ),
    Part(
        "short_stages_ray",
        "Many short stages in Ray",
        "short_stages.py",
        "The same as tasks of a Ray cluster of this computer, which has as many cores as there are workers.",
        _short_stages("ray_1", "ray_2", "ray_4", "ray_8"),
        "--sides ray",
        "--stages 200 --rounds 3",
        device=False,
    ),
    Part(
        "scheduling",
        "A large study on 64 GPUs",
        "scheduling.py",
        "`studies/replication.py --scale full`, simulated: its stages with all that they need from each other, the "
        "seconds that `xstilts plan` forecasts for an H200, 15 s until a job's network is on its GPU, and the jobs and "
        "their order as builds make them. `ray`: first come, first served among the jobs whose inputs are built; "
        "`slurm`: all are queued from the beginning; `rounds`: as `xstilts study` where trainings may be repeated, "
        "with nothing to repeat. `longest` and `followed` start the job first that the longest path of seconds, or of "
        "stages, hangs on. `bound` is the longest path or all work divided among the GPUs, whichever is more.",
        (
            Row("stages", "stages"),
            Row("all work", "gpu_hours", "GPU-hours"),
            Row("longest path", "critical_path_hours", "h"),
            Row("`bound`", "bound_hours", "h"),
            *_scheduling("ray", "slurm", "rounds", "longest", "followed"),
        ),
        sizes="--gpus 64",
        device=False,
    ),
    Part(
        "sharing",
        "Sharing in the paper's grid",
        "sharing.py",
        "Ten intermediate settings, none among them, nine targets, three seeds: every run by itself, against stages "
        "that runs share. FLOPs are counted for XLM-R large from examples and mean lengths as `xstilts plan` "
        "assumes them (sizes.py); nothing is trained.",
        (
            Row("runs", "runs"),
            Row("trainings, run by run", "naive_trainings"),
            Row("trainings, shared", "shared_trainings"),
            Row("times fewer trainings", "times_fewer_trainings", "×", at_least=2),
            Row("run by run", "naive_exaflops", "EFLOP"),
            Row("shared", "shared_exaflops", "EFLOP"),
            Row("times fewer FLOPs", "times_fewer_flops", "×", at_least=2),
        ),
        device=False,
    ),
    Part(
        "peers",
        "Published programs",
        "peers.py",
        "transformers' own example scripts and setfit as they are, on the same real files and the same real encoder "
        "(multilingual-e5-small), each side in a process of its own on one thread, fp32. `published` is a script with "
        "its defaults, `as_published` this package with the same settings; `tuned` is the script set by hand (dynamic "
        "padding, grouping by length, no checkpoint, batches of 16, rate 2e-4, one epoch), `ours` this package with "
        "the same settings. Speed is by training example in the training loop. Speed to a score compares processor "
        "seconds of whole processes, imports included: this package trains for half an epoch, one, two and four, and "
        "the shortest training counts that scores as high on development data; 0 where none does. Scores are of few "
        "examples, and the scripts' classifier of pairs reads the first token's state, this package's their mean. "
        "`padded` and `longest` are run_glue.py's predictions for XNLI's test sets, padded to 128 or dynamically.",
        (
            *_script("pairs", "run_glue.py"),
            *_script("tags", "run_ner.py"),
            *_script("questions", "run_qa.py"),
            Row("predictions: times as fast as `padded`", "languages_times_as_fast_as_padded", "×", at_least=3),
            Row("times as fast as `longest`", "languages_times_as_fast_as_longest", "×"),
            Row("peak memory, of that of `padded`", "languages_memory_of_padded", "×"),
            Row("the same answers", "languages_same_answers_percent", "%"),
            Row("languages", "languages"),
            Row("examples in all", "languages_examples"),
            Row("setfit: times as fast", "few_times_as_fast_as_setfit", "×"),
            Row("peak memory, of that of setfit", "few_memory_of_setfit", "×"),
            Row("score of setfit", "few_setfit_score"),
            Row("score of `ours`", "few_ours_score"),
            Row("training examples of a class", "few_examples_a_class"),
            Row("installed", "versions"),
        ),
        device=False,
        needs="XSTILTS_PEERS",
    ),
)


def _throughput(*names: str, least: float | None = None) -> tuple[Row, ...]:
    rows = []
    for name in names:
        rows += [
            Row(f"`{name}`", f"{name}_tokens_per_second", "tokens/s"),
            Row(f"`{name}`, of the device's peak", f"{name}_utilisation_percent", "%", at_least=least),
            Row(f"`{name}`, peak memory", f"{name}_peak_mib", "MiB"),
        ]
    return tuple(rows)


BIG = (
    "Random weights, pairs as long as XNLI's, packed into passes of at most 16,384 tokens, only the inputs of layers "
    "kept for the backward pass. What is computed again is not counted as work done. A pass is halved where memory "
    "runs out."
)
GPU = (
    Part(
        "gpu_fine_tuning",
        "Fine-tuning on pairs",
        "fine_tuning.py",
        f"XLM-R large's shape, sequences as long as XNLI's, batches of 32, bf16, {TRAINING}",
        _fine_tuning(5, 1.5, memory=True),
        "--shape large --memory",
        "--steps 30 --rounds 3",
    ),
    Part(
        "gpu_fine_tuning_squad",
        "Fine-tuning on questions",
        "fine_tuning.py",
        f"The same with windows as long as SQuAD's, `common` padding to 384, batches of 16, bf16, {TRAINING}",
        _fine_tuning(5, 1.5, memory=True),
        "--shape large --lengths squad --memory",
        "--batch 16 --steps 30 --rounds 3",
    ),
    Part(
        "gpu_throughput",
        "The share of what the device can do",
        "throughput.py",
        "XLM-R large's shape in bf16, passes of at most 16,384 tokens: `packed` computes no padding, `padded` does, "
        "`compiled` is packed with layers that torch compiles. FLOPs are counted exactly. The losses of packed and "
        "padded batches are compared without dropout, as the packed kernel knows none.",
        (
            *_throughput("packed", "padded", "compiled", least=45),
            Row("packed, times as fast as padded", "packed_times_as_fast_as_padded", "×", at_least=1),
            Row("losses of packed and padded apart, at most", "curves_apart_percent", "%", at_most=5),
        ),
        "--shape large --sides packed,padded,compiled",
        "--curves 50 --rounds 3",
    ),
    Part(
        "gpu_xl",
        "XLM-R XL, all weights",
        "throughput.py",
        f"{BIG} AdamW in fp32, arithmetic in bf16.",
        _throughput("packed"),
        "--shape xl --sides packed --recompute",
        "--steps 5 --warm 2 --rounds 2",
    ),
    Part(
        "gpu_xxl_lora",
        "XLM-R XXL, adapters",
        "throughput.py",
        f"{BIG} `trained=lora:16`.",
        _throughput("packed"),
        "--shape xxl --sides packed --recompute --trained lora:16",
        "--steps 4 --warm 1 --rounds 2",
    ),
    Part(
        "gpu_xxl",
        "XLM-R XXL, all weights",
        "throughput.py",
        f"{BIG} `optimiser=adafactor:bf16`.",
        _throughput("packed"),
        "--shape xxl --sides packed --recompute --optimiser adafactor:bf16",
        "--steps 3 --warm 1 --rounds 1",
    ),
    Part(
        "gpu_frozen_prefix",
        "Frozen layers",
        "frozen_prefix.py",
        f"XLM-R large's shape in bf16. {PREFIX}",
        PREFIX_ROWS,
        "--shape large --full",
        "--examples 3200 --rounds 3",
    ),
    Part(
        "gpu_evaluation",
        "Evaluation in fifteen languages",
        "evaluation.py",
        f"XLM-R large's shape in bf16. {EVALUATION}",
        EVALUATION_ROWS,
        "--shape large",
        "--examples 2000 --micro-tokens 16384",
    ),
)
