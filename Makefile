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
	@write() { \
		printf '\n\n--- %s\n%s' "$$1" "$$2"; \
		$(BIN)/llm -m nanogpt-demo -o title "$$1" "$$2" -o temperature 0.6 -o max_tokens 60 --no-log; \
	}; \
	write os.path.isfile "Return True if" && write shutil.copytree "Return the" && \
		write logging.Handler "A handler"
	@printf '\n\nSee the table and the run in Datasette:\n'
	@printf '    $(BIN)/datasette demo.db %s/nanogpt.db --root\n' "$$NANOGPT_HOME"
	@printf 'Write more:\n    NANOGPT_HOME=%s $(BIN)/llm -m nanogpt-demo -o title os.remove "Return the"\n' "$$NANOGPT_HOME"

test: lint
	$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not long and not browser" $(ARGS)

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
