# xstilts on a CPU or, with `--build-arg TORCH=https://pypi.org/simple`, on an NVIDIA GPU (run with `--gpus all`).
#   docker build -t xstilts .
#   docker run --rm -v "$PWD:/work" xstilts run --encoder sandbox --target sandbox_nli --recipe sandbox
FROM python:3.12-slim

ARG TORCH=https://download.pytorch.org/whl/cpu
ARG EXTRAS=report,evidence

RUN pip install --no-cache-dir torch --index-url "$TORCH"
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
COPY studies /source/studies
RUN pip install --no-cache-dir "/source[$EXTRAS]" && rm -r /source

WORKDIR /work
ENTRYPOINT ["xstilts"]
