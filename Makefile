# make demo   set up (the core dependencies only), tell the whole story with the model that comes with Pellucid: a minute
# make test   set up (with the extra 'dev'), run every test
# make lint   format check, lint, types
# make dist   wheel and source distribution, in dist/
# make torture  the tests of what is promised (docs/security.md) for long, then pip-audit
# make lowest  the tests with the lowest versions of everything that pyproject.toml allows, in .venv-lowest
# make bench  training speed against a plain loop, some twelve minutes on an idle machine; FACES=folder of CelebA
PYTHON ?= python3
BIN := .venv/bin
CORE := .venv/.core
DEV := .venv/.dev

.PHONY: demo test lowest lint docs site notebooks torture audit dist bench
demo: $(CORE)
	$(BIN)/pellucid demo --out demo
	@echo 'First: . $(BIN)/activate, which puts pellucid on your path.'

test: $(DEV)
	$(BIN)/pytest -n 2 --dist loadfile

# starlette's lowest spells types as the lowest beartype warns of
lowest:
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) .ci/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/constraints.txt --editable '.[dev]'
	.venv-lowest/bin/pytest -n 2 --dist loadfile -W ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning

lint: $(DEV)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

$(CORE): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pellucid needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $(CORE)

$(DEV): $(CORE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(DEV)

# the hard tests for long: mutated files by the thousand, 100 kills of a training, full disks, a flood of frames; half an
# hour and more. Then what is installed is looked up among known weaknesses, which needs the network.
torture: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/pytest -v -m torture
	$(MAKE) audit

AUDIT := .venv/audit
audit: $(DEV)
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet pip-audit
	$(AUDIT)/bin/python .ci/audit.py "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

docs: $(CORE)
	$(BIN)/python -c 'from pellucid.cli import app; print(app.generate_docs(output_format="markdown").rstrip())' > docs/commands.md
	$(BIN)/python docs/api.py > docs/api.md

# the same pages as a site in site/; fails on a link that leads nowhere
site: $(DEV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/mkdocs build --strict

dist: $(DEV)
	rm -rf dist
	$(BIN)/python -m hatchling build

# trains the model of docs/notebooks unless it is there, then executes both in place
notebooks: $(DEV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,notebooks]'
	$(BIN)/python docs/notebooks/execute.py

FACES ?= people
bench: $(CORE)
	$(BIN)/python benchmarks/throughput.py --faces $(FACES)
