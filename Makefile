# `make demo` and `make test` do everything from a bare checkout with Python 3.11 or newer.
PYTEST = .venv/bin/python -m pytest
PORT ?= 8000

.PHONY: later pause resume setup demo test lint migrate simulate kills bench long

setup: ## only the environment, in .venv/
	@scripts/setup

demo: setup ## devshop, the app and a seeded world; prints the address to open
	@.venv/bin/python scripts/demo.py

later: ## HOURS=24: so much time passes in the running demo
	@.venv/bin/python scripts/later.py $(HOURS)

pause resume: setup ## the running demo's app stops, and starts again; devshop's store goes on meanwhile
	@.venv/bin/python scripts/pause.py $@

lint: setup ## the static checks
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: setup lint ## everything: environment, browser, database, all tests
	OCC_CHROMIUM=$$(scripts/browser) $(PYTEST) -n 2 --dist loadfile -q -m "not long"

long: setup ## the few tests that take more than half a minute each
	OCC_CHROMIUM=$$(scripts/browser) $(PYTEST) -n 2 --dist loadfile -q -m long

simulate: setup ## a shop's life under bad luck, SEEDS=100 times; a seed that fails is shrunk and told
	.venv/bin/python -m tests.simulation --seeds $(or $(SEEDS),100)

kills: setup ## kills processes at random moments, KILLS=100 times, and compares the books with devshop; SEED=1 chooses the moments
	KILLS=$(or $(KILLS),100) SEED=$(or $(SEED),1) $(PYTEST) tests/kills -q

bench: setup ## 10,000 mappings: calls, points, memory and time; docs/performance.md keeps the figures
	.venv/bin/python -m bench
	.venv/bin/python -m bench.planning

migrate: setup
	.venv/bin/occ migrate
