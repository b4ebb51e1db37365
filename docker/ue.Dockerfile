# The UE: encodes CSI reports and sends them to a base station. A job, so it has no health check: its exit code tells.
#
#   docker build -f docker/ue.Dockerfile -t csilink-ue .
#   docker build -f docker/ue.Dockerfile -t csilink-ue --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu .
#
# BASE_IMAGE: any image with Python >= 3.11 as `python`, a CUDA one for instance.
# TORCH_INDEX_URL: a package index beside the default one to take torch from; empty is the default torch.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
ARG TORCH_INDEX_URL=

ENV OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY constraints.txt ./
RUN python -m pip install --no-cache-dir -c constraints.txt setuptools wheel \
 && python -m pip install --no-cache-dir -c constraints.txt \
      ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} torch==2.13.0

RUN useradd --create-home --uid 10001 csilink

# The dependencies, by a csilink without packages: this layer stays when only sources change.
COPY pyproject.toml README.md LICENSE ./
RUN python -m pip install --no-cache-dir --no-build-isolation -c constraints.txt .

COPY protos protos
COPY shared shared
COPY ue_client ue_client
RUN python -m pip install --no-cache-dir --no-build-isolation --no-deps --force-reinstall . && rm -rf build *.egg-info

USER csilink
WORKDIR /home/csilink
ENTRYPOINT ["csi-ue"]
CMD ["run"]
