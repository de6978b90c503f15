# One line per target; `make` alone prints them. What the steps need is in Config/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deps deps-test build demo test test-long test-http fuzz lint clean

KELTER := .build/release/kelter
export QUESTION_DE ?= Bis wann muss Resturlaub aus dem Vorjahr angetreten werden?
export QUESTION_EN ?= How quickly must a SEV-1 incident be acknowledged?

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what Kelter needs: Debian packages, the embedded PostgreSQL and the embedding engine
	@Config/install-packages.sh
	@Config/install-parts.sh

deps-test: deps ## install what the tests need besides: the LiteLLM proxy, a server of buckets, documents to read
	@Config/install-packages.sh debian-test-packages.txt
	@Config/install-test-parts.sh
	@Config/install-test-parts.sh s3
	@Config/install-test-parts.sh documents

build: deps ## build .build/release/kelter
	swift build --configuration release --product kelter

demo: build ## ingest Samples/ into the embedded server and ask a German and an English question
	@printf '\n== Start the embedded PostgreSQL and embedding endpoint\n'; $(KELTER) up
	@printf '\n== Ingest Samples/\n'; $(KELTER) ingest Samples
	@printf '\n== Ask: %s\n' "$$QUESTION_DE"; $(KELTER) query "$$QUESTION_DE"
	@printf '\n== Ask: %s\n' "$$QUESTION_EN"; $(KELTER) query "$$QUESTION_EN"
	@printf '\n== Status\n'; $(KELTER) status

# All tests at once would wait for each other longer than the limits of the statements and requests they are about.
test: export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH ?= 12
test: deps-test ## build everything and run all tests; they start the servers they need themselves
	swift build --build-tests
	@# The tests of the built binary start dozens of processes: in passes of their own, or they would starve the others.
	swift test --skip-build --disable-xctest --skip EndToEndTests
	swift test --skip-build --disable-xctest --filter EndToEndTests --skip EndToEndTests.HTTP
	swift test --skip-build --disable-xctest --filter EndToEndTests.HTTP

test-long: deps-test ## run the disturbed batches at their full length: 50 kills, an endpoint that is away for a minute
	swift build --build-tests
	KELTER_LONG_TESTS=1 swift test --skip-build --disable-xctest --filter EndToEndTests.DisturbedBatch

test-http: deps-test ## hold the HTTP service against its own OpenAPI description with schemathesis
	@Config/install-test-parts.sh http
	swift build --product kelter
	@Tests/schemathesis.sh

fuzz: deps ## fuzz every parser for SECONDS (60) with libFuzzer and AddressSanitizer
	@Tests/fuzz.sh $(or $(SECONDS),60)

lint: ## check the formatting and the style rules
	swift format lint --strict --recursive --parallel Sources Tests Package.swift

clean: ## remove the build directory; data and parts stay
	rm -rf .build
