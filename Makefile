.PHONY: help test race docs chart helm site release load soak replicas mutants lives fuzz lint house module

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.* ## /\1\t/p' Makefile

test: ## everything that needs nothing but Go
	go test ./...

race: ## the same under the race detector; needs a C compiler
	go test -race ./...

docs: ## write the generated parts of README.md and docs/ anew
	go test ./cmd/lpbridge -run Documents -update

chart: ## write anew what the Helm chart renders to, and test what is in deploy/
	cd tools/deploy && go test ./... -update

helm: ## lint and render the chart with helm itself, which is built first; needs kubectl, no cluster
	deploy/helm-test

site: ## the documents as pages for a browser, without a network: dist/site/index.html
	go run ./tools/site

VERSION ?=

release: ## archives, bills of materials, checksums: make release VERSION=1.2.3; docs/release.md
	go run ./tools/release -version "$(VERSION)" -cold

load: ## how fast it is, beside something simpler; docs/performance.md
	go run ./tools/lpload

soak: ## tries to break the promise, by killing the bridge
	go run ./tools/lpsoak

REPLICAS ?= 3

replicas: ## the same with REPLICAS=3 on a PostgreSQL of its own, and all that befalls those
	go run ./tools/lpsoak -store postgres -replicas $(REPLICAS) -kills 30

mutants: ## breaks promises on purpose, one at a time; the tests must notice
	go run ./tools/mutants

LIVES ?= 10000
BASE ?= 0

lives: ## random lives of engine, lanes and typing; LIVES=10000, and BASE=0 draws the first
	go test ./bridge/relay ./bridge/relay/lane ./bridge/relay/typing -timeout 0 -v -lives $(LIVES) -base $(BASE) \
		-run 'TestEverythingArrivesOnceAndInOrder|TestLanesDeliverOnceAndInOrderWhateverHappens|TestLives'

FUZZTIME ?= 20s

fuzz: ## every fuzzer, FUZZTIME=20s each
	@for pkg in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
		echo "== $$pkg $$f"; go test $$pkg -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) || exit 1; done; done

lint: ## the linters of .golangci.yml; takes minutes the first time
	go tool -modfile=tools/lint/go.mod golangci-lint run ./...

house: ## how the code is laid out: sizes, walks of a message and a notification, names exported for nobody
	go run ./tools/house

module: ## give the module another path: make module MODULE=github.com/you/lpbridge
	go run ./tools/module "$(MODULE)"
