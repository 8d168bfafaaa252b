// Command definitions fetches the definitions of the custom resources that deploy/kubernetes uses, as their makers publish
// them, in the versions that are named here and in pom.xml, and writes them without their descriptions into ../testdata.
// It runs in this folder (make generate WHAT=crds), and needs Maven and Java 21 or newer, as java or in JAVA_HOME.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

const into = "../testdata"

// module is a Go module that has the definitions among its files.
type module struct {
	version string // path@version
	files   []string
}

func modules() []module {
	return []module{
		{"github.com/cloudnative-pg/cloudnative-pg@v1.30.0", []string{"postgresql.cnpg.io_clusters.yaml"}},
		{"github.com/kedacore/keda/v2@v2.21.0", []string{"keda.sh_scaledobjects.yaml", "keda.sh_triggerauthentications.yaml"}},
	}
}

// strimzi are the Java classes that its definitions are made of.
func strimzi() map[string]string {
	const model = "io.strimzi.api.kafka.model."
	return map[string]string{"kafkas": model + "kafka.Kafka", "kafkanodepools": model + "nodepool.KafkaNodePool",
		"kafkaconnects": model + "connect.KafkaConnect", "kafkaconnectors": model + "connector.KafkaConnector",
		"kafkatopics": model + "topic.KafkaTopic", "kafkausers": model + "user.KafkaUser"}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "definitions:", err)
		os.Exit(1)
	}
}

func run() error {
	folder, err := os.MkdirTemp("", "definitions-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	var files []string
	for _, m := range modules() {
		out, err := exec.Command("go", "mod", "download", "-json", m.version).Output()
		var at struct{ Dir, Error string }
		if jsonErr := json.Unmarshal(out, &at); jsonErr != nil || at.Dir == "" {
			return fmt.Errorf("download %s: %w", m.version, errors.Join(err, jsonErr, errors.New(at.Error)))
		}
		for _, file := range m.files {
			files = append(files, filepath.Join(at.Dir, "config/crd/bases", file))
		}
	}
	made, err := generate(folder)
	if err != nil {
		return err
	}
	for _, file := range append(files, made...) {
		if err := write(file); err != nil {
			return err
		}
	}
	return nil
}

// generate makes Strimzi's definitions: it publishes the code that makes them.
func generate(folder string) (files []string, err error) {
	fetch := exec.Command("mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+folder)
	if out, err := fetch.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("fetch Strimzi's API with Maven: %w\n%s", err, out)
	}
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	args := []string{"-cp", filepath.Join(folder, "*"), "io.strimzi.crdgenerator.CrdGenerator"}
	for name, class := range strimzi() {
		file := filepath.Join(folder, "kafka.strimzi.io_"+name+".yaml")
		files, args = append(files, file), append(args, class+"="+file)
	}
	out, err := exec.Command(java, args...).CombinedOutput()
	if bytes.Contains(out, []byte("UnsupportedClassVersionError")) {
		return nil, errors.New("java is too old: Strimzi needs Java 21 or newer, set JAVA_HOME")
	}
	if err != nil {
		return nil, fmt.Errorf("make Strimzi's definitions: %w\n%s", err, out)
	}
	return files, nil
}

// write writes one definition without its descriptions, which are most of it.
func write(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var definition any
	if err := yaml.Unmarshal(content, &definition); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	short, err := json.Marshal(undescribed(definition))
	if err != nil {
		return err
	}
	name := filepath.Base(file)
	return os.WriteFile(filepath.Join(into, name[:len(name)-len(".yaml")]+".json"), append(short, '\n'), 0o644)
}

// undescribed returns v without descriptions. A property that is called so is an object, no text.
func undescribed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if _, text := value.(string); key == "description" && text {
				delete(v, key)
				continue
			}
			v[key] = undescribed(value)
		}
	case []any:
		for i := range v {
			v[i] = undescribed(v[i])
		}
	}
	return v
}
