"""Options that several verbs share: their types, their words, the variables that set them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[Path, typer.Option(envvar="XSTILTS_STORE", help="Folder of finished stages.")]
DataFolder = Annotated[Path | None, typer.Option("--data", envvar="XSTILTS_DATA", help="Folder of local data sets.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that build side by side.")]
Threads = Annotated[int, typer.Option(min=0, help="Torch threads a process; 0: divided among the workers.")]
MicroTokens = Annotated[
    int, typer.Option(min=0, help="Most tokens in one pass; the batch stays what it is. 0: as suits the device.")
]
Precision = Annotated[str, typer.Option(help="auto (bf16 where the device has it), fp32 or bf16.")]
Packing = Annotated[str, typer.Option(help="Batches without padding: auto (on a GPU), on or off.")]
Recompute = Annotated[
    bool, typer.Option("--recompute", help="Compute layers again instead of keeping them: less memory.")
]
Compiled = Annotated[bool, typer.Option("--compile", help="Let torch compile the layers.")]
Languages = Annotated[str | None, typer.Option(help="Measure only these languages, 'en,sw'.")]
Split = Annotated[str, typer.Option(help="What is measured: test, or validation where test answers are withheld.")]
EncoderName = Annotated[str, typer.Option("--encoder", help="Hub id, local folder, or 'sandbox'.")]
Revision = Annotated[str, typer.Option(help="Revision of a hub id.")]
Intermediate = Annotated[
    list[str] | None, typer.Option(help="Tasks of one intermediate phase; 'a,b' is a mix. Give it again for another.")
]
Target = Annotated[list[str] | None, typer.Option(help="Target task; give it again for more.")]
SuiteName = Annotated[str | None, typer.Option("--suite", help="All of xtreme or xtreme-r, and its averages.")]
LearnFrom = Annotated[
    list[str] | None,
    typer.Option(help="Learn targets from these instead of their own: 'a+b' in turn, 'xquad=a' for one target."),
]
MemoryGib = Annotated[
    float, typer.Option("--memory", min=0, help="GiB of the device that `plan` reckons with; 0: of the one here.")
]
Partial = Annotated[
    bool, typer.Option("--partial", help="Take data sets of another size than expected, or not English.")
]
RecipeName = Annotated[str, typer.Option("--recipe", help="Named recipes: xtreme, phang2020, small, sandbox.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="Change both phases: learning_rate=1e-4 …")]
SetIntermediate = Annotated[list[str] | None, typer.Option(help="Change the intermediate recipe alone.")]
SetTarget = Annotated[list[str] | None, typer.Option(help="Change the target recipe alone.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds: 1, 2, …")]
Forgetting = Annotated[
    str | None, typer.Option(help="Measure these before and after the intermediate phase too: 'common_voice,tatoeba'.")
]
MlmTask = Annotated[str | None, typer.Option("--mlm", help="Raw-text task: masked-LM beside the intermediate tasks.")]
MlmWeight = Annotated[float, typer.Option(help="Weight of the masked-LM loss.")]
MlmAlpha = Annotated[float, typer.Option(help="Languages are drawn as n ** alpha.")]
Out = Annotated[Path | None, typer.Option(help="Also write the tables to this folder.")]
