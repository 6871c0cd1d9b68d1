.PHONY: help test race docs load soak module

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.* ## /\1\t/p' Makefile

test: ## everything that needs nothing but Go
	go test ./...

race: ## the same under the race detector; needs a C compiler
	go test -race ./...

docs: ## write the generated parts of README.md and docs/ anew
	go test ./cmd/lpbridge -run Documents -update

load: ## how fast it is, beside something simpler; docs/performance.md
	go run ./tools/lpload

soak: ## tries to break the promise, by killing the bridge
	go run ./tools/lpsoak

module: ## give the module another path: make module MODULE=github.com/you/lpbridge
	go run ./tools/module "$(MODULE)"
