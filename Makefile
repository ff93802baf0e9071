# The two commands of the README, and the parts they are made of. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

DATA ?= ./data
HTTP ?= 127.0.0.1:8080
LAB ?= /tmp/holdfast-lab
CORPUS ?=
CARGO ?= cargo

# npm writes this when it has installed what the lock file names.
WEB_MODULES := web/node_modules/.package-lock.json

# Where packaging/install.sh puts a newer Node.js when the system's is too old.
export PATH := $(CURDIR)/target/tools/node_modules/.bin:$(PATH)


.PHONY: help run lab test test-faults web example fmt lint build-debug test-rust test-web test-browser docs install-tools install-postgres install-browser install-xmpp install-azure install-fuzz clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | column -t -s "$$(printf '\t')"

run: install-tools web ## Build everything and run a server on DATA (./data) at HTTP (127.0.0.1:8080)
	$(CARGO) build --release --locked --package holdfast
	@packaging/run.sh "$$(packaging/target-dir.sh)/release/holdfast" "$(DATA)" "$(HTTP)"

lab: install-tools install-postgres web ## Build everything and bring up both sites on this machine in LAB (/tmp/holdfast-lab), with the IRC logs of CORPUS if given
	$(CARGO) build --release --locked --package holdfast
	@"$$(packaging/target-dir.sh)/release/holdfast" lab up --dir "$(LAB)" $(if $(CORPUS),--corpus "$(CORPUS)")

test: install-tools install-postgres install-browser install-xmpp web test-rust test-web test-browser ## Run every test: Rust, web, and end to end in Chromium

web: $(WEB_MODULES) ## Build the web client into web/dist
	cd web && npm run --silent build

example: ## Write holdfast.example.toml anew
	$(CARGO) run --quiet --package holdfast -- config example > holdfast.example.toml

fmt: $(WEB_MODULES) ## Format all sources
	$(CARGO) fmt --all
	cd web && npm run --silent format

lint: web ## Check formats and lints of all sources
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	cd web && npm run --silent lint && npm run --silent check

# One build serves the tests and the binary that they run: the same packages and targets each time, so that nothing is built twice.
build-debug:
	$(CARGO) build --workspace --all-targets --locked

# nextest runs tests side by side, each in a process of its own; without it, `cargo test` does.
test-rust: build-debug
	export HOLDFAST_BIN="$$(packaging/target-dir.sh)/debug/holdfast"; \
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run --workspace --locked && $(CARGO) test --workspace --locked --doc --quiet; \
	else \
	  $(CARGO) test --workspace --locked; \
	fi

test-faults: install-tools install-postgres install-azure install-fuzz web build-debug ## Every test of two sites, also those that take long, and a minute for each fuzz target
	export HOLDFAST_BIN="$$(packaging/target-dir.sh)/debug/holdfast"; \
	$(CARGO) nextest run --workspace --locked --run-ignored all -E '(package(holdfast-tests) & (binary(sites) | binary(sites_faults) | binary(sites_shell) | binary(sites_shipping))) | (package(holdfast-wal) & test(/azure/))'
	@packaging/fuzz.sh

test-web: $(WEB_MODULES)
	cd web && npm run --silent test

test-browser: install-browser web build-debug
	cd tests/browser && npm ci --no-audit --no-fund --silent
	export HOLDFAST_BIN="$$(packaging/target-dir.sh)/debug/holdfast"; cd tests/browser && npm test --silent

docs: ## Build the handbook into docs/book (needs mdbook)
	mdbook build docs

install-tools: ## Install what a build needs: compiler, linker, Rust, Node.js
	@packaging/install.sh build

install-postgres: ## Install what the tests of the PostgreSQL store need: PostgreSQL 15 or later, without a cluster of its own
	@packaging/install.sh postgres

install-browser: ## Install what the browser tests need: Chromium
	@packaging/install.sh browser

install-azure: ## Install what the tests of shares at Azure need: Microsoft's emulator Azurite
	@packaging/install.sh azure

install-xmpp: ## Install what the tests with XMPP clients need: slixmpp, Profanity, go-sendxmpp
	@packaging/install.sh xmpp

install-fuzz: ## Install what fuzzing needs: cargo-fuzz, a nightly Rust
	@packaging/install.sh fuzz

clean: ## Remove everything that was built; data stays
	$(CARGO) clean
	rm -rf web/dist web/node_modules tests/browser/node_modules

# Installed anew when the lock file is newer.
$(WEB_MODULES): web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --silent
	touch $@
