# Two targets of one image: `cpu`, and `cuda` for a machine with the NVIDIA container toolkit. docs/deployment.md has more.
#   docker build --target cuda -t personal .
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/personal && /opt/personal/bin/pip install --quiet uv==0.13.9
WORKDIR /src
COPY requirements.txt ./
# An index of torch's builds for a CPU makes the image several gigabytes smaller: --build-arg TORCH_INDEX=ADDRESS
ARG TORCH_INDEX=""
RUN /opt/personal/bin/uv pip install --compile-bytecode --python /opt/personal/bin/python \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX" --index-strategy unsafe-best-match} -r requirements.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md app.py ./
COPY assets assets
COPY personal personal
RUN /opt/personal/bin/uv pip install --compile-bytecode --python /opt/personal/bin/python --no-deps . \
    && /opt/personal/bin/python -m personal.tiny --cache-dir /opt/personal/models

FROM python:3.12-slim-bookworm AS cpu
COPY --from=build /opt/personal /opt/personal
RUN useradd --uid 10001 --create-home --home-dir /home/personal personal \
    && mkdir /data && chown personal: /data && chmod 700 /data
# Everything that is written is in /data; the rest of the image may be read-only. Models that are downloaded are kept there, too.
ENV PATH=/opt/personal/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    HF_HOME=/data/huggingface \
    PERSONAL_DATA_DIR=/data/personal \
    PERSONAL_CACHE_DIR=/opt/personal/models \
    PERSONAL_LOG=json \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860
USER 10001
WORKDIR /tmp
VOLUME /data
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m --retries=3 \
    CMD ["python", "-m", "personal", "health"]
CMD ["personal", "serve"]

FROM cpu AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
