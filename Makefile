# `make demo` and `make test` need python3 (3.11+) and make; the rest they put into $(VENV).

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

# Hundreds of the tests' processes would compile s3po, and each of pytest's the tests.
unexport PYTHONDONTWRITEBYTECODE

BIN = $(VENV)/bin
OLDEST = .venv-oldest
SOURCES = s3po tests examples benchmarks docs setup.py

# The environment is made again when what it should hold changes, and only then.
HASH := $(shell cat setup.py pyproject.toml .ci/venv | sha256sum | cut -c 1-16)
STAMP = $(VENV)/.stamp-$(HASH)

.PHONY: help demo examples test test-exhaustive coverage lint ruff test-clients test-suites test-oldest test-integrations
.PHONY: chaos soak fuzz bench dist docs plots try-wheel clean

help:
	@echo 'make demo          the whole way on real files: batch, multipart, faults, presigned URL'
	@echo 'make test          lint, types, tests'
	@echo 'make test-exhaustive  the combinations that make test leaves out'
	@echo 'make coverage      all tests with branch coverage, which slows them by half'
	@echo 'make lint          ruff and mypy only, over the package, tests, examples, benchmarks'
	@echo 'make test-integrations  pandas, pyarrow, Dask, Django and others on the filesystem, the cluster, the examples'
	@echo 'make examples      the recipes of examples/, against the mock'
	@echo 'make test-oldest   all tests with the oldest dependencies that setup.py allows'
	@echo 'make test-clients  other S3 clients (aws, s5cmd, rclone, ...) against the served mock'
	@echo 'make test-suites   how to run the suites of other projects against the mock'
	@echo 'make chaos         mixed load on stores that fail: nothing lost, corrupt, leaked'
	@echo 'make soak          ten minutes of load: memory, descriptors, greenlets, threads stay flat'
	@echo 'make fuzz          hostile answers, files and arguments without end, by coverage'
	@echo 'make docs          the documentation as a site, in site/'
	@echo 'make bench         s3po beside obstore, opendal, minio, boto3, ... against nginx (half an hour)'
	@echo 'make bench-quick   the hot paths alone, against the last saved figures'
	@echo 'make bench-profile where the time of a small GET and PUT goes'
	@echo 'make bench-batch   batches of 10 thousand to a million'
	@echo 'make bench-mock    the mock beside moto'
	@echo 'make bench-cli     the command line beside s5cmd, aws, rclone, s3cmd, on nginx and the mock'
	@echo 'make bench-cli_memory  its memory on ten thousand to a million objects'
	@echo 'make dist          the sdist and the wheel in dist/, checked'
	@echo 'make try-wheel     the wheel in an empty environment of each Python that is found'
	@echo 'make clean         environments, caches, build output'

$(STAMP):
	@echo 'installing s3po and what its tests need into $(VENV) ...'
	@.ci/venv $(VENV) $(PYTHON)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,progress]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/demo.py

lint: ruff
	$(BIN)/mypy $(SOURCES)

ruff: $(STAMP)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

# Three processes for two cores, as many tests wait; `make test PYTEST_ARGS='-n 0'` is for a debugger.
WORKERS = $(shell expr `getconf _NPROCESSORS_ONLN` '*' 3 / 2)
test: ruff
	@.ci/test $(BIN) '$(SOURCES)' -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

# What is left out there: combinations of which `make test` runs some.
test-exhaustive: $(STAMP)
	$(BIN)/python -m pytest -m exhaustive -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

coverage: $(STAMP)
	$(BIN)/python -m pytest -m '' -n $(WORKERS) --dist worksteal --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/python -m coverage report

# They bring hundreds of MiB, and are skipped in `make test`.
INTEGRATIONS = .venv-integrations
INTEGRATIONS_STAMP = $(INTEGRATIONS)/.stamp-$(HASH)

$(INTEGRATIONS_STAMP):
	@.ci/venv $(INTEGRATIONS) $(PYTHON)
	@$(INTEGRATIONS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-e '.[test,test-integrations]'
	@touch $@

test-integrations: $(INTEGRATIONS_STAMP)
	$(INTEGRATIONS)/bin/python -m pytest -rs -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true \
		tests/fs tests/cluster tests/integrations $(PYTEST_ARGS)

examples: $(INTEGRATIONS_STAMP)
	$(INTEGRATIONS)/bin/python examples/run.py

# tests/mock_s3 drives the mock by boto3, which then is too old to know all that it asks for.
test-oldest:
	@.ci/venv $(OLDEST) $(PYTHON)
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .ci/oldest.txt --editable '.[test]'
	$(OLDEST)/bin/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/mock_s3 $(PYTEST_ARGS)

test-clients: $(STAMP)
	tests/clients/run $(BIN)/python

# Other projects' suites are not part of the tests, nor fetched by them.
test-suites:
	@cat tests/clients/SUITES.md

# CHAOS_ARGS='--stores mock --seeds 7 --operations 2000 --rates 0.05' has a look at it.
chaos: $(STAMP)
	$(BIN)/python -m tests.stress.chaos $(CHAOS_ARGS)

# SOAK_ARGS='--minutes 1'; it writes soak.svg.
soak: $(STAMP)
	$(BIN)/python -m tests.stress.soak $(SOAK_ARGS)

# FUZZ_ARGS='--seconds 60 --only head'; by atheris where it is installed, else by hypothesis.
fuzz: $(STAMP)
	$(BIN)/python -m tests.stress.fuzz $(FUZZ_ARGS)

# A broken link, anchor or reference fails. The pages are in site/.
DOCS = .venv-docs
DOCS_STAMP = $(DOCS)/.stamp-$(HASH)

$(DOCS_STAMP):
	@.ci/venv $(DOCS) $(PYTHON)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(DOCS_STAMP)
	$(DOCS)/bin/python -m mkdocs build --strict --quiet

# From the figures of the last `make bench`.
plots: $(STAMP)
	$(BIN)/python benchmarks/plots.py
	$(BIN)/python docs/img/architecture.py

# It makes environments of its own, in .venv-bench; BENCH_ARGS='--rounds 1 --quick' has a look at it.
bench:
	$(PYTHON) benchmarks/bench.py $(BENCH_ARGS)

# Each is a program of its own: benchmarks/bench_mock.py is `make bench-mock`.
bench-%: $(STAMP)
	$(BIN)/python benchmarks/bench_$*.py $(BENCH_ARGS)

# build and twine are in an environment of their own, which is kept.
DIST = .venv-dist

$(DIST)/.stamp: .ci/venv
	@.ci/venv $(DIST) $(PYTHON)
	@$(DIST)/bin/python -m pip install --quiet --disable-pip-version-check build twine
	@touch $@

dist: $(DIST)/.stamp
	@.ci/dist $(DIST)/bin/python

# TRY_WITH='python3.12 /opt/python3.14/bin/python3' names the Pythons.
try-wheel: dist
	@.ci/try-wheel $(TRY_WITH)

clean:
	rm -rf $(VENV) $(OLDEST) $(INTEGRATIONS) $(DIST) $(DOCS) .venv-bench site build dist *.egg-info
	rm -rf .coverage .coverage.*
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
