# Each target builds .venv itself when it is not there, or when pyproject.toml or constraints.txt changed.
PYTHON ?= python3
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet
PIP_INSTALL := $(PIP) install --constraint constraints.txt
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test check protos bench soak up compose-test postgres-test raytracing-test replicas-test clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

venv: $(INSTALLED) ## build .venv with the pinned versions

demo: $(INSTALLED) ## UE and base station on this machine: report and plots in out/demo (KEEP=1 keeps the service up)
	.venv/bin/csi-lab demo --out out/demo $(if $(KEEP),--keep)

test: $(INSTALLED) ## all tests; ARGS='-k klt' passes options on to pytest
	OMP_NUM_THREADS=1 .venv/bin/pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

check: $(INSTALLED) ## format, lint and types, as CI runs them
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

protos: $(INSTALLED) ## generate the *_pb2 files after a change to protos/csi/v1/*.proto
	.venv/bin/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. protos/csi/v1/*.proto
	rm protos/csi/v1/frame_pb2_grpc.py  # holds no service

bench: $(INSTALLED) ## measure the service on this machine: benchmarks/results/*.json
	.venv/bin/python -m benchmarks.service --out benchmarks/results
	.venv/bin/python -m benchmarks.decoders --out benchmarks/results
	.venv/bin/python -m benchmarks.overload --out benchmarks/results

soak: $(INSTALLED) ## hours: new examples of the property tests, 50 kills, a million bad frames, then SOAK_S seconds of load (1800) with clients that break off
	.venv/bin/pytest --numprocesses auto --timeout 14400 --hypothesis-profile=new -m hypothesis
	CSILINK_TEST_KILLS=50 CSILINK_TEST_ROUNDS=605 .venv/bin/pytest --timeout 14400 tests/integration/test_durability.py \
	  tests/integration/test_mutated_frames.py
	.venv/bin/python -m benchmarks.soak --seconds $(or $(SOAK_S),1800) --out benchmarks/results

up: ## the demo in containers: docker compose up
	docker compose up --build

compose-test: ## build the containers, run them and ask REST what arrived (needs only docker and python3)
	$(PYTHON) tests/integration/compose.py

postgres-test: $(INSTALLED) ## the store's tests on a PostgreSQL in a container
	.venv/bin/python tests/integration/postgres.py test

raytracing-test: $(INSTALLED) ## the tests that need Sionna RT and libllvm19, in an environment of their own, .venv-rt
	test -d .venv-rt || $(PYTHON) -m venv .venv-rt
	.venv/bin/python -c 'import site; print(site.getsitepackages()[0])' > $$(.venv-rt/bin/python -c 'import site; print(site.getsitepackages()[0])')/csilink.pth
	.venv-rt/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt sionna-rt
	.venv-rt/bin/python -m pytest tests/shared/channels/raytraced tests/shared/experiments/test_generate_raytraced.py \
	  tests/shared/experiments/commands/test_generate_raytraced.py $(ARGS)

replicas-test: $(INSTALLED) ## the tests of decoders in replicas of Ray Serve, in an environment of their own, .venv-ray
	test -d .venv-ray || $(PYTHON) -m venv .venv-ray
	.venv/bin/python -c 'import site; print(site.getsitepackages()[0])' > $$(.venv-ray/bin/python -c 'import site; print(site.getsitepackages()[0])')/csilink.pth
	.venv-ray/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt 'ray[serve]'
	PYTHONPATH=$(CURDIR) OMP_NUM_THREADS=1 .venv-ray/bin/python -m pytest tests/integration/test_replicas.py $(ARGS)

clean: ## remove .venv, caches and out/
	rm -rf .venv .venv-rt .venv-ray .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist out *.egg-info

# torch goes first and by plain name and version, so that a build chosen beforehand (CPU, a CUDA release) is kept.
$(INSTALLED): pyproject.toml constraints.txt
	@echo "building .venv (a few minutes the first time)"
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) setuptools wheel
	$(PIP_INSTALL) torch==2.13.0
	$(PIP_INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@
