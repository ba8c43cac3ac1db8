# docker build -t clrnet-deepfake .                       CPU
# docker build -t clrnet-deepfake:gpu --target gpu .      NVIDIA GPU; CUDA 13 and cuDNN 9 are inside
# docker build --target sbom --output bom .               what is inside, as CycloneDX; of the one for
#                                                         GPUs: --build-arg HARDWARE=gpu
# --build-arg EXTRA=sites with any: pages on video sites are read
# --build-arg BASE=python@sha256:...: the same base each time, see docs/containers.md
ARG BASE=python:3.11-slim-bookworm
# Whose contents the target sbom lists.
ARG HARDWARE=cpu

FROM ${BASE} AS wheel
WORKDIR /src
COPY requirements/build.txt ./
RUN python -m pip install --no-cache-dir --no-deps --require-hashes -r build.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY model_export model_export
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

# Without pip, and with byte code that does not depend on when it was made: nobody can write it later.
FROM ${BASE} AS environment-cpu
ARG EXTRA=""
COPY requirements /requirements
RUN python -m venv --without-pip /opt/venv \
    && for each in cpu ${EXTRA}; do \
        python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps \
            --require-hashes -r "/requirements/$each.txt" || exit 1; \
    done
COPY --from=wheel /wheels /wheels
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps \
        /wheels/*.whl \
    && PYTHONHASHSEED=0 /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        /opt/venv/lib

FROM ${BASE} AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "\
from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=2); \
c.request('GET', '/v2/health/live'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["deepfake-service", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM runtime AS cpu
COPY --from=environment-cpu /opt/venv /opt/venv

FROM ${BASE} AS environment-gpu
ARG EXTRA=""
COPY requirements /requirements
RUN python -m venv --without-pip /opt/venv \
    && for each in gpu ${EXTRA}; do \
        python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps \
            --require-hashes -r "/requirements/$each.txt" || exit 1; \
    done
COPY --from=wheel /wheels /wheels
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps \
        /wheels/*.whl \
    && PYTHONHASHSEED=0 /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        /opt/venv/lib

FROM runtime AS gpu
# What CUDA's own images say to NVIDIA's container runtime, apart from asking for all GPUs: which
# there are to be is for whoever starts the container to say.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_REQUIRE_CUDA="cuda>=13.0"
COPY --from=environment-gpu /opt/venv /opt/venv

# A stage, and no image that could have a tag.
# hadolint ignore=DL3006
FROM environment-${HARDWARE} AS inventory
RUN python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --no-cache-dir --no-deps --require-hashes \
        -r /requirements/sbom.txt \
    && /opt/tools/bin/cyclonedx-py environment --output-reproducible --spec-version 1.6 \
        --output-file /bom.json /opt/venv/bin/python

FROM scratch AS sbom
COPY --from=inventory /bom.json /bom.json

# What is built where no target is named.
FROM cpu
