#!/usr/bin/env bash
# Software:  Apache Kafka 4.3.1 with Kafka Connect 4.3.1, standalone (Java 17).
# Behaviour: a worker with config.providers=env resolves ${env:NAME} in its settings: both workers here listen on the port of
#            ${env:PORT}. In plugin.path it does not: the text ${env:NAME} is taken for a folder. The worker starts, serves its REST API and
#            lists no connector of that folder. A reader of KIP-297, by which providers apply to the worker's settings, would
#            expect either the folder or an error.
# Seen:      plugin.path=the folder: FileStreamSourceConnector true
#            plugin.path=${env:PLUGINS}: FileStreamSourceConnector false
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed. Needs Java 17, Maven, and about 100 MB of downloads.
set -euo pipefail
dir=$(mktemp -d)
running=()
end() {
  for pid in "${running[@]}"; do { kill "$pid" && wait "$pid"; } 2>/dev/null || true; done
  rm -rf "$dir"
}
trap end EXIT
cd "$dir"
# jars FOLDER ARTIFACT... puts the jars of the artifacts, and what they need, into the folder.
jars() {
  local folder=$1 artifact
  shift
  mkdir -p "$folder"
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>finding</groupId><artifactId>finding</artifactId><version>1</version><dependencies>'
    for artifact in "$@"; do
      echo "<dependency><groupId>org.apache.kafka</groupId><artifactId>$artifact</artifactId><version>4.3.1</version></dependency>"
    done
    echo '</dependencies></project>'
  } >"$folder/pom.xml"
  mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/$folder" >maven.log 2>&1 || { tail -5 maven.log; exit 2; }
}
jars lib kafka_2.13 connect-runtime connect-json
jars plugins/file connect-file
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free) controller=$(free)
cat >server.properties <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
log.dirs=$dir/data
offsets.topic.replication.factor=1
PROPERTIES
id=$(java -cp 'lib/*' kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)
java -cp 'lib/*' kafka.tools.StorageTool format --cluster-id "$id" --config server.properties >format.log 2>&1
java -cp 'lib/*' -Xmx512m kafka.Kafka server.properties >broker.log 2>&1 &
running+=($!)

# connectors NAME PLUGIN.PATH starts a worker, waits for its REST API, and says whether it knows the connector.
connectors() {
  local rest
  rest=$(free)
  cat >"$1.properties" <<PROPERTIES
bootstrap.servers=127.0.0.1:$port
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
offset.storage.file.filename=$dir/$1.offsets
listeners=http://127.0.0.1:\${env:PORT}
plugin.path=$2
plugin.discovery=hybrid_warn
PROPERTIES
  PLUGINS=$dir/plugins PORT=$rest java -cp 'lib/*' -Xmx256m org.apache.kafka.connect.cli.ConnectStandalone "$1.properties" >"$1.log" 2>&1 &
  local worker=$!
  running+=("$worker")
  curl -sf --retry 60 --retry-delay 1 --retry-connrefused --retry-all-errors -o "$1.json" "http://127.0.0.1:$rest/connector-plugins"
  { kill "$worker" && wait "$worker"; } 2>/dev/null || true
  local known=false
  ! grep -q FileStreamSourceConnector "$1.json" || known=true
  echo "plugin.path=$3: FileStreamSourceConnector $known"
}
connectors literal "$dir/plugins" "the folder" | tee out
# shellcheck disable=SC2016
connectors provided '${env:PLUGINS}' '${env:PLUGINS}' | tee -a out
grep -q 'folder: FileStreamSourceConnector true' out && grep -q 'PLUGINS}: FileStreamSourceConnector false' out
