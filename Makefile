# What a person types. Each target is one script or one program; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint types unit packaging-test e2e stress bench bench-vagrant bench-empty docs clean

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## system packages, Python environment, devices; as root also the user labctl
	@packaging/setup.sh

demo: ## the first lab: machines come up, its lesson is proven, what to type next
	@packaging/demo.sh

test: ## everything that CI runs: lint, types, arrows between rooms, unit, packaging, real machines
	@packaging/check.sh

test-all: ## test, impairments and tools measured, sixty nodes, every lab with every sabotage, then all labs again for BUDGET minutes (90); hours under emulation
	@packaging/check.sh lint types arrows unit packaging e2e more labs rounds

lint: ## ruff and shellcheck only
	@packaging/check.sh lint

types: ## mypy and the contract of the rooms only
	@packaging/check.sh types arrows

unit: ## unit tests only
	@packaging/check.sh unit

packaging-test: ## the wheel, built and installed elsewhere
	@packaging/check.sh packaging

e2e: ## tests on real machines only
	@packaging/check.sh e2e

stress: ## rough handling: kills, twenty at once, strangers' text; two hours under emulation, one table of what was lost (SHARE=10: a tenth)
	@packaging/stress.sh

bench: setup ## how long things take here (QUICK=1: a short form); writes docs/performance.md, proves nothing
	@tests/bench/bench.sh $(if $(QUICK),--quick)

bench-vagrant: setup ## the same against Vagrant, which it installs
	@packaging/extra.sh 'bench (20 MB to download)' vagrant vagrant-libvirt dnsmasq-base gnuplot-nox && tests/bench/bench.sh $(if $(QUICK),--quick)

bench-empty: setup ## adds what a CI runner with an empty cache needs to prove all labs, or LABS='hub napt'; takes as long as they do
	@tests/bench/bench.sh --empty "$(LABS)"

docs: setup ## writes the generated pages of docs/ again
	@. packaging/where.sh && export PYTHONDONTWRITEBYTECODE=1 && \
	"$$venv/bin/python" -m labctl.lab.docs docs/ && \
	"$$venv/bin/python" -m labctl.cli.reference >docs/commands.md && \
	"$$venv/bin/python" -m labctl.engine.coverage

clean: ## takes away what the set-up made from this checkout; images and labs stay
	@packaging/clean.sh
