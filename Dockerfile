# cvis with the tested versions of constraints.txt, for a GPU or without one.
#
#     docker build --tag cvis .
#     docker run --rm --gpus all --shm-size 8g --volume "$PWD:/work" --volume /data:/data cvis \
#         run ytvis2019-20-4 --learner finetune --segmenter mask2former_r50
#
# torch brings CUDA's libraries of its own; the base has what the driver asks for. Its tag goes with torch's CUDA.
FROM nvidia/cuda:13.0.1-base-ubuntu22.04 AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY benchmarks/published benchmarks/published
COPY configs configs
COPY scenarios scenarios
COPY templates templates
COPY cvis cvis
# The headless OpenCV last, as in the Makefile: the other one, which a dependency brings, needs libGL.
RUN python3 -m venv /opt/cvis \
    && /opt/cvis/bin/pip install --no-cache-dir --constraint constraints.txt ".[ray,slurm]" \
    && /opt/cvis/bin/pip install --no-cache-dir --constraint constraints.txt --no-deps --force-reinstall \
        opencv-python-headless

FROM nvidia/cuda:13.0.1-base-ubuntu22.04
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 cvis \
    && install --directory --owner cvis --mode 1777 /cache /data /work
COPY --from=build /opt/cvis /opt/cvis
ENV PATH=/opt/cvis/bin:$PATH CVIS_CACHE=/cache/cvis CVIS_DATA=/data HF_HOME=/cache/huggingface NUMBA_CACHE_DIR=/cache/numba
USER cvis
# Runs are written to ./runs, below /work; weights and indices that are fetched or made once go to /cache.
WORKDIR /work
VOLUME ["/cache", "/data", "/work"]
ENTRYPOINT ["cvis"]
CMD ["--help"]
