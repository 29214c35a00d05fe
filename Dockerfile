# The gateway: no compiler, no PyTorch, no root. It runs with a read-only root file system; all that
# it writes is the edge store's folder (/data) and temporary files (/tmp).
#
#   docker build -t lookalike .
#   docker run --rm --read-only --tmpfs /tmp -v "$PWD/model_repository:/models:ro" -v index:/data \
#       -p 8080:8080 -p 8081:8081 -e LOOKALIKE_TRITON=triton:8001 lookalike

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv --without-pip /opt/lookalike
# The packages first: a change of the code does not fetch them again.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip --python /opt/lookalike/bin/python install --only-binary=:all: --requirement requirements.txt
COPY README.md ./
COPY gateway gateway
COPY export export
COPY loadtest loadtest
# `tokenizers` brings what fetches files from a hub, and numpy its own tests; nothing here uses them.
RUN pip --python /opt/lookalike/bin/python install --no-deps . \
    && pip --python /opt/lookalike/bin/python uninstall --yes huggingface-hub hf-xet fsspec \
    && find /opt/lookalike -depth -type d -name tests -exec rm -r {} + \
    && install -d -o 10001 -g 10001 /data

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="lookalike" \
      org.opencontainers.image.description="Reverse image search for shops: the gateway."
COPY --from=build /opt/lookalike /opt/lookalike
COPY --from=build --chown=10001:10001 /data /data
ENV PATH="/opt/lookalike/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LOOKALIKE_HOST=0.0.0.0 \
    LOOKALIKE_MODEL_REPOSITORY=/models \
    LOOKALIKE_EDGE_FOLDER=/data/index
WORKDIR /data
USER 10001:10001
EXPOSE 8080 8081
# Alive, not ready: what starts containers anew for being unhealthy must not do so because Triton is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('LOOKALIKE_PORT', '8080')}/health/live\", timeout=2)"]
ENTRYPOINT ["lookalike"]
CMD ["serve"]
