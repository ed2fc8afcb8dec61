# What one does with Vestibule; `make help` tells.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# cc finds mold as its `ld` in these folders, and where they are absent nothing changes. Unlike
# RUSTFLAGS this leaves Cargo's fingerprints alone: `make` and plain `cargo` share what they built.
export COMPILER_PATH := /usr/libexec/mold:/usr/lib/mold

.PHONY: help
help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## build Vestibule and start it with a demo identity provider and platform
	@scripts/install.sh
	cargo build --locked
	@"$$(scripts/target.sh)/debug/vestibule" demo

.PHONY: test
test: ## run all tests, on real Redis, PostgreSQL, SQLite, OpenID provider, mail server, Chromium
	@scripts/install.sh --test
	cargo test --locked --features fault-points

.PHONY: fuzz
fuzz: ## run every parser that strangers reach on hostile octets: SECONDS=300 each
	FUZZ_SECONDS=$(or $(SECONDS),300) cargo test --locked --lib -- --nocapture fuzzed_

.PHONY: test-thingsboard
test-thingsboard: ## run contract and journeys on a running ThingsBoard: THINGSBOARD_URL= _USER= _PASSWORD=
	@scripts/install.sh --test
	@scripts/test_thingsboard.sh

.PHONY: check
check: ## formatting, lints, licences, documentation
	@scripts/install.sh --test
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo deny --locked check bans licenses sources
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

.PHONY: bench
bench: ## measure speed beside others and write docs/performance.md; QUICK=--quick for a first look
	@scripts/install.sh --bench
	cargo build --locked --release --bin vestibule --example minimal_proxy --example pieces --example stored_sessions
	@PATH="$$PATH:$(CURDIR)/.bench" node bench/run.mjs $(QUICK) --target "$$(scripts/target.sh)" --write docs/performance.md
	@node bench/instructions.mjs --target "$$(scripts/target.sh)" --write docs/performance.md
	@node bench/pieces.mjs --target "$$(scripts/target.sh)" --write docs/performance.md
	@node bench/logins.mjs $(QUICK) --target "$$(scripts/target.sh)" --write docs/performance.md
	@node bench/stored_sessions.mjs $(QUICK) --target "$$(scripts/target.sh)" --write docs/performance.md
	@node bench/idle_websockets.mjs $(QUICK) --target "$$(scripts/target.sh)" --write docs/performance.md

.PHONY: bench-signup
bench-signup: ## flood sign-ups with robots, and write what honest people see to docs/performance.md
	@scripts/install.sh --test
	cargo build --locked --release --bin vestibule
	@node bench/sign_up_load.mjs --target "$$(scripts/target.sh)" --write docs/performance.md
	@node bench/same_time.mjs --target "$$(scripts/target.sh)" --write docs/performance.md
