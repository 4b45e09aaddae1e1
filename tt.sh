export OMP_NUM_THREADS=1 PYTHONPATH=src PYTHONDONTWRITEBYTECODE=1
nice -n 8 /work/main/.venv/bin/python -m pytest -q -x -p no:cacheprovider "$@" 2>&1 | tail -40
