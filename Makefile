# `make demo` and `make test` do everything from a bare checkout with Python 3.11 or newer.
PYTEST = .venv/bin/python -m pytest
PORT ?= 8000

.PHONY: setup demo test lint migrate

setup: ## only the environment, in .venv/
	@scripts/setup

demo: setup ## devshop, the app and a seeded world; prints the address to open
	@.venv/bin/python scripts/demo.py

lint: setup ## the static checks
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: setup lint ## everything: environment, browser, database, all tests
	OCC_CHROMIUM=$$(scripts/browser) $(PYTEST) -n 2 --dist loadfile -q

migrate: setup
	.venv/bin/occ migrate
