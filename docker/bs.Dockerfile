# The base-station service: gRPC on 50051, REST on 8000, database in /data.
#
#   docker build -f docker/bs.Dockerfile -t csilink-bs .
#   docker build -f docker/bs.Dockerfile -t csilink-bs --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu .
#
# BASE_IMAGE: any image with Python >= 3.11 as `python`, a CUDA one for instance.
# EXTRAS: of csilink that it gets; with `ray`, its decoders may be replicas of Ray Serve.
# TORCH_INDEX_URL: a package index beside the default one to take torch from; empty is the default torch.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
ARG TORCH_INDEX_URL=
ARG EXTRAS=bs,postgres

ENV OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY constraints.txt ./
RUN python -m pip install --no-cache-dir -c constraints.txt setuptools wheel \
 && python -m pip install --no-cache-dir -c constraints.txt \
      ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} torch==2.13.0

RUN useradd --create-home --uid 10001 csilink && install -d -o csilink /data

# The dependencies, by a csilink without packages: this layer stays when only sources change.
COPY pyproject.toml README.md LICENSE ./
RUN python -m pip install --no-cache-dir --no-build-isolation -c constraints.txt ".[$EXTRAS]"

COPY protos protos
COPY shared shared
COPY bs_server bs_server
RUN python -m pip install --no-cache-dir --no-build-isolation --no-deps --force-reinstall . && rm -rf build *.egg-info

USER csilink
WORKDIR /data
VOLUME /data
EXPOSE 50051 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
  CMD ["sh", "-c", "python -c \"from urllib.request import urlopen; urlopen('http://127.0.0.1:${CSI_BS_REST_PORT:-8000}/v1/health/ready', timeout=4)\""]
ENTRYPOINT ["csi-bs"]
CMD ["serve"]
