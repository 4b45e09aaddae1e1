"""Trackers against stand-ins that take what the libraries' documentation says they take, and remember it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from plain_store import ENCODER, asked, put_score, put_training
from test_docs import text_of
from xstilts import cli
from xstilts.errors import InputError
from xstilts.monitoring import tracker_sync, trackers
from xstilts.monitoring.tracker_sync import Mirror
from xstilts.runtime.machine import Runtime
from xstilts.store import build_log
from xstilts.store.live_view import CHECKPOINT, HISTORY, SCORE, state_of
from xstilts.store.names import TRAIN
from xstilts.store.stage import BuildContext, stage

PLACES = {"tensorboard": "runs", "wandb": "team/project", "mlflow": "sqlite:///x.db#tries", "trackio": "project"}
EVERY = pytest.mark.parametrize("name", sorted(PLACES))


@dataclass
class Heard:
    """What a tracker was told: by run its figures (name, step, value), its config, its name and what else was asked."""

    figures: dict[str, list[tuple[str, int, float]]] = field(default_factory=dict)
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[Any] = field(default_factory=list)


# The stand-ins: signatures as documented; what is not documented is a TypeError.


def tensorboard(heard: Heard) -> dict[str, ModuleType]:
    """torch.utils.tensorboard, as in the source of torch."""

    class SummaryWriter:
        def __init__(
            self,
            log_dir: Any = None,
            comment: str = "",
            purge_step: Any = None,
            max_queue: int = 10,
            flush_secs: int = 120,
            filename_suffix: str = "",
        ) -> None:
            self.run = Path(log_dir).name
            heard.calls.append(log_dir)

        def add_text(self, tag: str, text_string: str, global_step: Any = None, walltime: Any = None) -> None:
            rows = re.findall(r"^\| (\w+) \| (.*) \|$", text_string, re.MULTILINE)
            assert self.run not in heard.configs
            heard.configs[self.run] = dict(rows[1:])

        def add_scalar(
            self,
            tag: str,
            scalar_value: float,
            global_step: Any = None,
            walltime: Any = None,
            new_style: bool = False,
            double_precision: bool = False,
        ) -> None:
            heard.figures.setdefault(self.run, []).append((tag, global_step, scalar_value))

        def close(self) -> None:
            heard.calls.append("closed")

    return {"torch.utils.tensorboard": module("torch.utils.tensorboard", SummaryWriter=SummaryWriter)}


def wandb(heard: Heard) -> dict[str, ModuleType]:
    """wandb, by https://docs.wandb.ai/ref/python: init, Run.log, Run.define_metric, Run.summary, Run.finish."""

    class Run:
        def __init__(self, name: str) -> None:
            self.name, self.summary, self.defined = name, Summary(name), [str]

        def define_metric(
            self,
            name: str,
            step_metric: str | None = None,
            step_sync: bool | None = None,
            hidden: bool | None = None,
            summary: str | None = None,
            goal: str | None = None,
            overwrite: bool | None = None,
        ) -> None:
            heard.calls.append((name, step_metric))

        def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
            assert step is None, "a step that does not grow is dropped"
            heard.figures.setdefault(self.name, []).extend(
                (name, data["step"], value) for name, value in data.items() if name != "step"
            )

        def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
            heard.calls.append("closed")

    class Summary:
        def __init__(self, name: str) -> None:
            self.name = name

        def update(self, d: dict[str, Any]) -> None:
            heard.figures.setdefault(self.name, []).extend((name, -1, value) for name, value in d.items())

    def init(
        entity: str | None = None,
        project: str | None = None,
        dir: Any = None,
        id: str | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Any = None,
        config: Any = None,
        group: str | None = None,
        job_type: str | None = None,
        mode: str | None = None,
        force: bool | None = None,
        reinit: Any = None,
        resume: Any = None,
        settings: Any = None,
    ) -> Run:
        assert (entity, project, resume) == ("team", "project", "allow")
        assert name
        assert id
        assert not re.search(r"[/\\#?%:]", id)
        assert heard.configs.setdefault(name, texts(config)) == texts(config), "a config that changes is refused"
        return Run(name)

    return {"wandb": module("wandb", init=init)}


def mlflow(heard: Heard) -> dict[str, ModuleType]:
    """mlflow, by its client's source: limits of a batch, characters of names, parameters that never change."""
    runs: dict[str, Any] = {}
    experiments: dict[str, str] = {}

    @dataclass
    class Metric:
        key: str
        value: float
        timestamp: int
        step: int

    @dataclass
    class Param:
        key: str
        value: str

    class MlflowClient:
        def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
            assert tracking_uri == "sqlite:///x.db"

        def get_experiment_by_name(self, name: str) -> Any:
            return SimpleNamespace(experiment_id=experiments[name]) if name in experiments else None

        def create_experiment(self, name: str, artifact_location: str | None = None, tags: Any = None) -> str:
            assert name == "tries"
            assert name not in experiments
            return experiments.setdefault(name, "7")

        def search_runs(
            self,
            experiment_ids: list[str],
            filter_string: str = "",
            run_view_type: int = 1,
            max_results: int = 1000,
            order_by: Any = None,
            page_token: Any = None,
        ) -> list[Any]:
            found = re.fullmatch(r"tags\.`([\w.]+)` = '(\w+)'", filter_string)
            assert found
            return [run for run in runs.values() if run.tags.get(found[1]) == found[2]][:max_results]

        def create_run(
            self, experiment_id: str, start_time: int | None = None, tags: Any = None, run_name: str | None = None
        ) -> Any:
            run = SimpleNamespace(info=SimpleNamespace(run_id=f"id{len(runs)}"), tags=tags, name=run_name)
            return runs.setdefault(run.info.run_id, run)

        def log_batch(
            self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), synchronous: bool | None = None
        ) -> None:
            assert len(metrics) + len(params) + len(tags) <= 1000
            assert len(params) <= 100
            assert all(re.fullmatch(r"[/\w.\- ]+", one.key) for one in (*metrics, *params))
            name = runs[run_id].name
            heard.figures.setdefault(name, []).extend((one.key, one.step, one.value) for one in metrics)
            for one in params:
                assert heard.configs.setdefault(name, {}).setdefault(one.key, one.value) == one.value

        def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
            heard.calls.append(("terminated", runs[run_id].name))

    entities = module("mlflow.entities", Metric=Metric, Param=Param)
    return {"mlflow": module("mlflow", MlflowClient=MlflowClient, entities=entities), "mlflow.entities": entities}


def trackio(heard: Heard) -> dict[str, ModuleType]:
    """trackio, by https://huggingface.co/docs/trackio: init, Run.log, Run.finish."""

    class Run:
        def __init__(self, name: str) -> None:
            self.name = name

        def log(self, metrics: dict[str, Any], step: int | None = None) -> None:
            heard.figures.setdefault(self.name, []).extend((name, step or 0, value) for name, value in metrics.items())

        def finish(self) -> None:
            heard.calls.append("closed")

    def init(
        project: str,
        name: str | None = None,
        group: str | None = None,
        space_id: str | None = None,
        server_url: str | None = None,
        space_storage: Any = None,
        dataset_id: str | None = None,
        bucket_id: str | None = None,
        config: dict[str, Any] | None = None,
        resume: str = "never",
        settings: Any = None,
        private: bool | None = None,
        embed: bool = True,
        auto_log_gpu: bool | None = None,
        gpu_log_interval: float = 10.0,
        webhook_url: str | None = None,
        webhook_min_level: Any = None,
    ) -> Run:
        assert (project, resume, auto_log_gpu) == ("project", "allow", False)
        assert name
        assert config
        assert not any(key.startswith("_") for key in config)
        heard.configs[name] = texts(config)
        return Run(name)

    return {"trackio": module("trackio", init=init)}


STAND_INS: dict[str, Callable[[Heard], dict[str, ModuleType]]] = {
    "tensorboard": tensorboard,
    "wandb": wandb,
    "mlflow": mlflow,
    "trackio": trackio,
}


def module(name: str, **members: Any) -> ModuleType:
    found = ModuleType(name)
    vars(found).update(members)
    return found


def texts(config: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in config.items()}


@pytest.fixture
def heard(name: str, monkeypatch: pytest.MonkeyPatch) -> Heard:
    """What the stand-in of a tracker is told."""
    found = Heard()
    for library, stand_in in STAND_INS[name](found).items():
        monkeypatch.setitem(sys.modules, library, stand_in)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    found = tmp_path / "store"
    found.mkdir()
    return found


def mirror(store: Path, name: str) -> Mirror:
    return Mirror(store, f"{name}:{PLACES[name]}")


# The laws of every tracker.


def test_every_tracker_has_a_stand_in_and_an_extra() -> None:
    assert trackers.names() == tuple(sorted(STAND_INS))
    extras = text_of("pyproject.toml")
    assert all(re.search(rf'^{name} = \["{name}>=', extras, re.MULTILINE) for name in STAND_INS)


def test_the_checkpoint_is_read_as_training_writes_it(tmp_path: Path) -> None:
    import torch

    from xstilts.evaluation.score import SCORE as SCORED
    from xstilts.training import train
    from xstilts.training.checkpoint import Checkpoint

    assert (train.train.work.name, train.CHECKPOINT, train.HISTORY, SCORED) == (TRAIN, CHECKPOINT, HISTORY, SCORE)  # type: ignore[attr-defined]
    layer = torch.nn.Linear(2, 2)
    state = train.State(step=7, history=[{"step": 7, "loss": 0.5}])
    Checkpoint(tmp_path / CHECKPOINT, layer, torch.optim.AdamW(layer.parameters())).save(vars(state))
    assert state_of(tmp_path) == vars(state)


@EVERY
def test_a_training_becomes_one_run_with_its_recipe_losses_and_scores(store: Path, name: str, heard: Heard) -> None:
    key = put_training(store, "mnli", 2, losses=(2.0, 1.5))
    put_score(store, {"stage": key}, 61.5, "sw")
    assert mirror(store, name).send() == 1
    ((run, figures),) = heard.figures.items()
    assert run == f"train-mnli-seed2-{key}"
    assert figures[:2] == [("loss", 1, 2.0), ("loss", 2, 1.5)]
    assert [(title, value) for title, _, value in figures[2:]] == [("score/xnli/test/sw", 61.5)]
    config = heard.configs[run]
    assert config["learning_rate"] == "0.0005"
    assert (config["seed"], config["tasks"], config["encoder"], config["key"]) == ("2", "mnli", "tiny", key)


@EVERY
def test_a_second_call_adds_nothing(store: Path, name: str, heard: Heard) -> None:
    put_score(store, {"stage": put_training(store, "mnli", 1, losses=(2.0,))}, 50.0)
    assert mirror(store, name).send() == 1
    before = json.dumps([heard.figures, heard.calls], default=str)
    assert mirror(store, name).send() == 0
    assert json.dumps([heard.figures, heard.calls], default=str) == before


@EVERY
def test_what_comes_later_is_added_to_the_same_run(store: Path, name: str, heard: Heard) -> None:
    key = put_training(store, "mnli", 1, losses=(2.0,))
    mirror(store, name).send()
    put_score(store, {"stage": key}, 50.0)
    assert mirror(store, name).send() == 1
    put_score(store, {"stage": key}, 40.0, "sw")
    assert mirror(store, name).send() == 1
    ((_, figures),) = heard.figures.items()
    assert [(title, value) for title, _, value in figures] == [
        ("loss", 2.0),
        ("score/xnli/test/en", 50.0),
        ("score/xnli/test/sw", 40.0),
    ]


@stage(name="training", version=1, label=lambda **arguments: "train-mnli-seed1", resumes=True)
def training(site: BuildContext, encoder: tuple[str, ...]) -> None:
    raise AssertionError("only promised")


@EVERY
def test_a_running_training_is_followed_to_its_end_and_every_step_is_sent_once(
    store: Path, name: str, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_log, "canonical", lambda arguments: asked("mnli", 1))
    promised = training(("tiny",))
    part = store / f"{promised.label}-{promised.key}.part"
    part.mkdir()
    with build_log.noted([promised], Runtime(store)):
        assert mirror(store, name).send() == 0
        for steps in (2, 2, 1, 4):  # one that began again has fewer for a while
            state = {"step": steps, "history": [{"step": n, "loss": 1 / n} for n in range(1, steps + 1)]}
            header = json.dumps({"__metadata__": {"state": json.dumps(state)}}).encode()
            (part / CHECKPOINT).write_bytes(len(header).to_bytes(8, "little") + header)
            mirror(store, name).send()
    lines = [{"step": n, "loss": 1 / n} for n in range(1, 6)] + [{"step": 5, "dev": {"mnli": 70.0}}]
    (part / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = {
        "label": promised.label,
        "key": promised.key,
        "work": TRAIN,
        "arguments": asked("mnli", 1),
    }
    (part / "stage.json").write_text(json.dumps(record | {"seconds": 1.0, "started": "", "record": {}}))
    part.rename(store / f"{promised.label}-{promised.key}")
    mirror(store, name).send()
    ((run, figures),) = heard.figures.items()
    assert sorted(figures) == sorted([*(("loss", n, 1 / n) for n in range(1, 6)), ("dev/mnli", 5, 70.0)])
    assert heard.configs[run]["tasks"] == "mnli"


@EVERY
def test_an_encoder_that_is_measured_as_it_is_has_a_run(store: Path, name: str, heard: Heard) -> None:
    put_score(store, ENCODER, 33.0, "sw")
    assert mirror(store, name).send() == 1
    assert mirror(store, name).send() == 0
    ((run, figures),) = heard.figures.items()
    assert run.startswith("tiny-")
    assert [(title, value) for title, _, value in figures] == [("score/xnli/test/sw", 33.0)]


@EVERY
def test_what_was_sent_before_a_failure_is_not_sent_again(
    store: Path, name: str, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2, 3):
        put_training(store, "mnli", seed, losses=(2.0,))
    failing = mirror(store, name)
    sent: list[str] = []

    def send(where: str, news: trackers.News) -> None:
        if len(sent) == 2:
            raise ConnectionError("the server is gone")
        sent.append(news.key)

    failing.tracker = SimpleNamespace(NEEDS=name, send=send)  # type: ignore[assignment]
    with pytest.raises(ConnectionError):
        failing.send()
    assert mirror(store, name).send() == 1
    assert len(heard.figures) == 1


@pytest.mark.parametrize("name", ["mlflow"])
def test_mlflow_gets_batches_it_takes_and_names_it_knows(store: Path, name: str, heard: Heard) -> None:
    key = put_training(store, "panx:sw+ar", 1, losses=tuple(1.0 for _ in range(2500)))
    put_score(store, {"stage": key}, 50.0, "sw", task="panx:sw+ar")
    mirror(store, name).send()
    ((_, figures),) = heard.figures.items()
    assert len(figures) == 2501
    assert figures[-1][0] == "score/panx_sw_ar/test/sw"


@EVERY
def test_a_library_that_is_not_there_is_named_with_the_command_that_brings_it(
    store: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, {"tensorboard": "torch.utils.tensorboard"}.get(name, name), None)
    with pytest.raises(InputError, match=rf'^{name} is not installed: pip install "xstilts\[{name}\]"$'):
        mirror(store, name)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("wandbb:project", "unknown tracker 'wandbb'; did you mean 'wandb'"),
        ("neptune:project", "give one of mlflow, tensorboard, trackio, wandb"),
        ("wandb", "has no place"),
        ("tensorboard:", "has no place"),
    ],
)
def test_a_place_that_cannot_be_is_refused(store: Path, to: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Mirror(store, to)


@pytest.mark.parametrize("name", ["trackio"])
def test_where_it_went_is_not_written_down_and_two_do_not_send_at_once(store: Path, name: str, heard: Heard) -> None:
    put_training(store, "mnli", 1, losses=(2.0,))
    first = Mirror(store, "trackio:project")
    with first._known(), pytest.raises(InputError, match="another process mirrors"):
        first.send()
    first.send()
    kept = [path for path in (store / tracker_sync.FOLDER).iterdir() if path.suffix == ".json"]
    assert len(kept) == 1
    assert "project" not in kept[0].name + kept[0].read_text()


@pytest.mark.parametrize("name", ["tensorboard"])
def test_following_ends_with_those_who_build(store: Path, name: str, heard: Heard, capsys: Any) -> None:
    put_training(store, "mnli", 1, losses=(2.0,))
    with build_log.noted([training(("tiny",))], Runtime(store)):
        following: Iterator[int] = tracker_sync.follow(mirror(store, name), 0.0)
        assert [next(following), next(following)] == [1, 0]
    assert list(following) in ([], [0])


@pytest.mark.parametrize("name", ["tensorboard"])
def test_from_the_command_line(store: Path, name: str, heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    put_training(store, "mnli", 1, losses=(2.0,))
    with pytest.raises(SystemExit) as ended:
        cli.app(["track", str(store), "--to", "tensorboard:runs"])
    assert not ended.value.code
    assert capsys.readouterr().out == "1 run with something new, sent to tensorboard\n"
    assert "closed" in heard.calls
