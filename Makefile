# heirloom: simulate how behaviours spread across generations of language models.

BIN  := bin/heirloom
LIB  := reports/chartlib/dist/stamp

.DEFAULT_GOAL := help

## help: list the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## demo: build everything, run the default scenario, say where the report lies
demo: build
	./$(BIN) run trauma-narratives

## build: the program, with the chart library where npm is there
build: assets
	go build -o $(BIN) ./cmd/heirloom

## assets: bundle the chart library that reports embed; without npm reports have static figures
assets: $(LIB)
$(LIB): reports/chartlib/package-lock.json reports/chartlib/entry.js reports/chartlib/build.mjs
	@if command -v npm >/dev/null 2>&1; then \
		cd reports/chartlib && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && node build.mjs; \
	else \
		echo "npm is not installed: reports will have static figures; install Node.js and run make assets for interactive ones"; \
	fi

## test: vet and run all tests
test: assets
	go vet ./...
	go test -timeout 18m ./...

## verify: hold stand-in lineages against closed forms, at full size
verify: build
	./$(BIN) verify --full

## bench: every benchmark, on a quiet machine; docs/benchmarks.md explains the figures
bench: assets
	go test -run '^$$' -bench . -benchtime 2s ./...
	HEIRLOOM_BENCH=1 go test -timeout 30m -run 'Benchmark' -v ./lineage/ngram ./cmd

## bench-peers: train and sample beside PyTorch of Debian, on a quiet machine; under ten minutes
bench-peers:
	/usr/bin/python3 lineage/transformer/net/peers/compare.py

## golden: rewrite the golden files of tests
golden:
	go test ./cmd -update

## lint: formatting, vet and staticcheck
lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

.PHONY: help demo build assets test verify bench bench-peers golden lint
