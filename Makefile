# Two commands are enough for a newcomer: `make demo` and `make test`. Both install what they need first.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint format clean

demo: $(READY)
	$(BIN)/ordinal-blast demo

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt hatch_build.py $(wildcard native/*)
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --allow-existing --python $(PYTHON) .venv && \
		uv pip install --python $(BIN)/python -c constraints.txt -e ".[all,test]"; \
	else \
		$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,test]"; \
	fi
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache
