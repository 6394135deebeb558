# make demo    set everything up and run the main job on a small generated data set
# make test    set everything up and run the tests
# make docs    build the documentation into site/; every warning is an error
# make lint    ruff, mypy --strict, import layers
# make bench   measure speed against floors; appends to docs/benchmarks/results.csv (a quarter of an hour)
# make screenshots, make notebooks    renew the pictures of pages and the badges; run the notebooks and store their outputs
# make venv    only the environment (.venv: editable, every extra)
# make axe     axe-core from npm, with which the tests of the pages look for barriers (they skip without it)
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= demo
# --no-compile saves about 40 s and 300 MB: Python then compiles what is imported, once, which
# needs PYTHONDONTWRITEBYTECODE off (some CI images set it).
export PYTHONDONTWRITEBYTECODE :=
PIPI   := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt

.PHONY: demo test lint docs screenshots notebooks bench venv axe clean
demo: $(VENV)/.done
	$(BIN)/slakh-hier demo -o $(OUT)
test: $(VENV)/.done
	$(BIN)/python -m pytest -n auto
lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -W ignore::DeprecationWarning -m mkdocs build --strict --quiet
screenshots: demo
	$(BIN)/python docs/scripts/screenshots.py $(OUT)
notebooks: $(VENV)/.done
	$(BIN)/python docs/scripts/notebooks.py
bench: $(VENV)/.done
	$(BIN)/python tests/benchmarks/run_all.py
venv: $(VENV)/.done
axe: tests/reporting/browser/node_modules/.package-lock.json

tests/reporting/browser/node_modules/.package-lock.json: tests/reporting/browser/package-lock.json
	cd $(<D) && npm ci --no-audit --no-fund --silent
$(VENV)/.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIPI) -e '.[dev]'
	touch $@
$(VENV)/.docs: $(VENV)/.done
	$(PIPI) -e '.[docs]'
	touch $@
clean:
	rm -rf $(VENV) build dist site *.egg-info demo
