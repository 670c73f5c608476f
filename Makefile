# `make demo` and `make test` each set up a fresh machine alone: only Python, pip and make are needed.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint format clean

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

demo: export NANOGPT_HOME ?= $(CURDIR)/demo-models
demo: .venv/installed
	$(BIN)/datasette nanogpt-demo-db demo.db
	$(BIN)/datasette nanogpt-train demo.db python_docs --minutes 1
	@for prompt in "Return the" "class " "A module"; do \
		printf "\n--- %s" "$$prompt"; \
		$(BIN)/llm -m nanogpt-demo "$$prompt" -o max_tokens 80 --no-log || exit 1; \
	done
	@printf '\n\nSee the table and the run in Datasette:\n'
	@printf '    $(BIN)/datasette demo.db %s/nanogpt.db --root\n' "$$NANOGPT_HOME"
	@printf 'Write more:\n    NANOGPT_HOME=%s $(BIN)/llm -m nanogpt-demo "Return the"\n' "$$NANOGPT_HOME"

test: lint
	$(BIN)/python -m pytest -q -m "not long and not browser" $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/cog --check README.md docs/*.md

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/cog -r README.md docs/*.md

clean:
	rm -rf .venv demo.db demo-models
