# `make` lists the targets. Everything needs Go and make; a target that needs more names what is missing.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# A clone may belong to another user, whose repository git refuses to describe: `pas version` names the binaries instead.
export GOFLAGS := $(strip $(shell go env GOFLAGS) -buildvcs=false)

MODULES  := $(shell sed -n 's|^[[:space:]]*\./||p' go.work)
BINARIES := ./cmd/pas $(foreach s,orders payments notifications,./services/$(s)/cmd/$(s))

# Stand-ins for Kafka and Docker on a machine that has neither; used only when they exist.
KAFKA_LOCAL  ?= ../shared/kafka/kafka
DOCKER_LOCAL ?= ../shared/compose/engine
WITH_KAFKA    = KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka

# make test PKG=./services/orders/... RUN=TestPlaceOrder
SUITE ?=
PKG   ?=
RUN   ?=

.PHONY: help
help: ## list the targets and the suites
	@{ sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile; tools/suite; } | awk -F'\t' '{printf "  %-30s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## play every scenario on a stack inside one process
	@go run ./cmd/pas demo

.PHONY: up
up: ## run the whole system until Ctrl-C, its data kept in pas-data/; MAIL=1 shows emails in an inbox at http://localhost:8025
	@$(if $(MAIL),tools/mailpit/build .cache/mailpit/mailpit; PATH="$(abspath .cache/mailpit):$$PATH") \
	  go run ./cmd/pas up $(if $(MAIL),--mail)

.PHONY: build
build: ## build the four binaries into bin/
	go build -trimpath -o bin/ $(BINARIES)

.PHONY: test
test: ## test every module; PKG=./services/orders/... and RUN=TestName narrow it; SUITE=NAME runs a suite that needs more
	@KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' PKG='$(PKG)' RUN='$(RUN)' tools/suite $(or $(SUITE),all)

.PHONY: chaos
chaos: ## break everything under load at full size, for hours, and write docs/reports/chaos.md; ROW=kills SIZE=1000 SEED=7 RATE=100
	@CHAOS_FORM=full ROW='$(ROW)' SIZE='$(SIZE)' SEED='$(SEED)' RATE='$(RATE)' CHAOS_REPORT='$(abspath docs/reports/chaos.md)' \
	  KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/suite chaos

# The audit, and the removal, of a million orders are benchmarks of their own; ORDERS=20000 makes fewer.
FORM ?= full

.PHONY: bench
bench: ## measure beside the peers on a real Kafka, about an hour; FORM=quick takes 5 minutes, FORM=audit measures `pas audit`, FORM=retention the removal of old orders
ifeq ($(FORM),audit)
	@PAS_AUDIT_ORDERS='$(or $(ORDERS),1000000)' $(WITH_KAFKA) go test -run '^$$' -bench Audit -benchtime 1x -timeout 60m ./toolbox/audit
else ifeq ($(FORM),retention)
	@PAS_RETENTION_ORDERS='$(or $(ORDERS),1000000)' $(WITH_KAFKA) go test -v -run '^$$' -bench Retention -benchtime 1x -timeout 120m ./e2e/retention
else
	@go build -trimpath -o bin/ ./bench
	@KAFKA_OPTS='$(or $(KAFKA_OPTS),$(if $(filter full,$(FORM)),-XX:TieredStopAtLevel=4))' $(WITH_KAFKA) bin/bench -form $(FORM) $(if $(AGAINST),-against $(AGAINST))
endif

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, and govulncheck, which must answer in CI unless OFFLINE=1
	@tools/lint $(MODULES)

.PHONY: verify
verify: ## generated files, go.mod files, each module alone, the repository's structure
	@tools/verify $(MODULES)

.PHONY: generate
generate: ## write the generated files again; WHAT=pictures draws docs/img, WHAT=crds fetches the custom resources of the Kubernetes tests
	@tools/generate $(or $(WHAT),contract)

.PHONY: tidy
tidy: ## tidy every go.mod as it is without the workspace
	@for module in $(MODULES) tools; do (cd $$module && GOWORK=off go mod tidy); done

.PHONY: compose-smoke
compose-smoke: ## bring the containers up, place orders, kill the services, count; FORM=cluster: three brokers, two of each service, HAProxy
	@DOCKER_LOCAL='$(DOCKER_LOCAL)' deploy/compose/$(if $(filter cluster,$(FORM)),cluster-)smoke

.PHONY: clean
clean: ## remove bin/ and .cache/; data of `make up` stay
	rm -rf bin .cache
