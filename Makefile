# Everything that a person does with this project, in short words. The work is in deploy/local.

SHELL := bash
.DEFAULT_GOAL := help
python := .venv/bin/python
sources := controller tests deploy

# The kinds of private engines that the tests run on; `deploy/local/engine.sh list` names them all.
ENGINES := debian
test-engines: ENGINES := d20 d26-gd d26-c8d d28-gd d28-c8d podman podman4 podman4-rootless d20-rootless
# The architectures of `make test-arm`, and options for its pytest.
ARCHITECTURES := arm64 armhf
ARM_OPTIONS := --numprocesses auto --dist worksteal

# What `make unit` leaves out; tests/conftest.py says which test needs what.
needs := needs_root or needs_engine or needs_browser or needs_tools
# How many examples the property-based tests try: quick or thorough.
PROFILE := quick
campaign: PROFILE := thorough

export TARGETS

.PHONY: help environment engines tools roots run unit test rest test-bare test-engines test-arm simulation campaign bench lint format types dashboard screenshots deb readme lock clean
.NOTPARALLEL:

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

environment:
	@deploy/local/environment.sh

engines:
	@deploy/local/engine.sh fetch $(ENGINES)

tools:
	@deploy/local/tools.sh

# Before the tests, each of which has a limit of time.
roots:
	@deploy/local/root.sh python python314 compose systemd >/dev/null

run: environment ## see it work: three sample images, the policy for them, and why each image is removed or kept
	@deploy/local/run.sh

unit: environment ## the tests that need neither root nor an engine, a browser or other programs; in parallel
	@$(python) -m pytest -m "not ($(needs))" --numprocesses auto --dist worksteal --hypothesis-profile $(PROFILE)

test: environment unit lint types rest ## everything that must pass, on this Debian's own Docker, started for the tests alone

test-engines: environment engines tools ## the tests that need an engine, on nine: Docker 20.10 to 28, Podman 4.3 and 5.4, rootless too; writes the tables of tests/README.md
	@mkdir -p .trial
	@IMAGECTL_TEST_ENGINES="$(ENGINES)" $(python) -m pytest tests/with_docker --junitxml .trial/engines.xml; \
	    status=$$?; $(python) -m tests.with_docker.results .trial/engines.xml && $(python) -m deploy.local.readme; exit $$status

test-bare: ## `make run` and `make test` on Debian 12 and 13 on which nothing was prepared; SUITES="trixie" TARGETS="run" for less
	@deploy/local/bare.sh $(SUITES)

test-arm: ## the tests that can depend on a machine, on emulated arm64 and armhf, where the lock is installed without a compiler; slow
	@for each in $(ARCHITECTURES); do deploy/local/arm.sh $$each $(ARM_OPTIONS) || exit; done

rest: environment engines tools roots
	@IMAGECTL_TEST_ENGINES="$(ENGINES)" $(python) -m pytest -m "$(needs)"

simulation: environment ## ten thousand days in the life of nodes, at random (two hundred of them are in `make test`)
	@$(python) -m tests.simulation

campaign: unit ## long runs over many faults: every bit of a ledger flipped, and others, after `unit` with five times the examples; hours on a small machine
	@$(python) -m tests.campaigns

bench: ENGINES := d26-gd d28-c8d podman
bench: environment engines ## how fast, how small: side by side with other ways to do the same; FIGURES="removals memory" for some
	@$(python) -m tests.bench $(FIGURES); status=$$?; $(python) -m deploy.local.readme; exit $$status

lint: environment ## style, format, imports and the words of texts
	@$(python) -m ruff check $(sources)
	@$(python) -m ruff format --check $(sources)
	@.venv/bin/lint-imports
	@$(python) -m deploy.local.words

format: environment ## put all files in form
	@$(python) -m ruff check --fix-only --quiet $(sources)
	@$(python) -m ruff format $(sources)

types: environment ## check the types
	@$(python) -m mypy -p controller -p tests -p deploy.local

dashboard: environment ## write both Grafana dashboards from deploy/local/dashboard.py
	@$(python) -m deploy.local.dashboard

screenshots: environment tools ## take the pictures of the status page in manifests/screenshots again
	@$(python) -m tests.page.screenshots manifests/screenshots
	@! command -v pngquant >/dev/null || pngquant --force --skip-if-larger --ext .png manifests/screenshots/*.png

deb: environment ## build the Debian package for every architecture: dist/image-controller_VERSION_all.deb
	@deploy/deb/build.sh dist

readme: environment ## write the generated tables of settings, metrics and engines
	@$(python) -m deploy.local.readme

lock: ## write the lock files again; FLAGS=--upgrade takes newer versions
	@deploy/local/lock.sh $(FLAGS)

clean: ## remove the environment, all caches and all private engines; print the Debian packages that are left
	@deploy/local/engine.sh clean
	@rm -rf .venv .venv-* .trial .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
