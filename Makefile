# `make` lists what there is. Everything needs Go and make; what needs more says so when it is missing.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# A clone may belong to another user, whose repository git will not describe: binaries are named by `pas version`.
export GOFLAGS := $(strip $(shell go env GOFLAGS) -buildvcs=false)

MODULES  := $(shell sed -n 's|^[[:space:]]*\./||p' go.work)
BINARIES := ./cmd/pas $(foreach s,orders payments notifications,./services/$(s)/cmd/$(s))

# What stands in for Kafka and Docker on a machine that has neither; used only when it is there.
KAFKA_LOCAL  ?= ../shared/kafka/kafka
DOCKER_LOCAL ?= ../shared/compose/engine

# The race detector needs a C compiler.
CC_FOUND = $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v $$(go env CC) >/dev/null && echo yes)
RACE     = $(if $(CC_FOUND),-race)

# make test PKG=./services/orders/... RUN=TestPlaceOrder
PKG ?= work
RUN ?=

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 30

.PHONY: demo
demo: ## play every scenario on a stack inside one process
	@go run ./cmd/pas demo

.PHONY: up
up: ## run the whole system here until Ctrl-C, with its data kept in pas-data/
	@go run ./cmd/pas up

.PHONY: build
build: ## build the four binaries into bin/
	go build -trimpath -o bin/ $(BINARIES)

.PHONY: test
test: ## test every module; PKG=./services/orders/... and RUN=TestName narrow it
	@$(if $(RACE),,echo "make test: no C compiler, so the race detector is left out (-race)")
	go test $(RACE) -shuffle=on -timeout 10m $(if $(RUN),-run '$(RUN)') $(PKG)

.PHONY: test-kafka
test-kafka: ## the same tests on a real Kafka: KAFKA_BROKERS, else one that is started for them
	@KAFKA_LOCAL='$(KAFKA_LOCAL)' tools/with-kafka $(MAKE) test PKG='$(PKG)' RUN='$(RUN)'

# The tests of everything that runs SQL, on each Postgres that is supported. Servers are downloaded once and kept.
POSTGRES_VERSIONS ?= 15 17 18
POSTGRES_TESTS     = ./services/orders/internal/store ./services/payments/internal/store ./services/notifications/internal/store \
  ./pkg/platform/pgdb ./pkg/platform/outbox ./pkg/platform/deadletter ./pkg/platform/testkit ./migrations

.PHONY: test-postgres
test-postgres: ## the tests of stores, sessions, outbox, dead letters and migrations on Postgres 15, 17 and 18
	@for version in $(POSTGRES_VERSIONS); do echo "PostgreSQL $$version"; PAS_POSTGRES_VERSION=$$version go test -count=1 -p 4 -timeout 5m $(POSTGRES_TESTS); done

.PHONY: test-pooler
test-pooler: ## the whole system behind PgBouncer in transaction mode; PGBOUNCER names one, else the one that is installed
	@go vet -tags pooler ./e2e/pooler
	@"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags pooler ./e2e/pooler
	go test $(RACE) -tags pooler -count=1 -timeout 10m ./e2e/pooler

# The newest clients of other languages, and the newest Kafka beside the usual one. Each is pinned, and installed once.
CLIENTS_INSTALLED = $(abspath .cache/clients)
SPARK_INSTALLED   = $(abspath .cache/spark)
KAFKA_NEWEST     ?= 4.4.0

.PHONY: test-clients
test-clients: ## plain clients of other languages write and read orders on two real Kafkas; needs python3, Node.js, Java and Maven
	@go vet -tags clients ./e2e
	@"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags clients ./e2e
	@e2e/clients/install $(CLIENTS_INSTALLED)
	@deploy/spark/install $(SPARK_INSTALLED)
	@export CLIENTS_INSTALLED=$(CLIENTS_INSTALLED) SPARK_INSTALLED=$(SPARK_INSTALLED) KAFKA_LOCAL='$(KAFKA_LOCAL)'; \
	  tools/with-kafka go test $(RACE) -count=1 -tags clients -run 'TestKafkaPython|TestPlainClients' -v ./e2e; \
	  KAFKA_VERSION=$(KAFKA_NEWEST) tools/with-kafka go test $(RACE) -count=1 -tags clients -run TestPlainClients -v ./e2e
	@KAFKA_LOCAL='$(KAFKA_LOCAL)' tools/with-kafka go test -count=1 -tags clients -run KafkaPythonPeer -v ./bench/peers/idiomatic

.PHONY: test-strangers
test-strangers: ## share groups with KafkaJS and librdkafka on a real Kafka, and follow an order with an EventSource; needs python3, Node.js, Java and Maven
	@go vet -tags clients ./e2e/strangers
	@"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags clients ./e2e/strangers
	@e2e/clients/install $(CLIENTS_INSTALLED)
	@CLIENTS_INSTALLED=$(CLIENTS_INSTALLED) KAFKA_LOCAL='$(KAFKA_LOCAL)' tools/with-kafka go test $(RACE) -count=1 -tags clients -timeout 6m -v ./e2e/strangers

.PHONY: test-openapi
test-openapi: ## compare each OpenAPI document with what its server answers (Schemathesis); needs python3 with venv; OPENAPI_SEED=7 tries other requests
	@e2e/openapi/install .cache/schemathesis
	@go vet -tags openapi ./e2e/openapi
	@"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags openapi ./e2e/openapi
	SCHEMATHESIS='$(abspath .cache/schemathesis/bin/schemathesis)' go test -tags openapi -count=1 -v -timeout 12m ./e2e/openapi

# Mailpit, built once with Go, its page with npm; MAILPIT may name another one.
MAILPIT ?= $(abspath .cache/mailpit/mailpit)
$(abspath .cache/mailpit/mailpit): $(wildcard tools/mailpit/*)
	@tools/mailpit/build $@

.PHONY: mail
mail: $(MAILPIT) ## what `make up` does, with emails in an inbox at http://localhost:8025
	@PATH="$(dir $(MAILPIT)):$$PATH" go run ./cmd/pas up --mail

.PHONY: test-mail
test-mail: $(MAILPIT) ## send through mail servers of other makers, Mailpit and aiosmtpd; needs python3 with venv
	@e2e/mail/install .cache/aiosmtpd
	@go vet -tags mail ./e2e/mail
	@"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags mail ./e2e/mail
	@MAILPIT='$(MAILPIT)' AIOSMTPD='$(abspath .cache/aiosmtpd/bin/python3)' go test $(RACE) -tags mail -count=1 -timeout 5m ./e2e/mail

.PHONY: test-crash
test-crash: ## kill -9 each service and the broker under load, on a real Kafka, then count: nothing lost, nothing twice
	go vet -tags crash ./e2e/crash
	"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags crash ./e2e/crash
	@KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka go test -tags crash -count=1 -v -timeout 12m ./e2e/crash

CHAOS = go test -tags chaos -count=1 -v -timeout 24h -run TestChaos ./e2e/chaos
chaos_settings = CHAOS_FORM=$(1) CHAOS_ROW='$(ROW)' CHAOS_SIZE='$(SIZE)' CHAOS_SEED='$(SEED)' CHAOS_RATE='$(RATE)'

.PHONY: chaos
chaos: ## break everything under load at full size, for hours, and write docs/reports/chaos.md; ROW=kills SIZE=1000 SEED=7 RATE=100
	@$(call chaos_settings,full) CHAOS_REPORT='$(abspath docs/reports/chaos.md)' \
	  KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka $(CHAOS)

.PHONY: chaos-short
chaos-short: ## the same for minutes, without a report
	go vet -tags chaos ./e2e/chaos
	"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags chaos ./e2e/chaos
	@$(call chaos_settings,short) KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka $(CHAOS)

.PHONY: test-crowd
test-crowd: ## crowds, slow clients and overload against orders with the memory that compose gives it, on a real Kafka; CROWD_FOR=60s is the long form
	go vet -tags crowd ./e2e/crowd
	"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags crowd ./e2e/crowd
	@KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka go test -tags crowd -count=1 -v -timeout 30m ./e2e/crowd

# Prometheus and promtool, built once with Go; PROMETHEUS and PROMTOOL may name others.
PROMETHEUS ?= $(abspath .cache/prometheus/prometheus)
PROMTOOL   ?= $(abspath .cache/prometheus/promtool)
$(abspath .cache/prometheus)/%: tools/prometheus/go.mod
	@echo "building $* (some minutes the first time)"
	@cd tools/prometheus && GOWORK=off go build -tags remove_all_sd,enable_dns_sd -o $@ github.com/prometheus/prometheus/cmd/$*

.PHONY: alerts
alerts: $(PROMTOOL) ## check the alert rules, that each alert fires when it should and only then, and that no alert lacks a test
	@cd deploy/compose/prometheus && $(PROMTOOL) check rules --lint=all --lint-fatal alerts.yml
	@cd deploy/compose/prometheus && $(PROMTOOL) check config prometheus.yml
	@cd deploy/compose/prometheus && $(PROMTOOL) test rules alerts_test.yml
	@PROMTOOL='$(PROMTOOL)' go test -tags observability -count=1 -run TestEachAlertIsTested ./e2e/observability

.PHONY: observability
observability: $(PROMETHEUS) ## scrape the running services with a real Prometheus: each metric of dashboard and alerts is there
	@go vet -tags observability ./e2e/observability
	@"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags observability ./e2e/observability
	@PROMETHEUS='$(PROMETHEUS)' go test -tags observability -count=1 -v -timeout 10m -skip TestEachAlertIsTested ./e2e/observability

.PHONY: pictures
pictures: $(PROMETHEUS) ## draw docs/img/order-trace.svg and docs/img/dashboard.svg from what runs now; about two minutes
	@PROMETHEUS='$(PROMETHEUS)' PICTURES='$(abspath docs/img)' go test -tags observability -count=1 -run TestPictures ./e2e/observability

.PHONY: test-full
test-full: test-matrix ## what `make test-matrix` does, and the Spark job and `pas windows` count the same 200,000 records on a real Kafka; needs python3, Java and Maven
	go vet -tags full ./toolbox/windows
	"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags full ./toolbox/windows
	@deploy/spark/install .cache/spark
	@KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka go test -tags full -count=1 -v -timeout 30m -run TestSpark ./toolbox/windows

.PHONY: test-matrix
test-matrix: ## every way to be let in by a real Kafka, and three brokers of which one dies; starts its own
	go vet -tags matrix ./e2e/matrix
	"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags matrix ./e2e/matrix
	KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' go test -tags matrix -count=1 -v -timeout 15m ./e2e/matrix

.PHONY: test-cdc
test-cdc: ## change data capture: Debezium in a real Kafka Connect, killed, with a real Kafka and Postgres; needs Java and Maven
	@go vet -tags cdc ./e2e/cdc
	@"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags cdc ./e2e/cdc
	@e2e/cdc/connect/install .cache/cdc
	@CDC_JARS='$(abspath .cache/cdc)' KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka go test -tags cdc -count=1 -v -timeout 10m ./e2e/cdc

.PHONY: test-mirror
test-mirror: ## move the services to a second cluster, mirrored by MirrorMaker 2 that is killed once; starts both; needs Java and Maven
	go vet -tags mirror ./e2e/mirror
	"$$(cd tools && GOWORK=off go tool -n staticcheck)" -tags mirror ./e2e/mirror
	@e2e/mirror/install .cache/mirror
	KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' MIRROR_JARS='$(abspath .cache/mirror/jars)' go test -tags mirror -count=1 -v -timeout 10m ./e2e/mirror

.PHONY: bench-quick
bench-quick: ## measure beside the peers and the limits, on a real Kafka, in under 5 minutes: docs/performance.md
	@go build -trimpath -o bin/ ./bench
	@KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' tools/with-kafka bin/bench -form quick

.PHONY: bench
bench: ## the same in full: five rounds, a backlog of a million orders, ten minutes of load; about an hour
	@go build -trimpath -o bin/ ./bench
	@KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' KAFKA_OPTS='$(or $(KAFKA_OPTS),-XX:TieredStopAtLevel=4)' tools/with-kafka bin/bench -form full

.PHONY: bench-audit
bench-audit: ## how long `pas audit` takes over a million orders, without and with the topics, and how much memory; ORDERS=20000 makes fewer
	@KAFKA_LOCAL='$(abspath $(KAFKA_LOCAL))' PAS_AUDIT_ORDERS='$(or $(ORDERS),1000000)' tools/with-kafka \
	  go test -run '^$$' -bench Audit -benchtime 1x -timeout 60m ./toolbox/audit

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, and govulncheck where its database can be reached
	@tools/lint $(MODULES)

.PHONY: crds
crds: ## fetch what the tests of deploy/kubernetes check custom resources against; needs Maven and Java 21
	@cd e2e/kubernetes/definitions && go run .

.PHONY: verify
verify: ## generated files, go.mod files, each module alone, the repository's structure
	@tools/verify $(MODULES)

.PHONY: generate
generate: ## write the generated files again: JSON Schema, AsyncAPI
	go run ./pkg/messages/cmd/contractdoc

.PHONY: tidy
tidy: ## tidy every go.mod as it is without the workspace
	@for module in $(MODULES) tools; do (cd $$module && GOWORK=off go mod tidy); done

.PHONY: compose-smoke
compose-smoke: ## bring the containers up, place orders, kill the services, count
	@DOCKER_LOCAL='$(DOCKER_LOCAL)' deploy/compose/smoke

.PHONY: compose-cluster-smoke
compose-cluster-smoke: ## three brokers and two of each service behind HAProxy: kill one of each under load, count; needs HAProxy's image
	@DOCKER_LOCAL='$(DOCKER_LOCAL)' deploy/compose/cluster-smoke

.PHONY: clean
clean: ## remove bin/ and .cache/; data of `make up` stay
	rm -rf bin .cache
