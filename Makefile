# Everything one does with the exchange. Each target works on a clean clone, as root or not, with or without a terminal.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test check bench fuzz docs clean

# Options of `strowger demo`, for instance `make run ARGS=--once`.
ARGS ?=
# How long `make fuzz` feeds each target.
FUZZ_SECONDS ?= 60
# The targets that `make fuzz` feeds; all of them when empty.
FUZZ_TARGETS ?=

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: ## install what is missing, build, and run the exchange with two soft phones that call each other
	scripts/install-deps build
	@# What the demonstration does not need is left out, so that it is there sooner.
	cargo build --release -p strowger --no-default-features --features opus
	$(TARGET_DIR)/release/strowger demo $(ARGS)

test: ## all tests: units, scenarios, documentation, and real peers
	scripts/install-deps build interop
	@# Tests and binaries in one go: asked for apart, features would differ and most would be built twice.
	cargo build --workspace --bins --tests
	cargo test --workspace
	@# The other library for Opus.
	cargo test -p sx-codec --features libopus
	scripts/install-deps schemathesis
	STROWGER="$(TARGET_DIR)/debug/strowger" SCHEMATHESIS="$(TARGET_DIR)/python/bin/schemathesis" interop/run

check: ## format, lints, documentation, house rules, licences
	scripts/install-deps build lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir "$(TARGET_DIR)" -- -D warnings
	$(MAKE) docs
	cargo xtask tidy
	scripts/deny

bench: ## the benchmarks of the crates
	cargo bench --workspace

fuzz: ## feed each parser for FUZZ_SECONDS seconds, from the seeds
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz $(FUZZ_TARGETS)

docs: ## the documentation of the crates; a broken link is an error
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

clean: ## what was built
	cargo clean
	rm -rf fuzz/target fuzz/corpus fuzz/artifacts
