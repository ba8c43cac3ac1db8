# docker build -t clrnet-deepfake .                                 CPU
# docker build -t clrnet-deepfake:gpu --build-arg HARDWARE=gpu .    NVIDIA GPU; CUDA 13 is inside
# --build-arg EXTRA=sites with either: pages on video sites are read
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS wheel
WORKDIR /src
COPY requirements/build.txt ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r build.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY model_export model_export
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:${PYTHON}-slim AS environment
ARG HARDWARE=cpu
ARG EXTRA
RUN python -m venv /opt/venv
COPY requirements /requirements
RUN for each in ${HARDWARE} ${EXTRA}; do \
        /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes \
            -r /requirements/$each.txt || exit 1; \
    done
COPY --from=wheel /wheels /wheels
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:${PYTHON}-slim
COPY --from=environment /opt/venv /opt/venv
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
