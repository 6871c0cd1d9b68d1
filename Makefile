.PHONY: test race docs load

test: ## everything that needs nothing but Go
	go test ./...

race: ## the same under the race detector; needs a C compiler
	go test -race ./...

docs: ## write the generated parts of README.md and docs/ anew
	go test ./cmd/lpbridge -run Documents -update
