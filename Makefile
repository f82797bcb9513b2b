# What people do with this repository. `make help` lists it.
CARGO ?= cargo

.DEFAULT_GOAL := help
# What libFuzzer steers by, on a stable compiler.
COVERED = --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
BUILT = $(or $(CARGO_TARGET_DIR),target)
# Both packages in every command: named alone, one would be built with other features, and all that it stands on once more.
DISTRIBUTED = -p albumctl -p albumctl-scale --features distributed
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
PAGES ?= target/pages
READER ?= png
SECONDS ?= 600
SHARE = $(or $(PREFIX),$(HOME)/.local)/share
START ?= efficientnet-lite0

.PHONY: help run test faults fuzz features licences test-distributed lint lint-distributed bench bench-original bench-peers parity train-builtin layout-whitening fixtures doc install install-docs pages deb

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

run: ## score the album that comes with the repository
	$(CARGO) run -- score fixtures/album

test: lint doc ## everything that must hold: lint, unit, command line, faults, parity, documentation
	$(CARGO) test --workspace --no-fail-fast

faults: ## every call to the system of every command that writes fails, once and from then on: thousands of runs, half an hour
	ALBUMCTL_FAULTS=all $(CARGO) test --test faults failing_calls -- --nocapture
	ALBUMCTL_MUTATIONS=100000 $(CARGO) test --test faults mutated_photos -- --nocapture

test-distributed: ## the engine for many machines, and object stores: nodes as processes; some minutes to build
	$(CARGO) test $(DISTRIBUTED) --no-fail-fast --test distributed
	$(CARGO) test $(DISTRIBUTED) --lib -- commands::trust distributed

lint-distributed: ## clippy with the feature `distributed`, warnings as errors
	$(CARGO) clippy --features distributed --lib --bins --test distributed -- -D warnings

lint: ## formatting and clippy, warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

licences: ## what stands in Cargo.lock, by deny.toml; needs cargo-deny (cargo install --locked cargo-deny)
	$(CARGO) deny --all-features check --hide-inclusion-graph licenses bans sources

features: ## each optional feature alone compiles, and the fuzzer; CONTRIBUTING.md names the packages they need
	$(CARGO) check --features object-stores
	$(CARGO) check --features distributed
	$(CARGO) check --features turbojpeg
	$(CARGO) check --features libheif
	cd fuzz && $(CARGO) check --bins

bench: ## parts (criterion) and whole processes beside their rivals; see tests/bench/RESULTS.md
	$(CARGO) bench

bench-peers: ## networks, k-means and faces beside ONNX Runtime, PyTorch, scikit-learn, faiss and MediaPipe; see tests/bench/results
	test -d tests/bench/peers/.venv || python3 -m venv tests/bench/peers/.venv
	tests/bench/peers/.venv/bin/pip install --quiet -r tests/bench/peers/requirements.txt
	$(CARGO) bench --bench networks --no-run
	tests/bench/peers/.venv/bin/python tests/bench/peers/networks.py $(CARGO) bench --quiet --bench networks --
	ALBUMCTL_PEERS_PYTHON=$(CURDIR)/tests/bench/peers/.venv/bin/python $(CARGO) bench --bench scale
	test -d tests/bench/peers/.venv-faces || python3.11 -m venv tests/bench/peers/.venv-faces
	tests/bench/peers/.venv-faces/bin/pip install --quiet mediapipe==0.10.21
	tests/bench/peers/.venv-faces/bin/python tests/bench/peers/mediapipe_faces.py
	tests/bench/peers/.venv-faces/bin/python tests/bench/peers/mediapipe_faces.py --everything

bench-original: ## the original system's whole run beside ours: ORIGINAL is a checkout of it; PHOTOS a folder, else 100 are drawn
	$(if $(ORIGINAL),,$(error name the folder of the original system: make bench-original ORIGINAL=FOLDER))
	test -d tests/bench/peers/.venv-original || python3.11 -m venv tests/bench/peers/.venv-original
	tests/bench/peers/.venv-original/bin/pip install --quiet -r tests/bench/peers/requirements-original.txt
	$(CARGO) build --release
	tests/bench/peers/.venv-original/bin/python tests/bench/peers/original.py $(ORIGINAL) $(BUILT)/release/albumctl $(if $(PHOTOS),--photos $(PHOTOS))

fuzz: ## bytes of strangers for READER (png, xmp, features, …) for SECONDS; SEEDS: a folder of more files to start from
	cd fuzz && RUSTFLAGS="$(COVERED)" $(CARGO) build --release --target $(HOST) --bin reader
	cd fuzz && $(CARGO) run --quiet --bin seeds corpus && mkdir -p corpus/$(READER)
	cd fuzz && ALBUMCTL_READER=$(READER) target/$(HOST)/release/reader corpus/$(READER) $(SEEDS) \
		-max_len=16384 -rss_limit_mb=1024 -timeout=10 -max_total_time=$(SECONDS)

parity: ## all networks on all pictures, batches and processor paths against PyTorch's numbers
	ALBUMCTL_PARITY=wide $(CARGO) test --release --test parity -- --nocapture --test-threads=1

train-builtin: ## train models/album-mini again on the trunk of START: DATA is a folder with the photos and labels; resumable
	$(if $(DATA),,$(error name the folder with the photos and labels: make train-builtin DATA=FOLDER))
	$(CARGO) run --release -- train mini --pull --start $(START) --data $(DATA) --run target/train/album-mini
	cp target/train/album-mini/best.safetensors models/album-mini.safetensors
	sed -i -e "s/^  size: .*/  size: $$(wc -c < models/album-mini.safetensors)/" \
		-e "s/^  sha256: .*/  sha256: $$(sha256sum models/album-mini.safetensors | cut -d ' ' -f 1)/" models/album-mini.yaml
	@echo "models/album-mini.yaml tells the new weights; build again to have them in the binary"

layout-whitening: ## learn the whitening of scene-layout again: PHOTOS is a folder of single photographs, PREFIX begins their names
	$(if $(PHOTOS),,$(error name the folder with the photos: make layout-whitening PHOTOS=FOLDER PREFIX=ss03_))
	$(CARGO) run --release --example whiten_layout -- $(PHOTOS) "$(PREFIX)" src/judge/cluster/scene_layout.whitening

fixtures: ## draw fixtures/album again
	$(CARGO) run --release --example draw_album -- fixtures/album

doc: ## the documentation of the library, warnings as errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

install: ## install binary, manual and completions for this user, or below PREFIX
	$(CARGO) install --path . --locked $(if $(PREFIX),--root $(PREFIX))
	$(MAKE) install-docs BIN=$(or $(PREFIX),$(CARGO_INSTALL_ROOT),$(CARGO_HOME),$(HOME)/.cargo)/bin/albumctl

install-docs: ## manual and completions of the binary BIN alone
	$(if $(BIN),,$(error name the binary: make install-docs BIN=target/release/albumctl))
	$(BIN) man --dir $(SHARE)/man/man1
	mkdir -p $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(BIN) completions bash -o $(SHARE)/bash-completion/completions/albumctl
	$(BIN) completions zsh -o $(SHARE)/zsh/site-functions/_albumctl
	$(BIN) completions fish -o $(SHARE)/fish/vendor_completions.d/albumctl.fish

pages: ## manual and completions of the binary BIN for a package, below PAGES (target/pages)
	$(if $(BIN),,$(error name the binary: make pages BIN=target/release/albumctl))
	$(MAKE) --no-print-directory install-docs BIN=$(BIN) PREFIX=$(PAGES)
	mkdir -p $(PAGES)/share/powershell
	$(BIN) completions powershell -o $(PAGES)/share/powershell/albumctl.ps1

deb: ## a Debian package of a release build; needs cargo-deb (cargo install --locked cargo-deb)
	$(CARGO) build --release --locked --bin albumctl
	$(MAKE) --no-print-directory pages BIN=$(BUILT)/release/albumctl
	$(CARGO) deb --no-build
